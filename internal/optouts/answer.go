package optouts

import (
	"fmt"
	"strconv"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
)

// Refusal returns the report on a list that isn't taken in. The first line of the reason may be followed
// by a list of problems.
func Refusal(file, reason string) string {
	first, rest, more := strings.Cut(reason, "\n")
	if more {
		rest = "\n" + rest
	}
	return fmt.Sprintf("%s was not taken in and nobody in it is opted out: %s.%s", file, first, rest)
}

// New returns a list as dropped into an inbox, or why it can't be taken in.
func New(c *config.Config, inbox *config.Inbox, name string, size int64) (list List, refused string) {
	list = List{Name: name, Config: c, Source: "file:" + name}
	for _, a := range c.Applications {
		if inbox.Allows(a.ID) && (len(inbox.AllowApplications) > 0 || inbox.Application == 0 || inbox.Application == a.ID) {
			list.Applications = append(list.Applications, a.ID)
		}
	}
	switch {
	case len(list.Applications) == 0:
		return list, "this inbox may send for no application, so there is nothing to opt out of"
	case inbox.MaxPendingBytes > 0 && size > inbox.MaxPendingBytes:
		return list, fmt.Sprintf("the list has %s, and the files of this inbox may have %s together (max_pending_bytes): "+
			"upload it in smaller lists, or ask the operator", display.Amount(size, "byte"), display.Number(inbox.MaxPendingBytes))
	}
	return list, ""
}

// Answer returns the report that a partner gets on the list, and whether it was taken in. refused is
// why it wasn't even read.
func (o List) Answer(done Result, refused string) (text string, taken bool) {
	if text = refused; text == "" {
		text, taken = o.Summary(done)
	}
	if !taken {
		text = Refusal(o.Name, text)
	}
	return text, taken
}

// Summary returns what became of the list, and whether it was taken in. The first sentence tells the most
// important.
func (o List) Summary(done Result) (text string, taken bool) {
	refused := done.refusedLines()
	switch {
	case done.Rows == 0 && refused != "":
		return listProblems(refused, done.Problems), false
	case done.Rows == 0 && done.Problems.Count > 0:
		return listProblems(done.Problems.List[0].String(), done.Problems), false
	case done.Rows == 0:
		return "The list contains no opt-outs; nothing has changed.", true
	}
	name := "application"
	if len(o.Applications) > 1 {
		name += "s"
	}
	apply := "they apply"
	if done.Rows == 1 {
		apply = "it applies"
	}
	text = fmt.Sprintf("%s taken in; %s from now on to %s %s.", display.Amount(done.Rows, "opt-out"), apply, name, display.Numbers(o.Applications))
	if refused != "" {
		text = refused + ", and " + text + " Fix the refused lines and upload them in another list."
	}
	return listProblems(text, done.Problems), true
}

// refusedLines names the refused lines, "" if there are none.
func (r *Result) refusedLines() string {
	if r.Refused == 0 {
		return ""
	}
	numbers := make([]string, len(r.Lines))
	for i, line := range r.Lines {
		numbers[i] = strconv.Itoa(line)
	}
	were, lines := "were", "lines "
	if r.Refused == 1 {
		were, lines = "was", "line "
	}
	if more := r.Refused - len(r.Lines); more > 0 {
		numbers = append(numbers, fmt.Sprintf("and %s more", display.Number(more)))
	}
	return fmt.Sprintf("%s %s refused (%s%s)", display.Amount(r.Refused, "line"), were, lines, strings.Join(numbers, ", "))
}

// listProblems returns a first line followed by every problem, unless that line says everything.
func listProblems(first string, problems campaign.Problems) string {
	var b strings.Builder
	b.WriteString(first)
	if problems.Count == 0 || problems.Count == 1 && strings.HasPrefix(first, problems.List[0].String()) {
		return first
	}
	fmt.Fprintf(&b, "\n\nNot taken in, or doubtful (%d):", problems.Count)
	for _, p := range problems.List {
		fmt.Fprintf(&b, "\n  %s", p)
	}
	return b.String()
}
