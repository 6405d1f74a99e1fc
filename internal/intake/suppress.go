package intake

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// suppress imports NAME.suppress.csv: the columns contactCode and, optional, channelType. It
// applies to the applications that this inbox may send for.
func (in *Intake) suppress(ctx context.Context, c watch.Control) error {
	inbox := in.inbox(c.Inbox)
	if inbox == nil {
		return nil
	}
	if err := in.inboxes.Present(c.Inbox); err != nil {
		return err
	}
	f, _, err := safeio.OpenRegular(filepath.Join(c.Inbox, c.File.Name))
	if err != nil {
		return err
	}
	defer f.Close() // read only
	info, err := f.Stat()
	if err != nil {
		return err
	}
	list, refused := NewOptOuts(in.Checker().Config, inbox, c.File.Name, info.Size())
	if refused != "" {
		return in.failControl(c, refused)
	}
	leave, full := in.pending.admit(inbox, load{bytes: info.Size()})
	if full != "" {
		if in.now().Sub(c.FirstSeen) > inbox.PairTimeout {
			in.endListWait(c)
			return in.failControl(c, fmt.Sprintf("it waited %s for drops of this inbox to end: %s; upload it again when some have ended, or ask the operator",
				formatDuration(inbox.PairTimeout), full))
		}
		in.log.Once("full "+c.Inbox+" "+c.File.Name, "a list of opt-outs waits for drops of its inbox to end", "inbox", c.Inbox, "file", c.File.Name, "reason", full)
		in.setListWait(c, full)
		return nil // the next scan tries again
	}
	in.endListWait(c)
	defer leave()
	done, err := list.Import(ctx, in.store, f)
	if errors.Is(err, store.ErrTooManyOptOuts) {
		return in.failControl(c, fmt.Sprintf("not all of the list was taken in (%s were): %v; ask the operator to raise max_opt_outs, then upload the list again",
			display.Amount(done.Added, "new opt-out"), store.ErrTooManyOptOuts))
	}
	if err != nil {
		return err
	}
	answer, taken := list.answer(done)
	if !taken {
		return in.failControl(c, answer)
	}
	if err := in.store.Audit(store.AuditEntry{Who: "file:" + filepath.Join(c.Inbox, c.File.Name), Action: "suppress",
		Detail: fmt.Sprintf("%d opt-outs, %d new", done.Rows, done.Added)}); err != nil {
		return err
	}
	in.log.Info("opt-outs taken in", "inbox", c.Inbox, "rows", done.Rows, "new", done.Added, "refused", done.Refused)
	if err := in.inboxes.Ensure(c.Inbox); err != nil {
		return err
	}
	place := controlPlace(c, folders.Done, in.now())
	if err := writeAnswer(place, "%s", answer); err != nil {
		return err
	}
	return moveFree(filepath.Join(c.Inbox, c.File.Name), place)
}

// NewOptOuts returns a list as dropped into an inbox, or why it can't be taken in.
func NewOptOuts(c *config.Config, inbox *config.Inbox, name string, size int64) (list OptOuts, refused string) {
	list = OptOuts{Name: name, Config: c, Source: "file:" + name}
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
func (o OptOuts) Answer(done OptOutResult, refused string) (text string, taken bool) {
	if text = refused; text == "" {
		text, taken = o.answer(done)
	}
	if !taken {
		text = controlRefusal(watch.Control{Action: watch.ActionSuppress, File: watch.File{Name: o.Name}}, text)
	}
	return text, taken
}

// answer is Answer without the name of the file. The first sentence is the summary.
func (o OptOuts) answer(done OptOutResult) (text string, taken bool) {
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
func (r *OptOutResult) refusedLines() string {
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
