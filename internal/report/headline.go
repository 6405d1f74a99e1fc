package report

import (
	"fmt"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// headline returns the first line of report.txt: what happened, then what to do.
func headline(s *campaign.Sending, counts campaign.Counts) string {
	line := result(s, counts)
	for _, w := range s.Warnings {
		if w.Code == campaign.CodeSilentChannel {
			return "Nothing was sent: " + clause(w.Message, "") + " For the record: " + line
		}
	}
	return line
}

func result(s *campaign.Sending, counts campaign.Counts) string {
	switch {
	case s.State == campaign.StateRejected:
		return rejected(s)
	case s.State == campaign.StateCanceled && s.AcceptedAt.IsZero():
		return noRoom(s)
	case s.State == campaign.StateCanceled:
		return canceled(s, counts)
	case s.DryRun && s.State == campaign.StateCompleted:
		return dryRun(s)
	case s.State == campaign.StateCompleted:
		return completed(s, counts)
	default:
		return underWay(s, counts)
	}
}

func rejected(s *campaign.Sending) string {
	line := "Rejected, nothing was sent: " + clause(s.Reason, "the drop has errors")
	switch {
	case s.Rows.Rejected > 0:
		return line + " Fix the errors below (the rejected rows are in rejected.csv) and upload all its files again."
	case s.ProblemCount > 0 && !onlyReason(s):
		return line + " Fix the errors below and upload all its files again."
	default:
		return line + " Nothing else is wrong with the files: to send them, change that and upload all of them again."
	}
}

// onlyReason reports whether the sending's only problem is its reason, which concerns no file.
func onlyReason(s *campaign.Sending) bool {
	return s.ProblemCount == 1 && len(s.Problems) == 1 && s.Problems[0].File == "" && s.Problems[0].Message == s.Reason
}

func noRoom(s *campaign.Sending) string {
	return "Canceled, nothing was sent: " + clause(s.Reason, "the slots have no room for it") +
		" Follow that advice, or choose another time or slicingCondition, and upload all the files again."
}

func canceled(s *campaign.Sending, counts campaign.Counts) string {
	sent, maybe := counts[campaign.Sent], counts[campaign.Unknown]
	why := ""
	if s.Reason != "" {
		why = " (" + strings.TrimSuffix(clause(s.Reason, ""), ".") + ")"
	}
	if sent == 0 && maybe == 0 {
		line := fmt.Sprintf("Canceled before anything was sent%s.", why)
		if failed := counts[campaign.Failed]; failed > 0 {
			line += fmt.Sprintf(" %s failed.", display.Amount(failed, "message"))
		}
		return line + " To send it after all, upload the files again."
	}
	line := fmt.Sprintf("Canceled after %s of %s had been sent%s%s.", display.Number(sent), display.Amount(s.Planned, "message"), why,
		list(": ", problems(s, counts)))
	if sent == 0 {
		line = fmt.Sprintf("Canceled before it was certain that anything was sent%s%s.", why, list(": ", problems(s, counts)))
	}
	line += unknown(maybe)
	if counts[campaign.Canceled] == 0 { // there is no rest
		return line
	}
	return line + " To send the rest, make a new CSV of " + linesCalled(s, campaign.Canceled) + ": uploading the whole drop again would send some twice."
}

// linesCalled names the lines of which nothing was sent because of an outcome. A line with several messages may have
// that outcome although its first messages were sent.
func linesCalled(s *campaign.Sending, o campaign.Outcome) string {
	if s.Planned > uint64(s.Rows.Accepted) {
		return fmt.Sprintf("the lines with %s messages of which results.csv calls none sent or unknown", o)
	}
	return fmt.Sprintf("the lines that results.csv calls %s", o)
}

// problems says how many messages didn't arrive, by what became of them.
func problems(s *campaign.Sending, counts campaign.Counts) []string {
	var parts []string
	add := func(n uint64, what string) {
		if n > 0 {
			parts = append(parts, display.Number(n)+" "+what)
		}
	}
	add(counts[campaign.Failed], "failed")
	add(counts[campaign.Unknown], "may have been sent")
	add(counts[campaign.Expired], "expired")
	if s.State != campaign.StateCanceled {
		add(counts[campaign.Canceled], "canceled")
	}
	add(counts[campaign.Suppressed], "suppressed by opt-outs")
	add(counts[campaign.Skipped], "skipped after a failure")
	if undelivered := s.Delivery.Failed; s.Receipts && undelivered > 0 {
		verb := "were"
		if undelivered == 1 {
			verb = "was"
		}
		parts = append(parts, fmt.Sprintf("%s %s accepted but not delivered", display.Number(undelivered), verb))
	}
	return parts
}

// list joins parts behind a lead, or returns "" without parts.
func list(lead string, parts []string) string {
	switch n := len(parts); n {
	case 0:
		return ""
	case 1:
		return lead + parts[0]
	default:
		return lead + strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
}

// unknown says what to do about messages that may have been sent.
func unknown(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" We don't know whether %s delivered: ask the operator before sending again.", countWere(n, "message"))
}

func dryRun(s *campaign.Sending) string {
	line := fmt.Sprintf("Dry run, nothing was sent: %s would get %s in all.",
		display.Amount(s.Rows.Accepted, "recipient"), display.Amount(s.Planned, "message"))
	if s.Rows.Rejected > 0 {
		line += fmt.Sprintf(" %s would be rejected: fix the rows in rejected.csv first.", display.Amount(s.Rows.Rejected, "row"))
	}
	return line + ` To send it, upload the files again without "dryRun" in the schedule.`
}

func completed(s *campaign.Sending, counts campaign.Counts) string {
	sent, rejected, missing := counts[campaign.Sent], uint64(s.Rows.Rejected), problems(s, counts)
	if len(missing) == 0 && rejected == 0 && sent == s.Planned {
		line := fmt.Sprintf("Done: %s%s.", everyMessageWasSent(s.Planned), repeated(s))
		switch {
		case s.Rows.Duplicate > 0 && len(s.Warnings) > 0:
			return line + " Read the warnings below."
		case s.Rows.Duplicate > 0:
			return line
		}
		return line + " " + nothingToDo(s)
	}
	var line string
	switch {
	case sent == s.Planned:
		parts := missing
		if rejected > 0 {
			parts = append(parts, countWere(rejected, "row")+" rejected")
		}
		line = fmt.Sprintf("Done: %s%s%s.", everyMessageWasSent(s.Planned), repeated(s), list(", but ", parts))
	case sent == 0 && counts[campaign.Unknown] == 0:
		line = fmt.Sprintf("Done, but nothing was sent of %s planned%s.", display.Amount(s.Planned, "message"), list(": ", missing))
	case sent == 0:
		line = fmt.Sprintf("Done, but it isn't certain that anything was sent of %s planned%s.", display.Amount(s.Planned, "message"), list(": ", missing))
	default:
		line = fmt.Sprintf("Done, but only %s sent%s.", countOf(sent, s.Planned, "message"), list(": ", missing))
	}
	if len(missing) > 0 {
		line += " results.csv says what became of each message, and why."
	}
	if sent != s.Planned && rejected > 0 {
		line += fmt.Sprintf(" %s rejected.", countWere(rejected, "row"))
	}
	if counts[campaign.Failed] > 0 {
		line += " If the reasons below can be fixed, the operator can send the failed ones again."
	}
	if counts[campaign.Expired] > 0 {
		line += " To send the expired ones after all, make a new CSV of " + linesCalled(s, campaign.Expired) + "."
	}
	line += unknown(counts[campaign.Unknown])
	if rejected > 0 {
		line += " Fix the rejected rows in rejected.csv and upload it under a new name with the same layout."
	}
	return line
}

// repeated says how many rows were left out because their contact appeared before.
func repeated(s *campaign.Sending) string {
	if s.Rows.Duplicate == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s a contact and %s left out)", countRepeat(uint64(s.Rows.Duplicate)), verbWas(uint64(s.Rows.Duplicate)))
}

