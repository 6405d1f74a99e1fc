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
		Short: "Let a paused or held sending go on",
		Long: `Lets a paused or held sending go on. Slices that were missed are planned again
from now on; they don't go out all at once. --all resumes every one, e.g. after
a store was restored from a backup.`,
		Example: "  campaignd resume 42         go on with the sending with number 42\n  campaignd resume --all      go on with all of them",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) || len(args) > 1 {
				return errors.New("name one sending, or --all")
			}
			return nil
		},
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !all {
				return steer(cmd.Context(), env, args[0], (*control.Client).Resume)
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
				fmt.Fprintln(env.errw, "No sending is paused or held.")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "resume every paused or held sending")
	return cmd
}
