// Package campaign defines the vocabulary of campaignd: the nouns of the contract
// (sending, recipient, message, slot, slice, outcome), the states of a sending
// and the moves between them.
//
// It holds values and rules about single values. It reads, stores, plans and
// sends nothing. Every other package uses its types, so it imports only the
// standard library. It fails only where a text is malformed (an id, a state,
// a template).
package campaign

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxMessages is the most message contents one recipient can be sent (docs/contract.md 6).
const MaxMessages = 5

// ID names a sending: YYYYMMDD-NNNNNN, the UTC date on which its drop was
// claimed and a number from the store's sequence that is never used again.
type ID string

// NewID returns the id for sequence number n on the UTC date of at.
func NewID(at time.Time, n uint64) ID {
	return ID(fmt.Sprintf("%s-%06d", at.UTC().Format("20060102"), n))
}

// Number returns the sequence part of the id, or 0 if id is malformed. Numbers
// order sendings by arrival.
func (id ID) Number() uint64 {
	date, digits, ok := strings.Cut(string(id), "-")
	if !ok || len(date) != 8 || len(digits) < 6 {
		return 0
	}
	if _, err := time.Parse("20060102", date); err != nil {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || NewIDDigits(n) != digits {
		return 0
	}
	return n
}

// NewIDDigits returns the number part of an id in its written form.
func NewIDDigits(n uint64) string { return fmt.Sprintf("%06d", n) }

// Valid reports whether id has the form that NewID gives.
func (id ID) Valid() bool { return id.Number() > 0 }

// Key returns the stable name of one message, the same at every attempt and after
// every restart (docs/contract.md 8). tag is the store's random mark, which
// distinguishes the ids of a store created again on the same day. line is the
// line of the CSV on which the recipient's row begins. n counts the recipient's
// messages from 1. The key has only digits, hex digits and dashes, so it fits into
// headers and addresses.
func Key(id ID, tag string, line uint32, n int) string {
	return string(AppendKey(nil, id, tag, line, n))
}

// AppendKey appends what Key returns to dst.
func AppendKey(dst []byte, id ID, tag string, line uint32, n int) []byte {
	dst = append(dst, id...)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, uint64(line), 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(dst, '-')
	return append(dst, tag...)
}

// MonthsAhead is the number of calendar months ahead that a sending may be scheduled (docs/contract.md 5).
const MonthsAhead = 3

// Condition selects how a sending is sliced over slots (docs/contract.md 7).
type Condition string

// The three slicing conditions.
const (
	FragmentedSlots           Condition = "fragmentedSlots"
	ImmediateConsecutiveSlots Condition = "immediateConsecutiveSlots"
	DeferredConsecutiveSlots  Condition = "deferredConsecutiveSlots"
)

// Conditions lists the conditions in the order in which they are documented.
var Conditions = []Condition{FragmentedSlots, ImmediateConsecutiveSlots, DeferredConsecutiveSlots}

// Campaign is one file of campaigns_dir (docs/contract.md 6).
type Campaign struct {
	ID            int64
	ApplicationID int64
	Title         string
	Enabled       bool
	SendType      string // "proactive" or "reactive"
	ChannelTypes  []string
	Contents      []Content
	File          string // path it was read from, for messages to people
}

// Content is one item of a campaign's messageContent: a JSON object whose
// strings may have {{name}} in place of a custom field.
type Content struct {
	ChannelType string          `json:"channelType,omitempty"` // "" for every channel
	Item        json.RawMessage `json:"item"`                  // without the channelType key
}

// ContentsFor returns the items that a recipient on channelType is sent, in order.
func ContentsFor(all []Content, channelType string) []Content {
	var out []Content
	for _, c := range all {
		if c.ChannelType == "" || c.ChannelType == channelType {
			out = append(out, c)
		}
	}
	return out
}

// Slice is the contiguous range of a sending's recipients that one slot sends
// (docs/contract.md 1). An unsliced sending has one Slice from T with a zero End.
type Slice struct {
	Start time.Time `json:"start"` // the slot's start, or T within the first one
	End   time.Time `json:"end,omitzero"`
	First uint32    `json:"first"` // row number of its first recipient, from 0
	Rows  uint32    `json:"rows"`  // length of the range
	// Recipients counts the rows of the range that had something unsent at planning
	// time; only these were reserved. It equals Rows in a first plan.
	Recipients uint32 `json:"recipients"`
}

// Sliced reports whether s belongs to a slot.
func (s Slice) Sliced() bool { return !s.End.IsZero() }

// BySlot sums up slices in order of time, so that each slot is listed once: it has several slices where some were
// planned again. Slices without recipients are left out. First and Rows of a sum are those of its first slice.
func BySlot(slices []Slice) []Slice {
	list := make([]Slice, 0, len(slices))
	for _, one := range slices {
		n := len(list)
		switch {
		case one.Recipients == 0:
		case n > 0 && one.Sliced() && list[n-1].End.Equal(one.End):
			list[n-1].Recipients += one.Recipients
		default:
			list = append(list, one)
		}
	}
	return list
}

// DueAt returns the time at which row r of the slice is due: spread evenly from
// Start to End, or Start for a slice without a slot or with burst. Where rows are
// dense the last one is due a little before End (a tenth of the slice, at most a
// second): a write begun in the slot's last moment would end after it.
func (s Slice) DueAt(r uint32, burst bool) time.Time {
	if burst || !s.Sliced() || s.Rows == 0 {
		return s.Start
	}
	span, n := s.End.Sub(s.Start), float64(s.Rows)
	step := float64(span) / n
	if margin := min(span/10, time.Second); s.Rows > 1 && step < float64(margin) {
		step = float64(span-margin) / (n - 1)
	}
	return s.Start.Add(time.Duration(step * float64(r-s.First)))
}

// CodeSilentChannel is the code of the warning that a sending's channel calls messages sent and
// sends none. Reports begin with it.
const CodeSilentChannel = "channel-silent"

// Problem is one thing that is wrong with an input (docs/contract.md 9, errors).
type Problem struct {
	Code    string `json:"code,omitempty"`   // stable kebab-case name of the kind of fault; an anchor of the partners' page
	File    string `json:"file"`             // base name of the file as it was dropped
	Line    int    `json:"line,omitempty"`   // from 1; 0 where a line means nothing
	Column  int    `json:"column,omitempty"` // from 1, in characters of that line
	Field   string `json:"field,omitempty"`  // the JSON key, TOML key or CSV column
	Message string `json:"message"`          // the fault and its correction; no contact data
}

// String returns the problem as one line for a person, position first.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if cell := p.cell(); cell != "" {
		b.WriteString(":" + cell)
	} else if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if p.Field != "" {
		fmt.Fprintf(&b, "%s: ", p.Field)
	}
	b.WriteString(p.Message)
	return b.String()
}

