package report

import (
	"fmt"
	"strings"

	"campaignd/internal/campaign"
)

// headline is the first line of report.txt: what happened, then what to do.
func headline(s *campaign.Sending, counts campaign.Counts) string {
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
	line := "Rejected, nothing was sent: " + clause(s.Reason, "the drop can't be used as it is")
	switch {
	case s.Rows.Rejected > 0:
		return line + " Mend what is listed below (the rejected rows are in rejected.csv) and drop all its files again."
	case s.ProblemCount > 0 && !onlyReason(s):
		return line + " Mend what is listed below and drop all its files again."
	default:
		return line + " Nothing else is wrong with the files: if they should be sent, change that and drop all of them again."
	}
}

// onlyReason reports whether the sending's only problem is its reason, which concerns no file.
func onlyReason(s *campaign.Sending) bool {
	return s.ProblemCount == 1 && len(s.Problems) == 1 && s.Problems[0].File == "" && s.Problems[0].Message == s.Reason
}

func noRoom(s *campaign.Sending) string {
	return "Canceled, nothing was sent: " + clause(s.Reason, "there was no room for it in the slots") +
		" Do as it says, or choose another time or slicingCondition, and drop all the files again."
}

func canceled(s *campaign.Sending, counts campaign.Counts) string {
	sent, maybe := counts[campaign.Sent], counts[campaign.Unknown]
	why := ""
	if s.Reason != "" {
		why = " (" + strings.TrimSuffix(clause(s.Reason, ""), ".") + ")"
	}
	if sent == 0 && maybe == 0 {
		return fmt.Sprintf("Canceled before anything was sent%s. If it should go out after all, drop the files again.", why)
	}
	line := fmt.Sprintf("Canceled after %s of %s had been sent%s.", number(sent), quantity(s.Planned, "message"), why)
	if maybe > 0 {
		line += fmt.Sprintf(" Of %s more no one can tell whether %s sent.", number(maybe), pronounWas(maybe))
	}
	return line + " To send the rest, make a new CSV of the lines that results.csv calls canceled: the whole drop again would send some twice."
}

func dryRun(s *campaign.Sending) string {
	line := fmt.Sprintf("Dry run, nothing was sent: %s would get %s in all.",
		quantity(uint64(s.Rows.Accepted), "recipient"), quantity(s.Planned, "message"))
	if s.Rows.Rejected > 0 {
		line += fmt.Sprintf(" %s would be rejected: mend what rejected.csv holds first.", quantity(uint64(s.Rows.Rejected), "row"))
	}
	return line + ` To send it, drop the files again without "dryRun" in the sidecar.`
}

func completed(s *campaign.Sending, counts campaign.Counts) string {
	sent, maybe := counts[campaign.Sent], counts[campaign.Unknown]
	refused := s.Rows.Rejected
	if sent == s.Planned && refused == 0 {
		return fmt.Sprintf("Done: %s%s. %s", everyMessageWasSent(s.Planned), repeated(s), nothingToDo(s))
	}
	var line string
	switch {
	case sent == s.Planned:
		line = fmt.Sprintf("Done: %s%s, but %s rejected.", everyMessageWasSent(s.Planned), repeated(s), countWere(uint64(refused), "row"))
	case sent == 0 && maybe == 0:
		line = fmt.Sprintf("Done, but nothing was sent of %s planned.", quantity(s.Planned, "message"))
	default:
		line = fmt.Sprintf("Done, but only %s of %s sent.", number(sent), countWere(s.Planned, "message"))
	}
	if sent != s.Planned {
		line += " What became of each, and why, is in results.csv."
		if refused > 0 {
			line += " " + countWere(uint64(refused), "row") + " rejected."
		}
	}
	if maybe > 0 {
		line += fmt.Sprintf(" Of %s no one can tell whether %s sent: ask the operator before sending again.", quantity(maybe, "message"), pronounWas(maybe))
	}
	if refused > 0 {
		line += " Mend the rejected rows in rejected.csv and drop that under a new name with the same layout."
	}
	return line
}

// repeated says how many rows were left out since their contact had come before.
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
	return number(n) + " rows repeat"
}

func verbWas(n uint64) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// nothingToDo doesn't send away who should read a warning.
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

// underWay serves those who look at a sending before its end.
func underWay(s *campaign.Sending, counts campaign.Counts) string {
	line := fmt.Sprintf("Not finished: it is %s; %s of %s sent so far.", s.State, number(counts[campaign.Sent]), countWere(s.Planned, "message"))
	if s.State == campaign.StateChecking {
		line = "Not finished: it is being checked; nothing is sent before every row has been."
	}
	if s.Reason != "" {
		line += " Reason: " + clause(s.Reason, "")
	}
	return line
}

func everyMessageWasSent(n uint64) string {
	if n == 1 {
		return "the one message was sent"
	}
	return fmt.Sprintf("all %s messages were sent", number(n))
}

// quantity is "1 row" or "2 rows".
func quantity(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(n) + " " + noun
}

// were is "1 row was" or "2 rows were".
func countWere(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun + " was"
	}
	return quantity(n, noun) + " were"
}

func pronounWas(n uint64) string {
	if n == 1 {
		return "it was"
	}
	return "they were"
}

// number is n with commas between thousands.
func number(n uint64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// clause is text, or instead if there is none, ended by one full stop.
func clause(text, instead string) string {
	text = strings.TrimRight(clean(text), ". ")
	if text == "" {
		text = instead
	}
	if text == "" || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}

// clean is text on one line and without what a terminal would obey: names,
// references and messages may hold what a stranger wrote.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069':
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}
