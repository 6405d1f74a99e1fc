package main

import (
	"fmt"
	"slices"
	"strings"

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
the receiver drops duplicates. Contacts who have opted out since get nothing. Expired and
canceled messages are never sent again: to send them after all, drop a new CSV of their
lines. With --dry-run it counts the messages and sends nothing.`,
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
				func(r api.Resent) error { return printResent(env, r, outcomes) })
		},
	}
	cmd.Flags().BoolVar(&unknown, "unknown", false, "messages that may or may not have been delivered")
	cmd.Flags().BoolVar(&undelivered, "undelivered", false, "messages that the provider accepted but couldn't deliver")
	cmd.Flags().BoolVar(&failed, "failed", false, "messages that failed")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count the messages and send nothing")
	return cmd
}

// printResent prints which messages are sent again, and of those that aren't, why and what to do.
func printResent(env *environment, r api.Resent, asked []api.ResendOutcome) error {
	what := "nothing " + resendVerb(1, r.DryRun)
	if r.Messages > 0 {
		what = fmt.Sprintf("%s %s (%s)", display.Amount(r.Messages, "message"), resendVerb(r.Messages, r.DryRun), strings.Join(resentParts(r), ", "))
	} else if !slices.ContainsFunc(asked, func(o api.ResendOutcome) bool { return leftOf(r.Left, o) > 0 }) {
		what += ": no message is " + strings.Join(texts(asked), " or ")
	}
	env.printf("%s\n", printable(fmt.Sprintf("%s (%s): %s.", r.ID, r.Name, what)))
	if r.State.Stopped() && r.Messages > 0 {
		env.printf("It is %s: \"campaignd resume %s\" lets it continue.\n", r.State, r.ID)
	}
	if left := leftTexts(r.Left, asked); len(left) > 0 {
		env.printf("Left as they are:\n")
		env.lines(left)
	}
	return printSlices(env, r.Slices)
}

func resendVerb(n uint64, dryRun bool) string {
	switch {
	case dryRun:
		return "would be sent again"
	case n == 1:
		return "is sent again"
	}
	return "are sent again"
}

// resentParts counts the messages that are sent again by their outcome before.
func resentParts(r api.Resent) (parts []string) {
	for _, one := range []struct {
		n    uint64
		what string
	}{{r.Failed, "failed"}, {r.Unknown, "unknown"}, {r.Undelivered, "undelivered"}, {r.Skipped, "skipped after a failure"}} {
		if one.n > 0 {
			parts = append(parts, display.Number(one.n)+" "+one.what)
		}
	}
	return parts
}

// leftOf counts the messages with an outcome that are left as they are.
func leftOf(left api.NotResent, o api.ResendOutcome) uint64 {
	switch o {
	case api.ResendFailed:
		return left.Failed
	case api.ResendUnknown:
		return left.Unknown
	}
	return left.Undelivered
}

// leftTexts says of the messages that a resend leaves why, and what to do.
func leftTexts(left api.NotResent, asked []api.ResendOutcome) (lines []string) {
	add := func(n uint64, outcome, why string) {
		if n > 0 {
			lines = append(lines, fmt.Sprintf("  %s %s: %s", display.Number(n), outcome, why))
		}
	}
	for _, one := range []struct {
		outcome api.ResendOutcome
		advice  string
	}{
		{api.ResendFailed, "sent again with --failed"},
		{api.ResendUndelivered, "sent again with --undelivered"},
		{api.ResendUnknown, "may have been delivered; sent again with --unknown, which may reach a contact twice"},
	} {
		if slices.Contains(asked, one.outcome) {
			one.advice = "not sent to contacts who have opted out"
		}
		add(leftOf(left, one.outcome), string(one.outcome), one.advice)
	}
	add(left.Expired, "expired", "never sent again; drop a new CSV of the lines that results.csv calls expired")
	add(left.Canceled, "canceled", "never sent again; drop a new CSV of the lines that results.csv calls canceled")
	add(left.Suppressed, "suppressed", "not sent to contacts who have opted out")
	add(left.Skipped, "skipped", "sent again only with the message before it")
	add(left.Unfinished, "unfinished", "still to be sent")
	return lines
}
