// Package recipients makes recipients of the rows of a CSV (docs/contract.md 3, 4): it applies
// the layout, checks each row in full, renders every message once for the
// channel's own check, finds duplicates, and fills the chunks that are stored.
//
// It is pure: no goroutine, no disk (the spill that exact de-duplication reads
// back is given to it), no clock. Check works on a batch by itself and is
// safe for many workers; an Assembler takes their results in the order of the file.
//
// A bad row never stops it: it becomes a refusal with line, column and reason, and the
// Verdict at the end reports too many of them. Reasons hold no contact data. Errors come
// only from the spill and the RowWriter.
package recipients

import (
	"fmt"
	"hash/maphash"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/contact"
	"campaignd/internal/display"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
)

const (
	// MaxContact is the most bytes of a contactCode.
	MaxContact = 256
	// MaxValues is the most bytes that a recipient's values have together. A chunk
	// of campaign.ChunkRows recipients is in memory at once; without a bound a small
	// file and a layout that repeats a column would fill it.
	MaxValues = 16 << 10
	// MaxChannels is the most channels a campaign may allow: Rows.Channels is a byte.
	MaxChannels = 256
)

// Channel is a channel that the campaign may send on.
type Channel struct {
	Name      string
	Templates []*campaign.Template // compiled against Spec.Variables, in order; at least one
	Contacts  contact.Rules        // how a contactCode is read
	// Check refuses a rendered message by the channel's own rules. Its error is
	// fit for a partner and holds no contact data. nil refuses none.
	Check func(to, content []byte) error
	// CheckContact refuses what Check refuses of messages of at most AcceptsUpTo[k] bytes from Templates[k]; nil: Check sees
	// every message.
	CheckContact func(to []byte) error
	AcceptsUpTo  []int
}

// checkShort checks the contact of message k of at most size bytes. done is false if Check has to see the message.
func (c *Channel) checkShort(k, size int, to []byte) (done bool, err error) {
	if k >= len(c.AcceptsUpTo) || size > c.AcceptsUpTo[k] {
		return false, nil
	}
	return true, c.CheckContact(to)
}

// Spec holds everything that decides about a row.
type Spec struct {
	File       string // base name of the CSV, for messages
	Layout     *document.Layout
	Columns    []string  // of the CSV, in NFC
	Variables  []string  // of the campaign; Rows.Values has their order
	Channels   []Channel // Rows.Channels indexes these
	NotAllowed []string  // channels of the application that the campaign doesn't allow
	Dedupe     bool
	MaxRows    int     // data rows; 0: no limit but 2^32-1
	MaxBadRows float64 // share of the data rows, 0 to 1
	Previews   int     // how many messages to keep rendered, for a dry run
	PreviewRow uint32  // number of the data row whose messages are kept, from 1; 0: the first ones
}

// Checker checks rows against a Spec. It is safe for concurrent use.
type Checker struct {
	spec         Spec
	contact      text
	channel      text
	values       []text // one per Spec.Variables
	reference    int    // index of the rows' references in values, -1 if they have none
	used         []usedColumn
	seeds        []maphash.Seed // one a channel; nil without de-duplication
	numbers      bool           // a channel has contacts that aren't sent as written
	smallBatches bool           // the layout makes rows much larger: take few at a time
}

// New returns a Checker. Every variable of the layout must be a column and
// every variable of the campaign a field (document.Layout.CheckColumns,
// CheckVariables); the error names one that isn't.
func New(spec Spec) (*Checker, error) {
	r := &Checker{spec: spec}
	if len(spec.Channels) == 0 || len(spec.Channels) > MaxChannels {
		return nil, fmt.Errorf("check rows: the campaign allows %d channels; 1 to %d can be", len(spec.Channels), MaxChannels)
	}
	var err error
	if r.contact, err = compile(spec.Layout.ContactCode, spec.Columns); err != nil {
		return nil, err
	}
	if r.channel, err = compile(spec.Layout.ChannelType, spec.Columns); err != nil {
		return nil, err
	}
	uses := make([]int, len(spec.Columns))
	for _, name := range spec.Variables {
		value, ok := spec.Layout.Value(name)
		if !ok {
			return nil, fmt.Errorf("check rows: the layout has no custom field %q", name)
		}
		t, err := compile(value, spec.Columns)
		if err != nil {
			return nil, err
		}
		r.values = append(r.values, t)
		r.smallBatches = r.smallBatches || t.enlarges(uses)
	}
	r.smallBatches = r.smallBatches || r.contact.enlarges(uses) || r.channel.enlarges(uses)
	r.reference = slices.Index(spec.Variables, campaign.ReferenceVariable)
	r.numbers = slices.ContainsFunc(spec.Channels, func(c Channel) bool { return isNumber(c.Contacts.Kind()) })
	r.used = r.usedColumns()
	if spec.Dedupe {
		for range spec.Channels {
			r.seeds = append(r.seeds, maphash.MakeSeed())
		}
	}
	return r, nil
}

