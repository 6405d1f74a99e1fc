package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/preview"
)

func newShowCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:               "show SENDING",
		Short:             "Show everything about one sending",
		Long:              `Shows everything about one sending: its state and reason, its rows, its messages by outcome, its slices, and the drop's errors and warnings.`,
		Example:           "  campaignd show 42           the sending with number 42\n  campaignd show spring       the newest sending of the drop spring.csv",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, cfg, err := env.clientAndConfig()
			if err != nil {
				return err
			}
			defer c.Close()
			d, err := c.Sending(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(d)
			}
			env.useZone(cfg, d.ApplicationID)
			return printDetails(env, d)
		},
	}
}

func printDetails(env *environment, d api.Details) error {
	when := env.instant(d.ScheduledAt)
	if d.Sliced {
		when += ", " + string(d.Condition)
	}
	reason, wait := env.reasonTexts(d.Sending)
	dry := ""
	if d.DryRun {
		dry = "yes: nothing is sent"
	}
	env.printf("%s\n", env.bold(printable(fmt.Sprintf("%s  %s", d.ID, d.Name))))
	env.facts(
		[2]string{"state", string(d.State)},
		[2]string{"reason", reason},
		[2]string{"waits for", wait},
		[2]string{"reference", d.Reference},
		[2]string{"dry run", dry},
		[2]string{"application", idText(d.ApplicationID)},
		[2]string{"campaign", idText(d.CampaignID)},
		[2]string{"channels", strings.Join(d.Channels, ", ")},
		[2]string{"inbox", d.Inbox},
		[2]string{"folder", d.Folder},
		[2]string{"times in", env.zone.String()},
		[2]string{"received", env.instant(d.ReceivedAt)},
		[2]string{"accepted", env.instant(d.AcceptedAt)},
		[2]string{"scheduled", when},
		[2]string{"started", env.instant(d.StartedAt)},
		[2]string{"finished", env.instant(d.FinishedAt)},
		[2]string{"next slice", env.instant(d.NextSliceAt)},
		[2]string{"expected end", cmp.Or(env.instant(d.EstimatedEnd), unknownText(d.NoEstimate))},
		[2]string{"rows", rowsText(d.State, d.Recipients)},
		[2]string{"checked", checkedText(d.Sending)},
		[2]string{"messages", messagesText(d.Sending)},
		[2]string{"csv", csvText(d.CSV)},
	)
	printOutcomes(env, d.Messages)
	printDelivery(env, d.Delivery)
	printSlices(env, d.Slices)
	printProblems(env, "Errors", d.Errors, d.ErrorCount)
	printProblems(env, "Warnings", d.Warnings, len(d.Warnings))
	if e := d.LastError; e != nil {
		where := ""
		if e.Line > 0 {
			where = fmt.Sprintf(", line %d", e.Line)
		}
		env.printf("\nLast error (%s%s): %s\n", env.instant(e.At), where, printable(e.Error))
	}
	return printPreviews(env, d.Previews)
}

// unknownText says that something isn't known, and why; "" without a reason.
func unknownText(why string) string {
	if why == "" {
		return ""
	}
	return "unknown: " + why
}

// idText returns an application's or campaign's id, "" if it isn't known: a drop may be checked or rejected before.
func idText(id int64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprint(id)
}

// checkedText tells how far the check of a drop is, "" after it.
func checkedText(s api.Sending) string {
	if s.State != campaign.StateChecking {
		return ""
	}
	return percentText(s.Percent)
}

// messagesText tells how far a sending is. What ended otherwise than sent isn't "done".
func messagesText(s api.Sending) string {
	switch {
	case s.State.Final():
		return sentText(s)
	case s.State == campaign.StateChecking: // nothing is planned yet
		return ""
	}
	return fmt.Sprintf("%s planned, %s done", display.Number(s.Messages.Planned), percentText(s.Percent))
}

// reasonTexts returns the reason for a sending's state and what it waits for. If both are the same, as of a
// held or paused one, only reason is returned, with its times.
func (env *environment) reasonTexts(s api.Sending) (reason, wait string) {
	if wait = env.waitText(s.WaitsFor); wait != "" && s.WaitsFor.Reason == s.Reason {
		return wait, ""
	}
	return s.Reason, wait
}

// waitText describes a wait, "" if there is none.
func (env *environment) waitText(w *campaign.WaitsFor) string {
	if w == nil {
		return ""
	}
	return env.reasonText(w.Reason, w.Since, "until", w.Until)
}

