package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/store"
)

// suppressGroup is how many opt-outs go into one transaction.
const suppressGroup = 5000

// OptOuts is a list of opt-outs about to be taken in.
type OptOuts struct {
	Name         string   // the file's, for messages
	Applications []int64  // those that it holds for
	Channels     []string // those that there are; another is doubtful. nil: not known
	Source       string   // who brought it
}

// Import reads a CSV of opt-outs into the store: the columns contactCode and, optional,
// channelType, or a list of bare contacts without a header. It returns how many were
// new, how many good rows there were, and what was wrong with the others or is doubtful.
// The error is of the machine or of ctx.
func (o OptOuts) Import(ctx context.Context, st *store.Store, f *os.File) (added, rows int, problems campaign.Problems, err error) {
	info, err := Inspect(ctx, &Parts{CSV: Part{Name: o.Name, File: f}})
	if err != nil {
		return 0, 0, problems, err
	}
	if problems = info.Problems(o.Name); problems.Count > 0 {
		return 0, 0, problems, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, 0, problems, err
	}
	reader, problems, err := csvfile.NewReader(f, *info, csvfile.Options{File: o.Name, Wanted: []string{"contactCode"}})
	if err != nil || reader == nil {
		return 0, 0, problems, err
	}
	t := optOutTaker{OptOuts: o, store: st, code: column(reader, "contactCode"), channel: column(reader, "channelType")}
	bare := t.code < 0 && bareContacts(reader.Columns())
	switch {
	case bare: // a header can't be wrong where there is none
		t.code, t.channel = 0, len(reader.Columns())-2 // the second of two, -1 of one
		if t.channel == 0 {
			t.channel = 1
		}
		t.take(1, []byte(reader.Columns()[0]), strings.Join(reader.Columns()[1:], ""))
	case problems.Count > 0:
		return 0, 0, problems, nil
	case t.code < 0:
		problems.Addf(o.Name, 1, 1, "contactCode", "no such column; the first line has to name the columns: contactCode and, for opt-outs of one channel alone, channelType")
		return 0, 0, problems, nil
	}
	err = t.all(reader)
	if info.Unterminated {
		t.problems.Addf(o.Name, int(info.Lines), 0, "", "the last line has no end: if the upload was cut, put the whole list again")
	}
	return t.added, t.rows, t.problems, err
}

// column is the index of a column, however it is capitalized; -1 if there is none.
func column(reader *csvfile.Reader, name string) int {
	return slices.IndexFunc(reader.Columns(), func(c string) bool { return strings.EqualFold(c, name) })
}

// bareContacts reports whether a first line is no header but an opt-out already: a
// number or an address, and perhaps a channel. An opt-out that is lost is a message too many.
func bareContacts(cells []string) bool {
	if len(cells) == 0 || len(cells) > 2 || recipients.ContactReason([]byte(cells[0])) != "" {
		return false
	}
	if strings.Contains(cells[0], "@") {
		return true
	}
	digits := 0
	for _, c := range cells[0] {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case !strings.ContainsRune("+-(). ", c):
			return false
		}
	}
	return digits >= 5
}

// optOutTaker takes in one list.
type optOutTaker struct {
	OptOuts
	store         *store.Store
	code, channel int // columns; channel is -1 if there is none

	list        []store.OptOut
	added, rows int
	problems    campaign.Problems
}

func (t *optOutTaker) all(reader *csvfile.Reader) error {
	var batch csvfile.Batch
	for {
		err := reader.ReadBatch(&batch)
		if errors.Is(err, io.EOF) {
			return t.flush()
		}
		if broken, ok := errors.AsType[*csvfile.Broken](err); ok {
			t.problems.Add(broken.Problem)
			return t.flush()
		}
		if err != nil {
			return err
		}
		for i := range batch.Len() {
			if fault, _ := batch.Fault(i); fault != csvfile.FaultNone {
				t.problems.Addf(t.Name, int(batch.Line(i)), 0, "", "has other cells than the header, or a stray quote")
				continue
			}
			channel := ""
			if t.channel >= 0 {
				channel = string(batch.Cell(i, t.channel))
			}
			t.take(int(batch.Line(i)), batch.Cell(i, t.code), channel)
		}
		if len(t.list) >= suppressGroup {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
}

// take notes one opt-out, or what is wrong with it.
func (t *optOutTaker) take(line int, contact []byte, channel string) {
	// Trimmed as a drop's are, or the two would never meet.
	contact, channel = bytes.Trim(contact, " "), strings.TrimSpace(channel)
	if reason := recipients.ContactReason(contact); reason != "" {
		t.problems.Addf(t.Name, line, 0, "contactCode", "%s", reason)
		return
	}
	if channel != "" && t.Channels != nil && !slices.Contains(t.Channels, channel) {
		t.problems.Addf(t.Name, line, 0, "channelType", "taken in, but there is no channel of this name (there are: %s); left empty it holds for every channel",
			strings.Join(t.Channels, ", "))
	}
	t.rows++
	for _, application := range t.Applications {
		t.list = append(t.list, store.OptOut{ApplicationID: application, ChannelType: channel, ContactCode: string(contact), Source: t.Source})
	}
}

func (t *optOutTaker) flush() error {
	n, err := t.store.AddOptOuts(t.list)
	t.added += n
	t.list = t.list[:0]
	if err != nil {
		return fmt.Errorf("store opt-outs: %w", err)
	}
	return nil
}
