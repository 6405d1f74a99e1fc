package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"campaignd/internal/campaign"
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
	if err := in.Present(c.Inbox); err != nil {
		return err
	}
	f, _, err := safeio.OpenRegular(filepath.Join(c.Inbox, c.File.Name))
	if err != nil {
		return err
	}
	defer f.Close() // read only
	var applications []int64
	for _, a := range in.checker().Config.Applications {
		if inbox.Allows(a.ID) && (len(inbox.AllowApplications) > 0 || inbox.Application == 0 || inbox.Application == a.ID) {
			applications = append(applications, a.ID)
		}
	}
	if len(applications) == 0 {
		return in.failControl(c, "this inbox may send for no application, so there is nothing to opt out of")
	}
	if info, err := f.Stat(); err != nil {
		return err
	} else if inbox.MaxPendingBytes > 0 && info.Size() > inbox.MaxPendingBytes {
		return in.failControl(c, fmt.Sprintf("the list has %d bytes, and the files of this inbox may have %d together (max_pending_bytes): "+
			"upload it in smaller lists, or ask the operator", info.Size(), inbox.MaxPendingBytes))
	}
	list := OptOuts{Name: c.File.Name, Applications: applications, Channels: in.checker().Config.ChannelNames(applications), Source: "file:" + c.File.Name}
	added, rows, problems, err := list.Import(ctx, in.store, f)
	if errors.Is(err, store.ErrTooManyOptOuts) {
		return in.failControl(c, fmt.Sprintf("not all of the list was taken in (%d new opt-outs were): %v; ask the operator to raise max_opt_outs, then upload the list again",
			added, store.ErrTooManyOptOuts))
	}
	if err != nil {
		return err
	}
	if problems.Count > 0 && rows == 0 {
		return in.failControl(c, listProblems(problems.List[0].String(), problems))
	}
	if err := in.store.Audit(store.AuditEntry{Who: "file:" + filepath.Join(c.Inbox, c.File.Name), Action: "suppress",
		Detail: fmt.Sprintf("%d opt-outs, %d new", rows, added)}); err != nil {
		return err
	}
	in.log.Info("opt-outs taken in", "inbox", c.Inbox, "rows", rows, "new", added, "bad", problems.Count)
	if err := in.ensureFolders(c.Inbox); err != nil {
		return err
	}
	place := controlPlace(c, doneFolder, in.now())
	if err := safeio.WriteFile(place+stampedReport, 0o644, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s\n", optOutReport(rows, applications, problems))
		return err
	}); err != nil {
		return err
	}
	return moveFree(filepath.Join(c.Inbox, c.File.Name), place)
}

// optOutReport describes the result of a list. The first line is the summary.
func optOutReport(rows int, applications []int64, problems campaign.Problems) string {
	if rows == 0 {
		return "The list contains no opt-outs; nothing has changed."
	}
	name := "application"
	if len(applications) > 1 {
		name += "s"
	}
	text := fmt.Sprintf("%s taken in; they apply from now on to %s %s.", countNoun(int64(rows), "opt-out"), name, joinIDs(applications))
	if problems.Count == 0 {
		return text
	}
	return listProblems(text+" Fix the lines below and upload them in another list.", problems)
}

// listProblems returns a first line followed by every problem, unless that line says everything.
func listProblems(first string, problems campaign.Problems) string {
	var b strings.Builder
	b.WriteString(first)
	if problems.Count == 1 && strings.HasPrefix(first, problems.List[0].String()) {
		return first
	}
	fmt.Fprintf(&b, "\n\nNot taken in, or doubtful (%d):", problems.Count)
	for _, p := range problems.List {
		fmt.Fprintf(&b, "\n  %s", p)
	}
	return b.String()
}
