// Package optouts reads lists of opt-outs: CSV files with a header or without one, under any heading that
// other programs give them. It is a room of its own because intake (NAME.suppress.csv), `campaignd suppress
// import`, the HTTP endpoint and `campaignd check` read the same lists.
//
// A line without a contact is a problem in the Result; the others count. An error concerns the machine.
package optouts

import (
	"bytes"
	"cmp"
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

// groupSize sets the number of opt-outs added together. A group in random order rewrites nearly
// all that are stored, so half as many groups take half the time; this one takes some 200 MB of memory.
const groupSize = 500_000

// List is a list of opt-outs to be imported.
type List struct {
	Name         string // name of the file, for messages
	Config       *config.Config
	Applications []int64 // applications that they apply to
	Source       string  // origin, for the record
}

// Adder stores opt-outs and returns how many were new. *store.Store is one.
type Adder interface {
	AddOptOuts(list []store.OptOut) (int, error)
}

// Result says what became of a list.
type Result struct {
	Rows     int               // contacts taken in
	OptOuts  int               // of these contacts, one for each application
	Added    int               // of these opt-outs, how many were new
	Refused  int               // lines that have no contact or can't be read
	Lines    []int             // the first of these
	Problems campaign.Problems // of the refused lines, of doubtful ones and of the whole list
}

// maxRefusedLines is how many refused lines the first sentence of an answer names.
const maxRefusedLines = 5

// Import reads a CSV of opt-outs into the store: the columns contactCode, phone or email (every
// contact in a row is an opt-out) and, optional, channelType, or a list of bare contacts without a header. A nil
// store checks the list and adds nothing. The error concerns the machine or ctx.
func (o List) Import(ctx context.Context, st Adder, f *os.File) (done Result, err error) {
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
	im := importer{List: o, store: st, at: time.Now().UTC(), channel: column(reader, "channelType"),
		channels: o.Config.ChannelNames(o.Applications), refusal: o.Config.OptOutContacts(o.Applications)}
	for i, name := range reader.Columns() {
		switch strings.ToLower(name) {
		case "contactcode", "phone", "mobile", "telefono", "teléfono", "email", "e-mail": // as other programs head such lists
			im.codes = append(im.codes, i)
		}
	}
	var first *csvfile.Batch // read to find the contacts
	switch bare := im.contactsIn(reader.Columns()); {
	case len(im.codes) == 0 && len(bare) > 0: // there is no header whose problems count
		im.codes, im.channel = bare, im.bareChannel(reader.Columns(), bare)
		channel := ""
		if im.channel >= 0 {
			channel = reader.Columns()[im.channel]
		}
		var cells [][]byte
		for _, column := range bare {
			cells = append(cells, []byte(reader.Columns()[column]))
		}
		im.add(1, channel, cells...)
	case problems.Count > 0:
		done.Problems = problems
		return done, nil
	case len(im.codes) == 0:
		if first, err = im.findContacts(reader); err != nil {
			return done, err
		}
		if len(im.codes) == 0 {
			done.Problems.AddCode("column-missing", o.Name, 1, 1, "contactCode", "no such column; the first line must name the columns: contactCode and, for opt-outs of a single channel, channelType")
			return done, nil
		}
	}
	err = im.readAll(reader, first)
	if info.Unterminated {
		im.done.Problems.AddCode("line-unterminated", o.Name, int(info.Lines), 0, "", "the last line has no line end: if the upload was cut off, upload the whole list again")
	}
	return im.done, err
}

// importer imports one list.
type importer struct {
	List
	store    Adder
	codes    []int                                       // columns of contacts
	channel  int                                         // its column, -1 if there is none
	channels []string                                    // that exist
	refusal  func(channel string, contact []byte) string // "": it is a contact

	list []store.OptOut
	at   time.Time // one for the whole list, which the store keeps once
	done Result
}

// readAll imports the rows of first, which may be nil, and all further ones.
func (im *importer) readAll(reader *csvfile.Reader, first *csvfile.Batch) error {
	if first != nil {
		im.addAll(first)
	}
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
		im.addAll(&batch)
		if len(im.list) >= groupSize {
			if err := im.flush(); err != nil {
				return err
			}
		}
	}
}

