package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/control"
)

func newStatusCmd(env *environment) *cobra.Command {
	q := statusQuery{}
	cmd := &cobra.Command{
		Use:        "status",
		SuggestFor: []string{"list", "ls", "sendings"},
		Short:      "Show the daemon's state and its active sendings",
		Long: `Shows the daemon's inboxes, its channels, what is held and why, and the active
sendings, the newest 50 of them unless --limit says otherwise. When nothing is active it
shows the last five that ended. --all lists ended sendings, too; --state, --application
and --since select sendings.

On a narrow terminal whole columns are left out, and a line below the table names them;
--wide prints them all.`,
		Example: `  campaignd status                            the current state
  campaignd status --all --since 7d           everything that came in the last seven days
  campaignd status --state held,paused        what waits for a person
  campaignd status --json                     the same for a program`,
		Args: given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runStatus(cmd.Context(), env, q)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&q.all, "all", false, "list ended sendings too")
	flags.StringSliceVar(&q.states, "state", nil, "list sendings in these `states`")
	flags.Int64Var(&q.application, "application", 0, "list sendings of this application's `id`")
	flags.StringVar(&q.since, "since", "", sinceHelp)
	flags.IntVar(&q.limit, "limit", 50, "list at most `N` sendings; 0 lists all")
	return cmd
}

// statusQuery holds the options of status.
type statusQuery struct {
	all         bool
	states      []string
	application int64
	since       string
	limit       int
}

// filter converts the options. Its errors are about the command line.
func (q *statusQuery) filter(env *environment, cfg *config.Config) (api.Filter, error) {
	f := api.Filter{Application: q.application, Limit: q.limit}
	if q.limit < 0 {
		return f, usage("--limit must be 0 or more")
	}
	if q.application != 0 && cfg.Application(q.application) == nil {
		return f, unknownApplication(cfg, q.application)
	}
	for _, text := range q.states {
		state := campaign.State(text)
		if !slices.Contains(campaign.States, state) {
			return f, unknownName("state", text, texts(campaign.States))
		}
		f.States = append(f.States, state)
	}
	if len(q.states) == 0 && !q.all {
		f.States = openStates()
	}
	var err error
	f.Since, err = env.parseSince(q.since, time.Now())
	return f, err
}

// selective reports whether the options ask for certain sendings.
func (q *statusQuery) selective() bool {
	return len(q.states) > 0 || q.application != 0 || q.since != ""
}

// statusAnswer is the output of "status --json".
type statusAnswer struct {
	api.Status
	List []api.Sending `json:"list"` // active sendings, or those that the options select; at most --limit
}

func runStatus(ctx context.Context, env *environment, q statusQuery) error {
	cfg, err := env.loadConfig()
	if err != nil {
		return err
	}
	if env.useZone(cfg); q.application != 0 {
		env.useZone(cfg, q.application)
	}
	filter, err := q.filter(env, cfg)
	if err != nil {
		return err
	}
	c, err := dial(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if s := status.Cluster; s != nil && s.Role != api.RoleHub { // the sendings are the hub's
		if env.json {
			return env.printJSON(statusAnswer{status, []api.Sending{}})
		}
		return printStandby(env, status)
	}
	if filter.Limit > 0 {
		filter.Limit++ // one more shows that there are more
	}
	list, err := c.Sendings(ctx, filter)
	if err != nil {
		return err
	}
	more := q.limit > 0 && len(list) > q.limit
	if more {
		list = list[:q.limit]
	}
	if env.json {
		return env.printJSON(statusAnswer{status, list})
	}
	printStatus(env, status)
	switch {
	case len(list) > 0:
		return printSendingsOf(env, list, more)
	case q.selective():
		return env.printf("\nNo such sending.\n")
	}
	return printLast(ctx, env, c)
}

// printSendingsOf prints the list, and whether there are more.
func printSendingsOf(env *environment, list []api.Sending, more bool) error {
	env.printf("\n")
	err := printSendings(env, list)
	if more {
		err = env.printf("There are more sendings: --limit 0 lists them all.\n")
	}
	return err
}

// printLast prints the newest sendings that have ended, for a daemon that sends nothing.
func printLast(ctx context.Context, env *environment, c *control.Client) error {
	const few = 5
	list, err := c.Sendings(ctx, api.Filter{Limit: few})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return env.printf("\nNothing is being sent, and nothing was.\n")
	}
	env.printf("\nNothing is being sent. The last sendings:\n")
	return printSendings(env, list)
}

// openStates returns the states that aren't final.
func openStates() []campaign.State {
	var open []campaign.State
	for _, s := range campaign.States {
		if !s.Final() {
			open = append(open, s)
		}
	}
	return open
}