// reasonText describes why something waits, since when, and when it ends or what happens next. Zero times are left out.
func (env *environment) reasonText(reason string, since time.Time, next string, at time.Time) string {
	if !since.IsZero() {
		reason += ", since " + env.instant(since)
	}
	if !at.IsZero() {
		reason += ", " + next + " " + env.instant(at)
	}
	return reason
}

// rowsText counts rows. No row of a rejected drop was accepted, but some may be good.
func rowsText(state campaign.State, r campaign.RowCounts) string {
	if r.Total == 0 {
		return ""
	}
	accepted := "accepted"
	if state == campaign.StateRejected {
		accepted = "good"
	}
	return fmt.Sprintf("%s: %s %s, %s rejected, %s duplicate", display.Number(r.Total), display.Number(r.Accepted), accepted, display.Number(r.Rejected), display.Number(r.Duplicate))
}

func csvText(c campaign.CSVInfo) string {
	if c.Bytes == 0 {
		return ""
	}
	return fmt.Sprintf("%s, %s, separated by %s, SHA-256 %s", display.Bytes(c.Bytes), c.Encoding, delimiterText(c.Delimiter), c.SHA256)
}

// delimiterText names a delimiter. A bare comma inside a comma-separated list would be unreadable.
func delimiterText(delimiter string) string {
	switch delimiter {
	case ",":
		return "comma"
	case ";":
		return "semicolon"
	case "|":
		return "bar"
	case "\t":
		return "tab"
	default:
		return delimiter
	}
}

// printOutcomes lists the outcomes with at least one message.
func printOutcomes(env *environment, m api.Messages) error {
	g := grid{header: []string{"outcome", "messages"}, right: []int{1}}
	for _, o := range []struct {
		name string
		n    uint64
	}{
		{"pending", m.Pending}, {"in flight or next", m.InFlight}, {"retrying", m.Retrying}, {"sent", m.Sent}, {"failed", m.Failed},
		{"unknown", m.Unknown}, {"expired", m.Expired}, {"canceled", m.Canceled}, {"suppressed", m.Suppressed}, {"skipped", m.Skipped},
	} {
		if o.n > 0 {
			g.add(o.name, display.Number(o.n))
		}
	}
	if len(g.rows) == 0 {
		return nil
	}
	env.printf("\n")
	return env.printGrid(g)
}

// printDelivery counts delivery receipts, for channels that report them.
func printDelivery(env *environment, c *campaign.DeliveryCounts) error {
	if c == nil {
		return nil
	}
	g := grid{header: []string{"delivery", "messages"}, right: []int{1}}
	g.add("delivered", display.Number(c.Delivered))
	g.add("read", display.Number(c.Read))
	g.add("failed", display.Number(c.Failed))
	env.printf("\n")
	return env.printGrid(g)
}

// edgeSlices is the number of slices listed at either end of a long list.
const edgeSlices = 12

func printSlices(env *environment, slices []api.Slice) error {
	if len(slices) == 0 || len(slices) == 1 && slices[0].End.IsZero() { // not sliced: "scheduled" says it
		return nil
	}
	g := grid{header: []string{"slice", "from", "to", "recipients"}, right: []int{0, 3}}
	for i, s := range slices {
		if len(slices) > 2*edgeSlices && i == edgeSlices {
			g.add("…", fmt.Sprintf("%s more, all with --json", display.Number(len(slices)-2*edgeSlices)), "", "")
		}
		if len(slices) > 2*edgeSlices && i >= edgeSlices && i < len(slices)-edgeSlices {
			continue
		}
		g.add(display.Number(i+1), env.instant(s.Start), env.instant(s.End), display.Number(s.Recipients))
	}
	env.printf("\n")
	return env.printGrid(g)
}

func printProblems(env *environment, title string, list []campaign.Problem, total int) error {
	if len(list) == 0 {
		return nil
	}
	all := []string{"", env.bold(fmt.Sprintf("%s (%s)", title, display.Number(total)))}
	for _, p := range list {
		all = append(all, "  "+printable(p.String()))
	}
	if total > len(list) {
		all = append(all, fmt.Sprintf("  and %s more", display.Number(total-len(list))))
	}
	return env.lines(all)
}

func printPreviews(env *environment, previews []campaign.Preview) error {
	if len(previews) == 0 {
		return nil
	}
	all := []string{"", env.bold("The first messages, as their recipients would see them")}
	for _, line := range preview.List(previews) {
		all = append(all, "  "+printable(line))
	}
	return env.lines(all)
}
