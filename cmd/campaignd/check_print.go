package main

import (
	"fmt"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/preview"
	"campaignd/internal/report"
)

// print writes the outcome of the check: the keys of report.json with --json, text otherwise.
func (c *checked) print(env *environment) error {
	if env.json {
		return env.printJSON(checkDocument{c.document(), c.Wait})
	}
	var b strings.Builder
	switch s := &c.Sending; s.State {
	case campaign.StateRejected:
		if c.Notes != nil {
			return env.printf("%s", printable(strings.Join(c.Notes, "\n")+"\n"))
		}
		if c.Wait != nil {
			fmt.Fprintf(&b, "%s would wait until %s and then go to failed/: %s\n", s.Name, display.Time(c.Wait.Until, c.zone), sentence(c.Wait.Reason))
			b.WriteString("Fix the errors below and check again.\n")
			break
		}
		fmt.Fprintf(&b, "%s would be rejected and nothing would be sent: %s\n", s.Name, sentence(s.Reason))
		if s.ProblemCount > 0 {
			b.WriteString("Fix the errors below and check again.\n")
		}
	case campaign.StateCanceled:
		fmt.Fprintf(&b, "%s would be canceled and nothing would be sent: %s\n", s.Name, sentence(s.Reason))
	default:
		c.accepted(&b, env.zone)
	}
	c.problems(&b)
	c.previews(&b)
	return env.printf("%s", printable(b.String()))
}

// checkDocument has the keys of report.json and what a drop would wait for.
type checkDocument struct {
	*report.Document
	WaitsFor *campaign.WaitsFor `json:"waitsFor,omitempty"` // nil: it would be taken, rejected or canceled at once
}

// document returns the keys of report.json.
func (c *checked) document() *report.Document {
	return report.Report(&c.Sending, c.Slices, campaign.Counts{})
}

// sentence returns text with exactly one full stop at its end.
func sentence(text string) string { return strings.TrimRight(text, ". ") + "." }

func (c *checked) accepted(b *strings.Builder, zone *time.Location) {
	s := &c.Sending
	fmt.Fprintf(b, "%s would be accepted: %s to %s of %s.\n", s.Name,
		display.Amount(s.Planned, "message"), display.Amount(s.Rows.Accepted, "recipient"), display.Amount(s.Rows.Total, "row"))
	fmt.Fprintf(b, "Application %d, campaign %d, on %s.\n", s.ApplicationID, s.CampaignID, strings.Join(s.Channels, ", "))
	if s.Rows.Rejected+s.Rows.Duplicate > 0 {
		fmt.Fprintf(b, "Not sent: %s rejected, %s.\n", display.Number(s.Rows.Rejected), display.Amount(s.Rows.Duplicate, "duplicate"))
	}
	if s.DryRun {
		b.WriteString("The schedule requests a dry run: nothing would be sent.\n")
	}
	due := s.ScheduledAt.In(zone).Format("Mon 2 Jan 2006 15:04:05 MST")
	if zone != time.UTC {
		due += fmt.Sprintf(" (times in %s)", zone)
	}
	fmt.Fprintf(b, "Due %s.\n", due)
	if !s.Sliced {
		return
	}
	where := "assuming empty slots, because no daemon is running"
	if c.Real {
		where = "with the slots reserved at the moment"
	}
	fmt.Fprintf(b, "\nSlices, %s (%s):\n", where, s.Condition)
	for _, line := range sliceLines(c.Slices, zone) {
		b.WriteString("  " + line + "\n")
	}
}

// problems lists warnings and errors. The errors of an accepted drop are its bad rows.
func (c *checked) problems(b *strings.Builder) {
	s := &c.Sending
	for _, list := range []struct {
		title string
		all   []campaign.Problem
		count int
	}{{"Warnings", s.Warnings, len(s.Warnings)}, {"Errors", s.Problems, s.ProblemCount}} {
		switch {
		case list.count == 0:
			continue
		case list.count > len(list.all):
			fmt.Fprintf(b, "\n%s (the first %s of %s):\n", list.title, display.Number(len(list.all)), display.Number(list.count))
		default:
			fmt.Fprintf(b, "\n%s (%s):\n", list.title, display.Number(list.count))
		}
		for _, p := range list.all {
			fmt.Fprintf(b, "  %s\n", strings.Join(strings.Fields(p.String()), " "))
		}
	}
}

func (c *checked) previews(b *strings.Builder) {
	if len(c.Sending.Previews) == 0 {
		return
	}
	b.WriteString("\nThe first messages, as their recipients would see them:\n")
	for _, line := range preview.List(c.Sending.Previews) {
		fmt.Fprintf(b, "  %s\n", line)
	}
}

// maxSliceLines limits the lines of slices shown.
const maxSliceLines = 20

// sliceLines describes slices in text. Adjacent slices of equal size share a
// line, so that 172,800 slots of one second stay readable.
func sliceLines(list []campaign.Slice, zone *time.Location) []string {
	var out []string
	for i := 0; i < len(list); {
		first, n := list[i], 1
		for i+n < len(list) && list[i+n].Recipients == first.Recipients && list[i+n].Start.Equal(list[i+n-1].End) {
			n++
		}
		last := list[i+n-1]
		if len(out) == maxSliceLines {
			rest := uint64(0)
			for _, one := range list[i:] {
				rest += uint64(one.Recipients)
			}
			return append(out, fmt.Sprintf("… and %s in %s, the last until %s", display.Amount(rest, "recipient"), display.Amount(uint64(len(list)-i), "more slot"),
				list[len(list)-1].End.In(zone).Format("Mon 2 Jan 15:04:05")))
		}
		from, until, format := first.Start.In(zone), last.End.In(zone), "15:04:05"
		if y, d := last.Start.In(zone).Year(), last.Start.In(zone).YearDay(); y != from.Year() || d != from.YearDay() {
			format = "Mon 2 Jan 15:04:05"
		}
		line := fmt.Sprintf("%s – %s  %s", from.Format("Mon 2 Jan 15:04:05"), until.Format(format), display.Amount(first.Recipients, "recipient"))
		if n > 1 {
			line += fmt.Sprintf(" in each of %s slots", display.Number(n))
		}
		out = append(out, line)
		i += n
	}
	return out
}
