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
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/store"
)

// suppressGroup sets the number of opt-outs added together: the more, the less each costs, and about
// 25 MB of memory.
const suppressGroup = 250_000

// OptOuts is a list of opt-outs to be imported.
type OptOuts struct {
	Name         string   // name of the file, for messages
	Applications []int64  // applications that they apply to
	Channels     []string // channels that exist; nil if unknown
	Source       string   // origin, for the record
}

// Import reads a CSV of opt-outs into the store: the columns contactCode and, optional,
// channelType, or a list of bare contacts without a header. It returns how many opt-outs were new,
// how many rows were good, and the problems of the others. The error concerns the machine or ctx.
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
	reader, problems, err := csvfile.NewReader(f, *info, csvfile.Options{File: o.Name, Wanted: []string{"contactCode"}, Lenient: true})
	if err != nil || reader == nil {
		return 0, 0, problems, err
	}
	im := optOutImporter{OptOuts: o, store: st, at: time.Now().UTC(), code: column(reader, "contactCode"), channel: column(reader, "channelType")}
	for _, name := range []string{"phone", "telefono", "teléfono", "email"} { // as other programs head such lists
		if im.code < 0 {
			im.code = column(reader, name)
		}
	}
	bare := im.code < 0 && bareContacts(reader.Columns())
	switch {
	case bare: // there is no header whose problems count
		im.code, im.channel = 0, len(reader.Columns())-2 // the second of two, -1 of one
		if im.channel == 0 {
			im.channel = 1
		}
		im.add(1, []byte(reader.Columns()[0]), strings.Join(reader.Columns()[1:], ""))
	case problems.Count > 0:
		return 0, 0, problems, nil
	case im.code < 0:
		problems.AddCode("column-missing", o.Name, 1, 1, "contactCode", "no such column; the first line must name the columns: contactCode and, for opt-outs of a single channel, channelType")
		return 0, 0, problems, nil
	}
	err = im.readAll(reader)
	if info.Unterminated {
		im.problems.AddCode("line-unterminated", o.Name, int(info.Lines), 0, "", "the last line has no line end: if the upload was cut off, upload the whole list again")
	}
	return im.added, im.rows, im.problems, err
}

// column returns the index of a column, ignoring case, or -1.
func column(reader *csvfile.Reader, name string) int {
	return slices.IndexFunc(reader.Columns(), func(c string) bool { return strings.EqualFold(c, name) })
}

// bareContacts reports whether the first line is an opt-out instead of a header: a number or an
// address and perhaps a channel. Treating it as a header would lose an opt-out.
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

// optOutImporter imports one list.
type optOutImporter struct {
	OptOuts
	store         *store.Store
	code, channel int // columns; channel is -1 if there is none

	list        []store.OptOut
	at          time.Time // one for the whole list, which the store keeps once
	added, rows int
	problems    campaign.Problems
}

func (im *optOutImporter) readAll(reader *csvfile.Reader) error {
	var batch csvfile.Batch
	for {
		err := reader.ReadBatch(&batch)
		if errors.Is(err, io.EOF) {
			return im.flush()
		}
		if broken, ok := errors.AsType[*csvfile.Broken](err); ok {
			im.problems.Add(broken.Problem)
			return im.flush()
		}
		if err != nil {
			return err
		}
		for i := range batch.Len() {
			if fault, _ := batch.Fault(i); fault != csvfile.FaultNone {
				im.problems.AddCode("row-broken", im.Name, int(batch.Line(i)), 0, "", "has more or fewer cells than the header, or a stray quote")
				continue
			}
			channel := ""
			if im.channel >= 0 {
				channel = string(batch.Cell(i, im.channel))
			}
			im.add(int(batch.Line(i)), batch.Cell(i, im.code), channel)
		}
		if len(im.list) >= suppressGroup {
			if err := im.flush(); err != nil {
				return err
			}
		}
	}
}

// add records one opt-out or its problem.
func (im *optOutImporter) add(line int, contact []byte, channel string) {
	// Trimmed like the contacts of a drop, so that both compare equal.
	contact, channel = bytes.Trim(contact, " "), strings.TrimSpace(channel)
	if reason := recipients.ContactReason(contact); reason != "" {
		im.problems.AddCode("opt-out-no-contact", im.Name, line, 0, "contactCode", "%s", reason)
		return
	}
	if channel != "" && im.Channels != nil && !slices.Contains(im.Channels, channel) {
		im.problems.AddCode("channel-unknown", im.Name, line, 0, "channelType", "taken in for every channel, because there is no channel of this name (there are: %s)",
			strings.Join(im.Channels, ", "))
		channel = "" // every opt-out counts (docs/contract.md 10)
	}
	im.rows++
	for _, application := range im.Applications {
		im.list = append(im.list, store.OptOut{ApplicationID: application, ChannelType: channel, ContactCode: string(contact), Source: im.Source, At: im.at})
	}
}

func (im *optOutImporter) flush() error {
	n, err := im.store.AddOptOuts(im.list)
	im.added += n
	im.list = im.list[:0]
	if err != nil {
		return fmt.Errorf("store opt-outs: %w", err)
	}
	return nil
}
