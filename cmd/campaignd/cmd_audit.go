package main

import (
	"campaignd/internal/api"
	"campaignd/internal/control"
	"time"

	"github.com/spf13/cobra"
)

func newAuditCmd(env *environment) *cobra.Command {
	var since string
	var sending string
	var limit int
	cmd := &cobra.Command{
		Use:     "audit",
		Short:   "List who changed what, newest first",
		Long:    `Lists who paused, resumed, canceled, resent, suppressed or reloaded what, and when. The newest entry comes first.`,
		Example: "  campaignd audit --since 24h          the changes of the last day\n  campaignd audit --sending spring     the changes of one sending",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usage("--limit can't be less than 0")
			}
			return answer(env, func(c *control.Client) ([]api.AuditEntry, error) {
				from, err := env.parseSince(since, time.Now()) // in the zone that the connection chose
				if err != nil {
					return nil, err
				}
				return c.Audit(cmd.Context(), from, sending, limit)
			}, func(entries []api.AuditEntry) error { return printAudit(env, entries) })
		},
	}
	cmd.Flags().StringVar(&since, "since", "", sinceHelp)
	cmd.Flags().StringVar(&sending, "sending", "", "only this `sending`")
	cmd.Flags().IntVar(&limit, "limit", 200, "show at most this many entries; 0: all")
	return cmd
}

func printAudit(env *environment, entries []api.AuditEntry) error {
	g := grid{header: []string{env.whenTitle("at"), "who", "what", "sending", "detail"}}
	for _, e := range entries {
		g.add(env.when(e.At), e.Who, e.Action, string(e.Sending), e.Detail)
	}
	if len(g.rows) == 0 {
		return env.printf("Nothing was changed.\n")
	}
	return env.printGrid(g)
}
