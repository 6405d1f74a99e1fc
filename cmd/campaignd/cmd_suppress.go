package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

func newSuppressCmd(env *environment) *cobra.Command {
	var application int64
	cmd := &cobra.Command{
		Use:   "suppress",
		Short: "Manage the list of opt-outs",
		Long: `Manages the list of contacts who opted out. The daemon checks it right before it
sends a message, so an opt-out also applies to sendings that are under way.`,
		Example: "  campaignd suppress add 34666777888\n  campaignd suppress import stop.csv --application 1\n  campaignd suppress list > stop.txt",
	}
	cmd.PersistentFlags().Int64Var(&application, "application", 0, "`id` of the only application concerned; 0: every application")
	return subcommands(cmd,
		newSuppressAddCmd(env, &application),
		newSuppressRemoveCmd(env, &application),
		newSuppressListCmd(env, &application),
		newSuppressImportCmd(env, &application),
	)
}

// countAnswer is the output of "suppress add --json" and "suppress remove --json". A contact counts
// once for each application.
type countAnswer struct {
	Given   int `json:"given"`
	Changed int `json:"changed"` // the rest were in the list already, or never were

	applications int
}

// changeOptOuts changes the opt-outs of contacts in an application, or in all if it is 0.
func (env *environment) changeOptOuts(contacts []string, application int64, change func(c *control.Client) (int, error), text func(countAnswer) string) error {
	n := countAnswer{Given: len(contacts), applications: 1}
	if application == 0 {
		cfg, err := env.loadConfig()
		if err != nil {
			return err
		}
		n.applications = len(cfg.Applications)
		n.Given *= n.applications
	}
	return answer(env, func(c *control.Client) (countAnswer, error) {
		var err error
		n.Changed, err = change(c)
		return n, err
	}, func(n countAnswer) error {
		each := ""
		if n.applications > 1 {
			each = fmt.Sprintf(" A contact counts once for each of the %d applications.", n.applications)
		}
		return env.printf("%s%s\n", text(n), each)
	})
}

func newSuppressAddCmd(env *environment, application *int64) *cobra.Command {
	var channel string
	cmd := &cobra.Command{
		Use:     "add CONTACT...",
		Short:   "Add opt-outs",
		Example: "  campaignd suppress add 34666777888                       on every channel\n  campaignd suppress add 34666777888 --channel cloud_api",
		Args:    given(1, 1000, "name 1 to 1000 contacts; import a longer list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.changeOptOuts(args, *application, func(c *control.Client) (int, error) {
				return c.AddOptOuts(cmd.Context(), optOuts(args, *application, channel))
			}, func(n countAnswer) string {
				return fmt.Sprintf("%d added, %d were in the list already.", n.Changed, n.Given-n.Changed)
			})
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "the only `channel` concerned; default: every channel")
	return cmd
}

func newSuppressRemoveCmd(env *environment, application *int64) *cobra.Command {
	var channel string
	cmd := &cobra.Command{
		Use:     "remove CONTACT...",
		Short:   "Remove opt-outs: the contacts get messages again",
		Example: "  campaignd suppress remove 34666777888",
		Args:    given(1, 1000, "name 1 to 1000 contacts; import a longer list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.changeOptOuts(args, *application, func(c *control.Client) (int, error) {
				return c.RemoveOptOuts(cmd.Context(), optOuts(args, *application, channel))
			}, func(n countAnswer) string { return fmt.Sprintf("%d removed.", n.Changed) })
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "the `channel` the opt-out was added for; default: the opt-out for every channel")
	return cmd
}

func optOuts(contacts []string, application int64, channel string) []api.OptOut {
	list := make([]api.OptOut, len(contacts))
	for i, contact := range contacts {
		list[i] = api.OptOut{ApplicationID: application, ChannelType: channel, ContactCode: contact}
	}
	return list
}

func newSuppressListCmd(env *environment, application *int64) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List opt-outs; with --json one object per line",
		Example: "  campaignd suppress list --application 1",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			// The list may not fit in memory: print line by line, not as a table.
			out := bufio.NewWriter(env.out)
			err = c.OptOuts(cmd.Context(), *application, func(s api.OptOut) error { return env.writeOptOut(out, s) })
			if flushErr := out.Flush(); err == nil && flushErr != nil {
				return fmt.Errorf("print: %w", flushErr)
			}
			return err
		},
	}
}

func (env *environment) writeOptOut(w io.Writer, s api.OptOut) error {
	line := printable(fmt.Sprintf("%s  application %d  %s  %s  %s", s.ContactCode, s.ApplicationID, cmp.Or(s.ChannelType, "every channel"), env.instant(s.At), s.Source))
	if env.json {
		data, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("print JSON: %w", err)
		}
		line = string(data)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

func newSuppressImportCmd(env *environment, application *int64) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Add the opt-outs of a CSV file (- reads standard input)",
		Long: `Adds the opt-outs of a CSV file with a column contactCode and optionally a column
channelType. An empty channelType means every channel. Rows that can't be read are
listed and the others are added; the exit status is then 3.`,
		Example: "  campaignd suppress import stop.csv --application 1",
		Args:    given(1, 1, "name one file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := env.in
			if args[0] != "-" {
				f, err := os.Open(args[0]) // a pipe is welcome
				if err != nil {
					err = cmp.Or(isFile(args[0]), err)
					return exitError{exitUsage, err}
				}
				defer f.Close()
				in = f
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			r, err := c.ImportOptOuts(cmd.Context(), *application, in)
			if err != nil {
				return err
			}
			return printImported(env, r)
		},
	}
}

// rejectedRows counts the rejected rows and names the first lines.
func rejectedRows(r api.Imported) string {
	if len(r.RejectedLines) == 0 {
		return display.Number(r.Rejected)
	}
	return fmt.Sprintf("%s (line %s)", display.Number(r.Rejected), strings.Join(strings.Fields(strings.Trim(fmt.Sprint(r.RejectedLines), "[]")), ", "))
}

func printImported(env *environment, r api.Imported) error {
	if env.json {
		env.printJSON(r)
	} else {
		env.printf("%s rejected, %s added, %s were in the list already.\n", rejectedRows(r), display.Number(r.Added), display.Number(r.Rows-r.Added))
		printProblems(env, "Rejected, or doubtful", r.Problems, max(r.Rejected, len(r.Problems)))
	}
	if r.Rejected > 0 {
		return exitError{code: exitProblems}
	}
	return nil
}