// BatchRows returns the limit for csvfile.Reader.LimitBatch: few records for a layout that
// makes each row many times larger.
func (r *Checker) BatchRows() int {
	if r.smallBatches {
		return 64
	}
	return csvfile.MaxBatch
}

// Checked holds the results of one batch. The zero value is ready; reuse it to keep its memory.
type Checked struct {
	Rows     campaign.Rows      // the good rows; First means nothing here
	Refusals []campaign.Refusal // the bad ones, in order
	Rejected []byte             // lines of rejected.csv for the Refusals, without the header
	Total    uint32             // data rows

	doubts     doubts
	found      []columnFinding // in the current row
	cellCounts []cellCount     // by used column and kind
	cutOff     uint32          // line of a last record that was cut, 0 if none
	hashes     []uint64        // of the keys
	keys       []byte          // of the good rows, as they go into the spill
	keyEnds    []uint32
	scratch    []byte // values made of several parts
	normal     [contact.BufferSize]byte
	rendered   []byte
}

// reset empties c and makes room for as many rows as the batch has: to grow row by row would copy everything several times.
func (c *Checked) reset(values, rows int) {
	c.Rows.Reset(0, values)
	c.Rows.Grow(rows)
	c.Refusals, c.Rejected, c.Total, c.cutOff = c.Refusals[:0], c.Rejected[:0], 0, 0
	c.hashes, c.keys, c.keyEnds = slices.Grow(c.hashes[:0], rows), c.keys[:0], slices.Grow(c.keyEnds[:0], rows)
	clear(c.doubts[:])
}

// Check checks every row of batch, which reader has read. It uses only methods of reader
// that are safe for concurrent use. batch may be read into again afterwards.
func (r *Checker) Check(reader *csvfile.Reader, batch *csvfile.Batch, out *Checked) {
	out.reset(len(r.values), batch.Len())
	out.cellCounts = append(out.cellCounts[:0], make([]cellCount, len(r.used)*int(warned))...)
	out.Total = uint32(batch.Len())
	last := 0 // the channel of the row before: most often the same
	for i := range batch.Len() {
		why := r.row(reader, batch, i, out, &last)
		if why == nil {
			continue
		}
		position := 0
		if why.cell >= 0 {
			position = reader.Position(batch, i, why.cell)
		}
		out.Refusals = append(out.Refusals, campaign.Refusal{
			Line: batch.Line(i), Outcome: campaign.Rejected, Column: why.column, Position: position, Reason: why.reason, Code: why.code,
			ContactCode: truncateContact(why.contact), ChannelType: truncateContact(why.channel), Reference: r.referenceOf(batch, i),
		})
		out.Rejected = reader.AppendRejected(out.Rejected, batch, i, why.text())
	}
}

// maxRefusedReference is the most bytes of the reference of a refused row. A longer one is left out.
const maxRefusedReference = 1 << 10

// referenceOf returns the reference of record i, a refused one; "" if there is none or one of its cells is ruined.
func (r *Checker) referenceOf(batch *csvfile.Batch, i int) string {
	if fault, _ := batch.Fault(i); r.reference < 0 || fault != csvfile.FaultNone {
		return ""
	}
	t := &r.values[r.reference]
	for k := range t.parts {
		if cell := t.parts[k].cell; cell >= 0 {
			if _, ruined := classify(batch.Cell(i, cell)).refusal(); ruined != "" {
				return ""
			}
		}
	}
	var scratch []byte
	return boundedReference(t.value(&scratch, batch, i))
}

// boundedReference returns a reference for a report, "" if it is too long.
func boundedReference(v []byte) string {
	if len(v) > maxRefusedReference {
		return ""
	}
	return string(v)
}

// refusal is the reason for refusing a row.
type refusal struct {
	code             string // see campaign.Problem
	column, reason   string
	cell             int // index of the cell at fault; -1 if it is the row
	contact, channel []byte
}

// text returns the refusal for rejected.csv.
func (w *refusal) text() string {
	if w.column == "" {
		return w.reason
	}
	return w.column + ": " + w.reason
}