// cell returns the name of the cell in a spreadsheet, such as B17; "" for other files or a whole row.
func (p Problem) cell() string {
	if p.Line < 1 || p.Column < 1 || len(p.File) < len(sheetExtension) || !strings.EqualFold(p.File[len(p.File)-len(sheetExtension):], sheetExtension) {
		return ""
	}
	letters := ""
	for n := p.Column; n > 0; n = (n - 1) / 26 {
		letters = string(rune('A'+(n-1)%26)) + letters
	}
	return fmt.Sprintf("%s%d", letters, p.Line)
}

// sheetExtension ends the names of spreadsheets, in which Line and Column are those of a cell.
const sheetExtension = ".xlsx"

// MaxProblems is the number of problems a report lists; the rest are only counted (docs/contract.md 9).
const MaxProblems = 100

// Problems collects problems: the first MaxProblems and the full count.
type Problems struct {
	List  []Problem
	Count int
}

// Add adds one more problem.
func (p *Problems) Add(one Problem) {
	p.Count++
	if len(p.List) < MaxProblems {
		p.List = append(p.List, one)
	}
}

// Addf adds a problem with a formatted message.
func (p *Problems) Addf(file string, line, column int, field, format string, args ...any) {
	p.Add(Problem{File: file, Line: line, Column: column, Field: field, Message: fmt.Sprintf(format, args...)})
}

// AddCode adds a problem of the kind that code names, with a formatted message.
func (p *Problems) AddCode(code, file string, line, column int, field, format string, args ...any) {
	p.Add(Problem{Code: code, File: file, Line: line, Column: column, Field: field, Message: fmt.Sprintf(format, args...)})
}

// WithCode returns the problems, with code for those that have none.
func (p Problems) WithCode(code string) Problems {
	for i := range p.List {
		if p.List[i].Code == "" {
			p.List[i].Code = code
		}
	}
	return p
}

// Merge adds all problems of other.
func (p *Problems) Merge(other Problems) {
	for _, one := range other.List {
		p.Add(one)
	}
	p.Count += other.Count - len(other.List)
}
