package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"campaignd/internal/control"
)

func newResumeCmd(env *environment) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "resume SENDING | --all",
		Short: "Resume a paused or held sending",
		Long: `Resumes a paused or held sending. Missed slices are planned again from now on
and don't go out all at once. --all resumes every held sending, for example after
you restored the store from a backup. It never resumes one that somebody paused.`,
		Example: "  campaignd resume 42         resume the sending with number 42\n  campaignd resume --all      resume all held ones",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) || len(args) > 1 {
				return errors.New("name one sending, or --all")
			}
			return nil
		},
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !all {
				return changeState(cmd.Context(), env, args[0], (*control.Client).Resume)
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			changes, err := c.ResumeAll(cmd.Context())
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(changes)
			}
			for _, ch := range changes {
				if err := printChange(env, ch); err != nil {
					return err
				}
			}
			if len(changes) == 0 {
				fmt.Fprintln(env.errw, "No sending is held.")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "resume every held sending, but none that somebody paused")
	return cmd
}
