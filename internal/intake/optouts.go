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
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/store"
)

// suppressGroup sets the number of opt-outs added together. A group in random order rewrites nearly
// all that are stored, so half as many groups take half the time; this one takes some 150 MB of memory.
const suppressGroup = 500_000

// OptOuts is a list of opt-outs to be imported.
type OptOuts struct {
	Name         string // name of the file, for messages
	Config       *config.Config
	Applications []int64 // applications that they apply to
	Source       string  // origin, for the record
}

// OptOutAdder stores opt-outs and returns how many were new. *store.Store is one.
type OptOutAdder interface {
	AddOptOuts(list []store.OptOut) (int, error)
}

// OptOutResult says what became of a list.
type OptOutResult struct {
	Rows     int               // opt-outs taken in
	Added    int               // of these, how many were new
	Refused  int               // lines that have no contact or can't be read
	Lines    []int             // the first of these
	Problems campaign.Problems // of the refused lines, of doubtful ones and of the whole list
}

// maxRefusedLines is how many refused lines the first sentence of an answer names.
const maxRefusedLines = 5

// Import reads a CSV of opt-outs into the store: the columns contactCode and, optional,
// channelType, or a list of bare contacts without a header. A nil store checks the list and adds
// nothing. The error concerns the machine or ctx.
func (o OptOuts) Import(ctx context.Context, st OptOutAdder, f *os.File) (done OptOutResult, err error) {
	info, err := check.Inspect(ctx, &check.Parts{CSV: check.Part{Name: o.Name, File: f}})
	if err != nil {
		return done, err
	}
	if done.Problems = info.Problems(o.Name); done.Problems.Count > 0 {
		return done, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return done, err
	}
	reader, problems, err := csvfile.NewReader(f, *info, csvfile.Options{File: o.Name, Wanted: []string{"contactCode"}, Lenient: true})
	if err != nil || reader == nil {
		done.Problems = problems
		return done, err
	}
	im := optOutImporter{OptOuts: o, store: st, at: time.Now().UTC(), code: column(reader, "contactCode"), channel: column(reader, "channelType"),
		channels: o.Config.ChannelNames(o.Applications), refusal: o.Config.OptOutContacts(o.Applications)}
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
		done.Problems = problems
		return done, nil
	case im.code < 0:
		done.Problems.AddCode("column-missing", o.Name, 1, 1, "contactCode", "no such column; the first line must name the columns: contactCode and, for opt-outs of a single channel, channelType")
		return done, nil
	}
	err = im.readAll(reader)
	if info.Unterminated {
		im.done.Problems.AddCode("line-unterminated", o.Name, int(info.Lines), 0, "", "the last line has no line end: if the upload was cut off, upload the whole list again")
	}
	return im.done, err
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
	store         OptOutAdder
	code, channel int                                         // columns; channel is -1 if there is none
	channels      []string                                    // that exist
	refusal       func(channel string, contact []byte) string // "": it is a contact

	list []store.OptOut
	at   time.Time // one for the whole list, which the store keeps once
	done OptOutResult
}

func (im *optOutImporter) readAll(reader *csvfile.Reader) error {
	var batch csvfile.Batch
	for {
		err := reader.ReadBatch(&batch)
		if errors.Is(err, io.EOF) {
			return im.flush()
		}
		if broken, ok := errors.AsType[*csvfile.Broken](err); ok {
			im.refused(broken.Problem)
			return im.flush()
		}
		if err != nil {
			return err
		}
		for i := range batch.Len() {
			if fault, _ := batch.Fault(i); fault != csvfile.FaultNone {
				im.refused(campaign.Problem{Code: "row-broken", File: im.Name, Line: int(batch.Line(i)), Message: "has more or fewer cells than the header, or a stray quote"})
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
func (im *optOutImporter) add(line int, cell []byte, channel string) {
	// Trimmed like the contacts of a drop, so that both compare equal.
	cell, channel = bytes.Trim(cell, " "), strings.TrimSpace(channel)
	reason := recipients.ContactReason(cell)
	if reason == "" {
		known := channel
		if !slices.Contains(im.channels, channel) {
			known = ""
		}
		reason = im.refusal(known, cell)
	}
	if reason != "" {
		im.refused(campaign.Problem{Code: "opt-out-no-contact", File: im.Name, Line: line, Field: "contactCode", Message: reason})
		return
	}
	if channel != "" && !slices.Contains(im.channels, channel) {
		im.done.Problems.AddCode("channel-unknown", im.Name, line, 0, "channelType", "taken in for every channel, because there is no channel of this name (there are: %s)",
			strings.Join(im.channels, ", "))
		channel = "" // every opt-out counts (docs/contract.md 10)
	}
	im.done.Rows++
	for _, application := range im.Applications {
		im.list = append(im.list, store.OptOut{ApplicationID: application, ChannelType: channel, ContactCode: string(cell), Source: im.Source, At: im.at})
	}
}

// refused records a line that opts out nobody.
func (im *optOutImporter) refused(p campaign.Problem) {
	im.done.Problems.Add(p)
	im.done.Refused++
	if len(im.done.Lines) < maxRefusedLines {
		im.done.Lines = append(im.done.Lines, p.Line)
	}
}

func (im *optOutImporter) flush() error {
	if im.store == nil {
		im.list = im.list[:0]
		return nil
	}
	n, err := im.store.AddOptOuts(im.list)
	im.done.Added += n
	im.list = im.list[:0]
	if err != nil {
		return fmt.Errorf("store opt-outs: %w", err)
	}
	return nil
}
