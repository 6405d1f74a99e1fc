package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

func newResendCmd(env *environment) *cobra.Command {
	var unknown, failed, dryRun bool
	cmd := &cobra.Command{
		Use:   "resend SENDING --unknown | --failed",
		Short: "Send the failed or unknown messages of a sending again",
		Long: `Sends a sending's failed or unknown messages again, and no others. An unknown
message may have been delivered: its contact gets it twice unless the receiver
drops duplicates. With --dry-run it counts the messages and sends nothing.`,
		Example:           "  campaignd resend 42 --failed --dry-run   how many would go out again\n  campaignd resend 42 --failed             send them",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		PreRunE: func(*cobra.Command, []string) error {
			if !unknown && !failed {
				return usage("choose --failed, --unknown or both")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var outcomes []campaign.Outcome
			if failed {
				outcomes = append(outcomes, campaign.Failed)
			}
			if unknown {
				outcomes = append(outcomes, campaign.Unknown)
			}
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			r, err := c.Resend(cmd.Context(), args[0], outcomes, dryRun)
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(r)
			}
			return printResent(env, r)
		},
	}
	cmd.Flags().BoolVar(&unknown, "unknown", false, "messages that may or may not have been delivered")
	cmd.Flags().BoolVar(&failed, "failed", false, "messages that failed")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count the messages and send nothing")
	return cmd
}

func printResent(env *environment, r control.Resent) error {
	verb := "are sent again"
	if r.DryRun {
		verb = "would be sent again"
	}
	if err := env.printf("%s\n", printable(fmt.Sprintf("%s (%s): %s messages %s (%s failed, %s unknown).",
		r.ID, r.Name, count(r.Messages), verb, count(r.Failed), count(r.Unknown)))); err != nil {
		return err
	}
	return printSlices(env, r.Slices)
}
