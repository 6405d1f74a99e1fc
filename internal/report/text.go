package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/preview"
)

// maxSlices is the most slices that report.txt lists; report.json has all of them.
const maxSlices = 20

// writeText writes report.txt, which is report.json for people. The first line says what
// happened and what to do. Facts follow, then every warning and error on its own
// line, position first.
func writeText(w io.Writer, zone *time.Location, s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts, failures []Failure) error {
	t := newTextWriter(w, zone)
	t.line("%s", headline(s, counts))
	t.line("")
	t.facts(s)
	t.amounts(s, counts)
	t.failures(failures)
	t.slices(s, slices)
	t.files(s)
	t.problems("Warnings", s.Warnings, len(s.Warnings))
	if !onlyReason(s) {
		t.errors(s)
	}
	t.previews(s)
	if err := t.w.Flush(); err != nil { // the first error of any write above
		return fmt.Errorf("write report of %s: %w", s.ID, err)
	}
	return nil
}

// textWriter writes a text for people with the times of one zone.
type textWriter struct {
	w    *bufio.Writer
	zone *time.Location
}

func newTextWriter(w io.Writer, zone *time.Location) textWriter {
	if zone == nil {
		zone = time.UTC
	}
	return textWriter{bufio.NewWriter(w), zone}
}

// line writes a line. Names, references and messages in it come from outside.
func (t textWriter) line(format string, args ...any) {
	_, _ = t.w.WriteString(display.Text(fmt.Sprintf(format, args...)) + "\n") // Flush returns the error
}

// fact writes a labeled value unless it is empty.
func (t textWriter) fact(label, value string) {
	if value != "" {
		t.line("  %-12s %s", label, display.Line(value))
	}
}

func (t textWriter) facts(s *campaign.Sending) {
	t.fact("Sending", string(s.ID))
	t.fact("Drop", s.Name)
	t.fact("Reference", s.Reference)
	if s.ApplicationID != 0 {
		what := fmt.Sprintf("%d of application %d", s.CampaignID, s.ApplicationID)
		if s.CampaignID == 0 {
			what = fmt.Sprintf("unknown, of application %d", s.ApplicationID)
		}
		t.fact("Campaign", what)
	}
	t.fact("State", string(s.State))
	t.fact("Reason", reason(s))
	t.fact("Time zone", t.zone.String())
	t.fact("Received", t.at(s.ReceivedAt))
	t.fact("Scheduled", t.at(s.ScheduledAt))
	t.fact("Started", t.at(s.StartedAt))
	t.fact("Finished", t.at(s.FinishedAt))
	if c := s.CSV; c.SHA256 != "" {
		t.fact("CSV", fmt.Sprintf("%s bytes, %s, %s", display.Number(c.Bytes), c.Encoding, delimiter(c.Delimiter)))
		t.fact("SHA-256", c.SHA256)
	}
}

// delimiter names the separator of the cells.
func delimiter(d string) string {
	switch d {
	case ",":
		return "comma between cells"
	case ";":
		return "semicolon between cells"
	case "|":
		return "bar between cells"
	case "\t":
		return "tab between cells"
	}
	return "one column"
}

func (t textWriter) at(moment time.Time) string {
	if moment.IsZero() {
		return ""
	}
	return moment.In(t.zone).Format(time.DateTime)
}

func (t textWriter) amounts(s *campaign.Sending, counts campaign.Counts) {
	if s.Rows == (campaign.RowCounts{}) {
		return
	}
	t.line("")
	rows := fmt.Sprintf("%s accepted", display.Number(s.Rows.Accepted))
	if s.State == campaign.StateRejected { // "accepted" would read like "sent"
		rows = fmt.Sprintf("%s good", display.Number(s.Rows.Accepted))
	}
	if s.Rows.Accepted+s.Rows.Rejected+s.Rows.Duplicate == 0 { // the rows were counted and not checked in full
		t.fact("Rows", display.Number(s.Rows.Total)+" in all")
		return
	}
	t.fact("Rows", fmt.Sprintf("%s in all: %s, %s rejected, %s duplicate", display.Number(s.Rows.Total), rows,
		display.Number(s.Rows.Rejected), display.Number(s.Rows.Duplicate)))
	if s.State == campaign.StateRejected || s.DryRun {
		return
	}
	t.fact("Messages", display.Number(s.Planned)+" planned")
	for _, o := range []campaign.Outcome{campaign.Sent, campaign.Failed, campaign.Unknown, campaign.Expired, campaign.Canceled,
		campaign.Suppressed, campaign.Skipped, campaign.Pending, campaign.InFlight, campaign.Retrying} {
		if n := counts[o]; n > 0 && (o.Final() || !s.State.Final()) {
			t.line("  %12s %-10s %s", display.Number(n), o, outcomeMeaning(o))
		}
	}
	t.deliveries(s)
}