// addAll records the opt-outs of a batch.
func (im *importer) addAll(batch *csvfile.Batch) {
	cells := make([][]byte, len(im.codes))
	for i := range batch.Len() {
		if fault, _ := batch.Fault(i); fault != csvfile.FaultNone {
			im.refused(campaign.Problem{Code: "row-broken", File: im.Name, Line: int(batch.Line(i)), Message: "has more or fewer cells than the header, or a stray quote"})
			continue
		}
		channel := ""
		if im.channel >= 0 {
			channel = string(batch.Cell(i, im.channel))
		}
		for n, column := range im.codes {
			cells[n] = batch.Cell(i, column)
		}
		im.add(int(batch.Line(i)), channel, cells...)
	}
}

// add records the opt-outs of one line and its problem. No opt-out is refused because of its channel. Beside a contact that is taken in, a cell may be empty or
// hold a contact that the channels don't take, as an address where there is only SMS.
func (im *importer) add(line int, channel string, cells ...[]byte) {
	channel = strings.TrimSpace(channel)
	if !slices.Contains(im.channels, channel) && im.isContact([]byte(channel)) { // a list without a header, whose first line lacks it
		cells, channel = append(cells, []byte(channel)), ""
	}
	known := channel
	if !slices.Contains(im.channels, channel) {
		known = "" // every opt-out counts (docs/contract.md 10)
	}
	taken, elsewhere, empty, other, wrong := false, false, "", "", ""
	for _, cell := range cells {
		cell = bytes.Trim(cell, " ") // like the contacts of a drop, so that both compare equal
		why := recipients.ContactReason(cell)
		if why == "" {
			why = im.refusal(known, cell)
		}
		switch {
		case why == "":
			taken = true
			im.take(known, cell)
		case len(cell) == 0:
			empty = why
		case im.isContact(cell):
			other = why
		default:
			wrong = cmp.Or(wrong, why)
		}
	}
	if !taken && known != "" {
		for _, cell := range cells { // its contact is one of another channel
			if cell = bytes.Trim(cell, " "); recipients.ContactReason(cell) == "" && im.refusal("", cell) == "" {
				taken, elsewhere = true, true
				im.take("", cell)
			}
		}
	}
	if !taken {
		wrong = cmp.Or(wrong, other, empty)
	}
	if wrong != "" {
		im.refused(campaign.Problem{Code: "opt-out-no-contact", File: im.Name, Line: line, Field: "contactCode", Message: wrong})
	}
	if elsewhere {
		im.done.Problems.AddCode("opt-out-other-channel", im.Name, line, 0, "channelType", "taken in for every channel, because this channel takes no such contact")
	}
	if taken && channel != known {
		im.done.Problems.AddCode("channel-unknown", im.Name, line, 0, "channelType", "taken in for every channel, because there is no channel of this name (there are: %s)",
			strings.Join(im.channels, ", "))
	}
}

// take records one opt-out.
func (im *importer) take(channel string, cell []byte) {
	im.done.Rows++
	im.done.OptOuts += len(im.Applications)
	for _, application := range im.Applications {
		im.list = append(im.list, store.OptOut{ApplicationID: application, ChannelType: channel, ContactCode: string(cell), Source: im.Source, At: im.at})
	}
}

// refused records a line that opts out nobody.
func (im *importer) refused(p campaign.Problem) {
	im.done.Problems.Add(p)
	im.done.Refused++
	if len(im.done.Lines) < maxRefusedLines {
		im.done.Lines = append(im.done.Lines, p.Line)
	}
}

func (im *importer) flush() error {
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
