package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/roster"
	"campaignd/internal/plan/sheet"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// suppressGroup is how many opt-outs go into one transaction.
const suppressGroup = 5000

// suppress takes NAME.suppress.csv in: the columns contactCode and, optional,
// channelType. It holds for the applications this inbox may send for.
func (in *Intake) suppress(ctx context.Context, c watch.Control) error {
	inbox := in.inbox(c.Inbox)
	if inbox == nil {
		return nil
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
		return in.failControl(c, errors.New("this inbox may send for no application, so there is nothing to opt out of"))
	}
	added, rows, problems, err := ImportSuppressions(ctx, in.store, f, c.File.Name, applications, "file:"+c.File.Name)
	if err != nil {
		return err
	}
	if problems.Count > 0 && rows == 0 {
		return in.failControl(c, errors.New(problems.List[0].String()))
	}
	if err := in.store.Audit(store.AuditEntry{Who: "file:" + filepath.Join(c.Inbox, c.File.Name), Action: "suppress",
		Detail: fmt.Sprintf("%d opt-outs, %d new", rows, added)}); err != nil {
		return err
	}
	in.log.Info("opt-outs taken in", "inbox", c.Inbox, "rows", rows, "new", added, "bad", problems.Count)
	if err := MakeFolders(c.Inbox); err != nil {
		return err
	}
	name := "application"
	if len(applications) > 1 {
		name += "s"
	}
	place := filepath.Join(c.Inbox, doneFolder, fmt.Sprintf("%s.%s", c.File.Name, in.now().UTC().Format("20060102T150405Z")))
	if err := safeio.WriteFile(place+".report.txt", 0o644, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s taken in; they hold from now on, for %s %s.\n", amount(int64(rows), "opt-out"), name, listed(applications))
		if problems.Count > 0 && err == nil {
			_, err = fmt.Fprintf(w, "\nNot taken in, or doubtful (%d); mend them and drop them in another list:\n", problems.Count)
		}
		for _, p := range problems.List {
			if err == nil {
				_, err = fmt.Fprintf(w, "  %s\n", p)
			}
		}
		return err
	}); err != nil {
		return err
	}
	return moveFree(filepath.Join(c.Inbox, c.File.Name), place)
}

// ImportSuppressions reads a CSV of opt-outs into the store, for each of the
// applications. It returns how many were new, how many good rows there were, and
// what was wrong with the others. name is the file's, source says who brought it.
func ImportSuppressions(ctx context.Context, st *store.Store, f *os.File, name string, applications []int64, source string) (added, rows int, problems campaign.Problems, err error) {
	info, err := Inspect(ctx, &Parts{CSV: Part{Name: name, File: f}})
	if err != nil {
		return 0, 0, problems, err
	}
	if problems = info.Problems(name); problems.Count > 0 {
		return 0, 0, problems, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, 0, problems, err
	}
	if info.Unterminated {
		defer func() {
			problems.Addf(name, int(info.Lines), 0, "", "the last line has no end: if the upload was cut, put the whole list again")
		}()
	}
	reader, problems, err := sheet.NewReader(f, *info, sheet.Options{File: name, Wanted: []string{"contactCode"}})
	if err != nil || problems.Count > 0 || reader == nil {
		return 0, 0, problems, err
	}
	code, channel := slices.Index(reader.Columns(), "contactCode"), slices.Index(reader.Columns(), "channelType")
	if code < 0 {
		problems.Addf(name, 1, 1, "contactCode", "no such column; there are: %s", strings.Join(reader.Columns(), ", "))
		return 0, 0, problems, nil
	}
	var list []store.Suppression
	flush := func() error {
		n, err := st.AddSuppressions(list)
		added += n
		list = list[:0]
		return err
	}
	var batch sheet.Batch
	for {
		err := reader.ReadBatch(&batch)
		if errors.Is(err, io.EOF) {
			return added, rows, problems, flush()
		}
		if broken, ok := errors.AsType[*sheet.Broken](err); ok {
			problems.Add(broken.Problem)
			return added, rows, problems, flush()
		}
		if err != nil {
			return added, rows, problems, err
		}
		for i := range batch.Len() {
			if fault, _ := batch.Fault(i); fault != sheet.FaultNone {
				problems.Addf(name, int(batch.Line(i)), 0, "", "has other cells than the header, or a stray quote")
				continue
			}
			// Trimmed as a drop's are, or the two would never meet.
			contact := bytes.Trim(batch.Cell(i, code), " ")
			if reason := roster.ContactReason(contact); reason != "" {
				problems.Addf(name, int(batch.Line(i)), 0, "contactCode", "%s", reason)
				continue
			}
			one := store.Suppression{ContactCode: string(contact), Source: source}
			if channel >= 0 {
				one.ChannelType = strings.TrimSpace(string(batch.Cell(i, channel)))
			}
			rows++
			for _, application := range applications {
				one.ApplicationID = application
				list = append(list, one)
			}
		}
		if len(list) >= suppressGroup {
			if err := flush(); err != nil {
				return added, rows, problems, err
			}
		}
	}
}