func countRepeat(n uint64) string {
	if n == 1 {
		return "1 row repeats"
	}
	return display.Number(n) + " rows repeat"
}

func verbWas(n uint64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// nothingToDo points at the warnings, if there are any.
func nothingToDo(s *campaign.Sending) string {
	switch len(s.Warnings) {
	case 0:
		return "There is nothing to do."
	case 1:
		return "There is nothing to do, unless the warning below says otherwise."
	default:
		return "There is nothing to do, unless the warnings below say otherwise."
	}
}

// underWay is the headline of a sending that hasn't ended.
func underWay(s *campaign.Sending, counts campaign.Counts) string {
	line := fmt.Sprintf("Not finished: it is %s; %s sent so far.", s.State, countOf(counts[campaign.Sent], s.Planned, "message"))
	if s.State == campaign.StateChecking {
		line = "Not finished: it is being checked; nothing is sent before every row is checked."
	}
	if s.Reason != "" {
		line += " Reason: " + clause(s.Reason, "")
	}
	return line
}

func everyMessageWasSent(n uint64) string {
	switch n {
	case 1:
		return "the one message was sent"
	case 2:
		return "both messages were sent"
	}
	return fmt.Sprintf("all %s messages were sent", display.Number(n))
}

// countWere returns "1 row was" or "2 rows were".
func countWere(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun + " was"
	}
	return display.Amount(n, noun) + " were"
}

// countOf returns "1 of 2 messages was" or "2 of 3 messages were".
func countOf(n, all uint64, noun string) string {
	verb := verbWas(n)
	if all == 1 {
		verb = verbWas(all)
	}
	return fmt.Sprintf("%s of %s %s", display.Number(n), display.Amount(all, noun), verb)
}

// clause returns text, or instead if it is empty, with one full stop at its end.
func clause(text, instead string) string {
	text = strings.TrimRight(display.Line(text), ". ")
	if text == "" {
		text = instead
	}
	if text == "" || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}
