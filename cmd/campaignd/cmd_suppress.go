package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"campaignd/internal/control"
)

func newSuppressCmd(env *environment) *cobra.Command {
	var application int64
	cmd := &cobra.Command{
		Use:   "suppress",
		Short: "Keep the list of contacts that opted out",
		Long: `Keeps the list of contacts that opted out. It is looked at when a message is about
to be sent, so that an opt-out counts from now on, for sendings under way too.`,
		Example: "  campaignd suppress add 34666777888\n  campaignd suppress import stop.csv --application 1\n  campaignd suppress list > stop.txt",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage("say what to do: add, remove, list or import")
		},
	}
	cmd.PersistentFlags().Int64Var(&application, "application", 0, "only for this application's `id`; 0: for every one")
	cmd.AddCommand(
		newSuppressAddCmd(env, &application),
		newSuppressRemoveCmd(env, &application),
		newSuppressListCmd(env, &application),
		newSuppressImportCmd(env, &application),
	)
	return cmd
}

// countAnswer is what "suppress add --json" and "remove --json" print.
type countAnswer struct {
	Given   int `json:"given"`
	Changed int `json:"changed"` // the others were there, or not there, already
}

func newSuppressAddCmd(env *environment, application *int64) *cobra.Command {
	var channel string
	cmd := &cobra.Command{
		Use:     "add CONTACT...",
		Short:   "Add opt-outs",
		Example: "  campaignd suppress add 34666777888                       on every channel\n  campaignd suppress add 34666777888 --channel cloud_api",
		Args:    given(1, 1000, "name one contact or more, up to 1000; a longer list can be imported"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			n, err := c.AddOptOuts(cmd.Context(), optOuts(args, *application, channel))
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(countAnswer{len(args), n})
			}
			return env.printf("%d added, %d were there already.\n", n, len(args)-n)
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "only for this `channel`; without it for every one")
	return cmd
}

func newSuppressRemoveCmd(env *environment, application *int64) *cobra.Command {
	var channel string
	cmd := &cobra.Command{
		Use:     "remove CONTACT...",
		Short:   "Take opt-outs back: the contacts are sent to again",
		Example: "  campaignd suppress remove 34666777888",
		Args:    given(1, 1000, "name one contact or more, up to 1000; a longer list can be imported"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			n, err := c.RemoveOptOuts(cmd.Context(), optOuts(args, *application, channel))
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(countAnswer{len(args), n})
			}
			return env.printf("%d removed.\n", n)
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "the `channel` it was added for; without it the opt-out for every one")
	return cmd
}

func optOuts(contacts []string, application int64, channel string) []control.OptOut {
	list := make([]control.OptOut, len(contacts))
	for i, contact := range contacts {
		list[i] = control.OptOut{ApplicationID: application, ChannelType: channel, ContactCode: contact}
	}
	return list
}

func newSuppressListCmd(env *environment, application *int64) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List opt-outs; with --json one object a line",
		Example: "  campaignd suppress list --application 1",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			// The list may be longer than memory: a line at a time, no table.
			out := bufio.NewWriter(env.out)
			err = c.OptOuts(cmd.Context(), *application, func(s control.OptOut) error {
				return writeOptOut(out, s, env.json)
			})
			if flushErr := out.Flush(); err == nil && flushErr != nil {
				return fmt.Errorf("print: %w", flushErr)
			}
			return err
		},
	}
}

func writeOptOut(w io.Writer, s control.OptOut, asJSON bool) error {
	if asJSON {
		data, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("print JSON: %w", err)
		}
		return lines(w, []string{string(data)})
	}
	channel := s.ChannelType
	if channel == "" {
		channel = "every channel"
	}
	return lines(w, []string{printable(fmt.Sprintf("%s  application %d  %s  %s  %s", s.ContactCode, s.ApplicationID, channel, instant(s.At), s.Source))})
}

func newSuppressImportCmd(env *environment, application *int64) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Add the opt-outs of a CSV file (- reads standard input)",
		Long: `Adds the opt-outs of a CSV file with a column contactCode and, if you like, a column
channelType; an empty channelType stands for every channel. Rows that can't be
taken are listed, the others are added; the exit status is 3 then.`,
		Example: "  campaignd suppress import stop.csv --application 1",
		Args:    given(1, 1, "name one file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := env.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
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

func printImported(env *environment, r control.Imported) error {
	if env.json {
		if err := env.printJSON(r); err != nil {
			return err
		}
	} else {
		if err := env.printf("%s rows: %s added, %s were there already, %s not taken.\n", count(r.Rows), count(r.Added), count(r.Rows-r.Added-r.Rejected), count(r.Rejected)); err != nil {
			return err
		}
		if err := printProblems(env, "Not taken", r.Problems, r.Rejected); err != nil {
			return err
		}
	}
	if r.Rejected > 0 {
		return exitError{code: exitWanting}
	}
	return nil
}