// deliveries counts the receipts of sent messages, if there are any.
func (t textWriter) deliveries(s *campaign.Sending) {
	if !s.Receipts || s.Delivery == (Delivery{}) {
		return
	}
	t.line("  Of the sent messages, by the provider's receipts so far:")
	for _, one := range []struct {
		n          uint64
		name, what string
	}{{s.Delivery.Delivered, "delivered", "on the contact's device"}, {s.Delivery.Read, "read", "delivered and opened"},
		{s.Delivery.Failed, "failed", "accepted, but not delivered; results.csv has the reason"}} {
		if one.n > 0 {
			t.line("  %12s %-10s %s", display.Number(one.n), one.name, one.what)
		}
	}
}

// meaning explains an outcome.
func outcomeMeaning(o campaign.Outcome) string {
	switch o {
	case campaign.Sent:
		return "accepted by the receiver"
	case campaign.Failed:
		return "refused, or failed at the last attempt"
	case campaign.Unknown:
		return "we don't know whether it was sent"
	case campaign.Expired:
		return "could not be sent in time"
	case campaign.Canceled:
		return "not sent, because the sending was canceled"
	case campaign.Suppressed:
		return "not sent, because the contact has opted out"
	case campaign.Skipped:
		return "not sent, because the message before it wasn't accepted"
	case campaign.InFlight:
		return "being sent, or next to be sent"
	case campaign.Retrying:
		return "failed so far, will be tried again"
	default:
		return "to be sent"
	}
}

func (t textWriter) slices(s *campaign.Sending, slices []campaign.Slice) {
	if len(slices) == 0 || !slices[0].Sliced() {
		return
	}
	t.line("")
	t.line("Slices (%s):", s.Condition)
	list := sliceList(slices)
	for i, one := range list {
		if i == maxSlices {
			t.line("  and %s more; all are in report.json", display.Number(uint64(len(list)-i)))
			break
		}
		start, end := one.Start.In(t.zone), one.End.In(t.zone)
		layout := time.TimeOnly
		if end.Format(time.DateOnly) != start.Format(time.DateOnly) {
			layout = time.DateTime
		}
		t.line("  %s to %s  %s", start.Format(time.DateTime), end.Format(layout), display.Amount(one.Recipients, "recipient"))
	}
}

func (t textWriter) files(s *campaign.Sending) {
	var files [][2]string
	if HasResults(s) && s.State.Final() {
		files = append(files, [2]string{ResultsFile, "the outcome of every row and message"})
		if hasReplies(s) {
			files = append(files, [2]string{RepliesFile, "what recipients answered"})
		}
	}
	if s.Rows.Rejected > 0 {
		files = append(files, [2]string{RejectedFile, "the rejected rows as they came, with the reasons"})
	}
	if len(files) == 0 {
		return
	}
	t.line("")
	t.line("Files in this folder:")
	for _, f := range files {
		t.fact(f[0], f[1])
	}
}

func (t textWriter) problems(title string, list []campaign.Problem, count int) {
	if len(list) == 0 && count == 0 {
		return
	}
	t.line("")
	if count = max(count, len(list)); count > len(list) {
		t.line("%s (the first %s of %s):", title, display.Number(uint64(len(list))), display.Number(count))
	} else {
		t.line("%s (%s):", title, display.Number(count))
	}
	for _, p := range list {
		t.line("  %s", display.Line(p.String()))
	}
}

// errors lists the drop's errors, equal ones under the first of them.
func (t textWriter) errors(s *campaign.Sending) {
	count := max(s.ProblemCount, len(s.Problems))
	if count == 0 {
		return
	}
	t.line("")
	if count > len(s.Problems) {
		t.line("Errors (the first %s of %s):", display.Number(uint64(len(s.Problems))), display.Number(count))
	} else {
		t.line("Errors (%s):", display.Number(count))
	}
	for _, p := range groupProblems(s.Problems) {
		more := ""
		if p.Count > 1 {
			more = fmt.Sprintf(" (and in %s more)", display.Amount(uint64(p.Count-1), "place"))
		}
		t.line("  %s%s", display.Line(p.String()), more)
	}
}

// failures lists the reasons why messages failed, expired, are unknown or were not delivered.
func (t textWriter) failures(list []Failure) {
	if len(list) == 0 {
		return
	}
	t.line("")
	t.line("Failures by reason:")
	for _, f := range list {
		where := fmt.Sprintf("first at line %d", f.FirstLine)
		if f.Count == 1 {
			where = fmt.Sprintf("at line %d", f.FirstLine)
		}
		t.line("  %s × %s, %s", display.Number(f.Count), display.Line(strings.TrimSuffix(problem(f.Code, f.Detail), ".")), where)
	}
}

func (t textWriter) previews(s *campaign.Sending) {
	if len(s.Previews) == 0 {
		return
	}
	t.line("")
	t.line("The first messages as their recipients would see them:")
	for _, line := range preview.List(s.Previews) {
		t.line("  %s", display.Line(line))
	}
}
