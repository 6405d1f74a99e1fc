package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

func newResendCmd(env *environment) *cobra.Command {
	var unknown, failed, undelivered, dryRun bool
	cmd := &cobra.Command{
		Use:   "resend SENDING --failed | --undelivered | --unknown",
		Short: "Send failed, undelivered or unknown messages of a sending again",
		Long: `Sends a sending's failed, undelivered or unknown messages again, and no others. An
undelivered message was accepted by the provider, which later reported that it couldn't
deliver it. An unknown message may have been delivered: its contact gets it twice unless
the receiver drops duplicates. With --dry-run it counts the messages and sends nothing.`,
		Example:           "  campaignd resend 42 --failed --dry-run   how many would go out again\n  campaignd resend 42 --failed             send them",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		PreRunE: func(*cobra.Command, []string) error {
			if !unknown && !failed && !undelivered {
				return usage("choose one or more of --failed, --undelivered and --unknown")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var outcomes []api.ResendOutcome
			if failed {
				outcomes = append(outcomes, api.ResendFailed)
			}
			if unknown {
				outcomes = append(outcomes, api.ResendUnknown)
			}
			if undelivered {
				outcomes = append(outcomes, api.ResendUndelivered)
			}
			return answer(env, func(c *control.Client) (api.Resent, error) { return c.Resend(cmd.Context(), args[0], outcomes, dryRun) },
				func(r api.Resent) error { return printResent(env, r) })
		},
	}
	cmd.Flags().BoolVar(&unknown, "unknown", false, "messages that may or may not have been delivered")
	cmd.Flags().BoolVar(&undelivered, "undelivered", false, "messages that the provider accepted but couldn't deliver")
	cmd.Flags().BoolVar(&failed, "failed", false, "messages that failed")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count the messages and send nothing")
	return cmd
}

func printResent(env *environment, r api.Resent) error {
	verb := "are sent again"
	if r.DryRun {
		verb = "would be sent again"
	}
	parts := fmt.Sprintf("%s failed, %s unknown", display.Number(r.Failed), display.Number(r.Unknown))
	if r.Undelivered > 0 {
		parts += fmt.Sprintf(", %s undelivered", display.Number(r.Undelivered))
	}
	env.printf("%s\n", printable(fmt.Sprintf("%s (%s): %s messages %s (%s).", r.ID, r.Name, display.Number(r.Messages), verb, parts)))
	return printSlices(env, r.Slices)
}