// row checks record i of batch and adds it to out.Rows if it is good; otherwise it returns the reason.
func (r *Checker) row(reader *csvfile.Reader, batch *csvfile.Batch, i int, out *Checked, last *int) *refusal {
	if fault, _ := batch.Fault(i); fault != csvfile.FaultNone {
		if fault == csvfile.FaultCutOff {
			out.cutOff = batch.Line(i)
		}
		return r.fault(reader, batch, i)
	}
	out.scratch = out.scratch[:0]
	text := trimSpaces(r.contact.value(&out.scratch, batch, i))
	channel := trimSpaces(r.channel.value(&out.scratch, batch, i))
	if why := r.cells(batch, i, out); why != nil {
		why.contact, why.channel = text, channel
		return why
	}
	if code, reason := sizeReason(text); reason != "" {
		return &refusal{code, r.contact.column, reason, r.contact.first, text, channel}
	}
	if string(channel) != r.spec.Channels[*last].Name {
		k := slices.IndexFunc(r.spec.Channels, func(c Channel) bool { return c.Name == string(channel) })
		if k < 0 {
			code, reason := r.channelReason(channel)
			return &refusal{code, r.channel.column, reason, r.channel.first, text, channel}
		}
		*last = k
	}
	c := &r.spec.Channels[*last]
	normal := contact.Normal{To: text, Key: text}
	if !c.Contacts.IsPlain(text) {
		var code, reason string
		if normal, code, reason = readContact(c.Contacts, out.normal[:0], text); reason != "" {
			return &refusal{code, r.contact.column, reason, r.contact.first, text, channel}
		}
	}
	rows := &out.Rows
	n := rows.Len()
	rows.Lines = append(rows.Lines, batch.Line(i))
	rows.Channels = append(rows.Channels, uint8(*last))
	rows.Contacts.Append(text)
	if r.numbers {
		to := normal.To
		if !isNumber(c.Contacts.Kind()) {
			to = nil
		}
		rows.Normal.Append(to)
	}
	size := 0
	for v := range r.values {
		size += r.values[v].appendTo(&rows.Values[v], batch, i, MaxValues-size)
		if size > MaxValues {
			truncateRows(rows, n)
			return &refusal{"values-long", r.values[v].column, fmt.Sprintf("the values for the row's messages have more than the %s that a recipient may have", display.Amount(MaxValues, "byte")), r.values[v].first, text, channel}
		}
	}
	if reason := r.messages(out, n, size, normal.To, c); reason != "" {
		truncateRows(rows, n)
		return &refusal{"message-refused", "", reason, -1, text, channel}
	}
	if normal.Warnings != 0 {
		out.doubts.add(normal.Warnings, batch.Line(i))
	}
	out.countCells(batch.Line(i))
	if r.seeds != nil {
		out.hashes = append(out.hashes, maphash.Bytes(r.seeds[*last], normal.Key))
		out.keys = appendKey(out.keys, batch.Line(i), uint8(*last), normal.Key)
		out.keyEnds = append(out.keyEnds, uint32(len(out.keys)))
	}
	return nil
}

// messages renders the messages of row n, whose values have size bytes, and checks them by the channel's rules. It doesn't render
// messages that are too short to be refused.
func (r *Checker) messages(out *Checked, n, size int, to []byte, c *Channel) string {
	if c.Check == nil {
		return ""
	}
	for k, t := range c.Templates {
		done, err := c.checkShort(k, t.MaxLen(size), to)
		if !done {
			out.rendered = t.Append(out.rendered[:0], &out.Rows, n)
			err = c.Check(to, out.rendered)
		}
		if err != nil {
			if len(c.Templates) == 1 {
				return err.Error()
			}
			return fmt.Sprintf("message %d: %v", k+1, err)
		}
	}
	return ""
}

// truncateRows removes all rows from n on.
func truncateRows(rows *campaign.Rows, n int) {
	rows.Lines, rows.Channels = rows.Lines[:n], rows.Channels[:n]
	truncateColumn(&rows.Contacts, n)
	truncateColumn(&rows.Normal, n)
	for v := range rows.Values {
		truncateColumn(&rows.Values[v], n)
	}
}

func truncateColumn(c *campaign.Column, n int) {
	if len(c.Ends) <= n {
		return
	}
	c.Ends = c.Ends[:n]
	end := uint32(0)
	if n > 0 {
		end = c.Ends[n-1]
	}
	c.Data = c.Data[:end]
}
