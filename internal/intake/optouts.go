package intake

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
	"campaignd/internal/contact"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/store"
)

// suppressGroup sets the number of opt-outs added together. A group in random order rewrites nearly
// all that are stored, so half as many groups take half the time; this one takes some 200 MB of memory.
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

// Import reads a CSV of opt-outs into the store: the columns contactCode, phone or email (every
// contact in a row is an opt-out) and, optional, channelType, or a list of bare contacts without a header. A nil store checks the list and adds
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
	im := optOutImporter{OptOuts: o, store: st, at: time.Now().UTC(), channel: column(reader, "channelType"),
		channels: o.Config.ChannelNames(o.Applications), refusal: o.Config.OptOutContacts(o.Applications)}
	for i, name := range reader.Columns() {
		switch strings.ToLower(name) {
		case "contactcode", "phone", "mobile", "telefono", "teléfono", "email", "e-mail": // as other programs head such lists
			im.codes = append(im.codes, i)
		}
	}
	var first *csvfile.Batch // read to find the contacts
	switch bare := im.contactIn(reader.Columns()); {
	case len(im.codes) == 0 && bare >= 0: // there is no header whose problems count
		im.codes, im.channel = []int{bare}, im.bareChannel(reader.Columns(), bare)
		channel := ""
		if im.channel >= 0 {
			channel = reader.Columns()[im.channel]
		}
		im.add(1, channel, []byte(reader.Columns()[bare]))
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

// column returns the index of a column, ignoring case, or -1.
func column(reader *csvfile.Reader, name string) int {
	return slices.IndexFunc(reader.Columns(), func(c string) bool { return strings.EqualFold(c, name) })
}

// contactIn returns the index of the first cell that is a phone number, an address or a user id, or -1.
// A first line with one is an opt-out instead of a header; treating it as a header would lose it.
func (im *optOutImporter) contactIn(cells []string) int {
	return slices.IndexFunc(cells, func(cell string) bool { return looksLikeNumber(cell) || im.isContact([]byte(cell)) })
}

// looksLikeNumber reports whether a cell is five digits or more, with what separates digits.
func looksLikeNumber(cell string) bool {
	digits := 0
	for _, c := range cell {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case !strings.ContainsRune("+-(). ", c):
			return false
		}
	}
	return digits >= 5
}

// isContact reports whether a cell is a phone number, an address or a user id, whatever the channels take.
func (im *optOutImporter) isContact(cell []byte) bool {
	cell = bytes.Trim(cell, " ")
	if recipients.ContactReason(cell) != "" {
		return false
	}
	kinds := []contact.Kind{contact.Email, contact.Phone}
	for _, id := range im.Applications {
		country := ""
		if a := im.Config.Application(id); a != nil {
			country = a.Country
		}
		for _, kind := range kinds {
			rules, err := contact.New(kind, country, true)
			if err != nil {
				continue // the configuration has reported it
			}
			if _, why := rules.Normalize(nil, cell); why.Code == "" || why.Code == contact.CodeTrunkZero {
				return true
			}
		}
	}
	return false
}

// bareChannel returns the column of the channel in a list without a header, or -1: the other one of two, and among
// more one that has a channel's name.
func (im *optOutImporter) bareChannel(cells []string, code int) int {
	if len(cells) == 2 {
		return 1 - code
	}
	return slices.IndexFunc(cells, func(cell string) bool { return slices.Contains(im.channels, strings.TrimSpace(cell)) })
}

// findContacts finds the column of the contacts in a list whose header doesn't name it: the only column, or
// the only one of which most cells are contacts. It returns the rows that it has read.
func (im *optOutImporter) findContacts(reader *csvfile.Reader) (*csvfile.Batch, error) {
	names := reader.Columns()
	batch := &csvfile.Batch{}
	err := reader.ReadBatch(batch)
	if _, broken := errors.AsType[*csvfile.Broken](err); errors.Is(err, io.EOF) || broken {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []int
	for c := range names {
		contacts, rows := 0, 0
		for i := range min(batch.Len(), sampleRows) {
			if fault, _ := batch.Fault(i); fault != csvfile.FaultNone {
				continue
			}
			rows++
			if im.isContact(batch.Cell(i, c)) {
				contacts++
			}
		}
		if contacts*2 > rows {
			found = append(found, c)
		}
	}
	switch {
	case len(found) == 1:
		im.codes = found
	case len(names) == 1:
		im.codes = []int{0}
	default:
		return nil, nil
	}
	im.done.Problems.Addf(im.Name, 1, 0, "", "taken as the names of the columns, and the column %q as that of the contacts", names[im.codes[0]])
	return batch, nil
}

// sampleRows limits the rows that are read to find the column of contacts.
const sampleRows = 100

// optOutImporter imports one list.
type optOutImporter struct {
	OptOuts
	store    OptOutAdder
	codes    []int                                       // columns of contacts
	channel  int                                         // its column, -1 if there is none
	channels []string                                    // that exist
	refusal  func(channel string, contact []byte) string // "": it is a contact

	list []store.OptOut
	at   time.Time // one for the whole list, which the store keeps once
	done OptOutResult
}

// readAll imports the rows of first, which may be nil, and all further ones.
func (im *optOutImporter) readAll(reader *csvfile.Reader, first *csvfile.Batch) error {
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
		if len(im.list) >= suppressGroup {
			if err := im.flush(); err != nil {
				return err
			}
		}
	}
}

// addAll records the opt-outs of a batch.
func (im *optOutImporter) addAll(batch *csvfile.Batch) {
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

// add records the opt-outs of one line and its problem. Beside a contact that is taken in, a cell may be empty or
// hold a contact that the channels don't take, as an address where there is only SMS.
func (im *optOutImporter) add(line int, channel string, cells ...[]byte) {
	channel = strings.TrimSpace(channel)
	known := channel
	if !slices.Contains(im.channels, channel) {
		known = "" // every opt-out counts (docs/contract.md 10)
	}
	taken, empty, other, wrong := false, "", "", ""
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
	if !taken {
		wrong = cmp.Or(wrong, other, empty)
	}
	if wrong != "" {
		im.refused(campaign.Problem{Code: "opt-out-no-contact", File: im.Name, Line: line, Field: "contactCode", Message: wrong})
	}
	if taken && channel != known {
		im.done.Problems.AddCode("channel-unknown", im.Name, line, 0, "channelType", "taken in for every channel, because there is no channel of this name (there are: %s)",
			strings.Join(im.channels, ", "))
	}
}

// take records one opt-out.
func (im *optOutImporter) take(channel string, cell []byte) {
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
