package report

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"

	"campaignd/internal/campaign"
)

// Header is the first line of results.csv: always the same columns in the same order, so
// that a program that reads one file reads them all (docs/contract.md 9).
const Header = "line,contactCode,channelType,message,outcome,attempts,providerId,at,error,delivery,deliveryAt,reference,to\n"

// errStatuses is returned when a chunk's statuses don't match its rows.
var errStatuses = errors.New("the statuses in the store don't match the rows")

// Selection is what of results.csv Results writes. The zero value is all of it.
type Selection struct {
	Outcomes []campaign.Outcome // only lines with one of these; none: all
	Plain    bool               // without the apostrophes before formulas, for readers that are no spreadsheets
}

// Results writes results.csv: a line for every row and message in order of the CSV's lines,
// with a refused row once for each message that it would have got. An outcome that isn't
// final is written by its name, so Results can be called at any time. delivery and
// deliveryAt are the provider's latest receipt, where the channel has receipts.
//
// Cells are the drop's data unchanged, quoted by RFC 4180. Only a cell that a spreadsheet
// would take for a formula is preceded by an apostrophe.
func Results(w io.Writer, l Source, id campaign.ID, what Selection) error {
	_, err := writeResults(w, l, id, what)
	return err
}

// writeResults writes results.csv and returns the failures in it, grouped by reason.
func writeResults(w io.Writer, l Source, id campaign.ID, what Selection) ([]Failure, error) {
	s, _, _, err := l.Load(id)
	if err != nil {
		return nil, fmt.Errorf("write results of %s: %w", id, err)
	}
	r := resultsWriter{w: w, source: l, s: s, line: []byte(Header), guard: !what.Plain}
	if len(what.Outcomes) > 0 {
		r.only = what.Outcomes
	}
	for _, channel := range s.Channels {
		r.messages = append(r.messages, min(len(campaign.ContentsFor(s.Contents, channel)), s.Messages))
	}
	if err := r.flush(0); err != nil {
		return nil, fmt.Errorf("write results of %s: %w", id, err)
	}
	next, stop := iter.Pull2(refusals(l, id))
	defer stop()
	r.next = next
	r.advance()
	err = l.EachChunk(id, r.chunk)
	if err == nil {
		err = r.refusedBefore(0) // the refused rows after the last accepted one
	}
	if err == nil {
		err = r.flush(0)
	}
	if err != nil {
		return nil, fmt.Errorf("write results of %s: %w", id, err)
	}
	return r.failures.list(), nil
}

// refusals makes an iterator of EachRefusal, to merge refused rows with the others.
func refusals(l Source, id campaign.ID) iter.Seq2[campaign.Refusal, error] {
	return func(yield func(campaign.Refusal, error) bool) {
		stopped := errors.New("stopped")
		err := l.EachRefusal(id, func(r campaign.Refusal) error {
			if !yield(r, nil) {
				return stopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, stopped) {
			yield(campaign.Refusal{}, err)
		}
	}
}

// resultsWriter writes one results.csv.
type resultsWriter struct {
	w        io.Writer
	source   Source
	s        *campaign.Sending
	messages []int // number of messages of each of s.Channels
	line     []byte
	guard    bool               // put an apostrophe before formulas
	only     []campaign.Outcome // outcomes to write; nil: all
	failures failureGroups
	rowEnd   []byte // the last two columns of a row: its reference and its contact as sent to

	at      time.Time // of the last line with a time, and instant is its text
	instant []byte

	next    func() (campaign.Refusal, error, bool)
	refused campaign.Refusal // the next refused row, if more
	err     error            // of reading the next refused row
	more    bool
}

func (r *resultsWriter) advance() { r.refused, r.err, r.more = r.next() }

// flush writes the buffer if it has more than limit bytes.
func (r *resultsWriter) flush(limit int) error {
	if len(r.line) <= limit {
		return nil
	}
	_, err := r.w.Write(r.line)
	r.line = r.line[:0]
	return err
}

// refusedBefore writes the refused rows before a line; 0 means all.
func (r *resultsWriter) refusedBefore(line uint32) error {
	for ; r.more && (r.err != nil || line == 0 || r.refused.Line < line); r.advance() {
		if r.err != nil {
			return r.err
		}
		for m := range r.s.MessagesOfRow() {
			r.appendRefused(&r.refused, m+1)
		}
		if err := r.flush(32 << 10); err != nil {
			return err
		}
	}
	return nil
}

func (r *resultsWriter) wants(o campaign.Outcome) bool {
	return r.only == nil || slices.Contains(r.only, o)
}

func (r *resultsWriter) appendRefused(one *campaign.Refusal, message int) {
	if !r.wants(one.Outcome) {
		return
	}
	b := strconv.AppendUint(r.line, uint64(one.Line), 10)
	b = appendCell(append(b, ','), one.ContactCode, r.guard)
	b = appendCell(append(b, ','), one.ChannelType, r.guard)
	b = strconv.AppendInt(append(b, ','), int64(message), 10)
	b = append(append(b, ','), one.Outcome.String()...)
	b = append(b, ",0,,,"...)
	reason := one.Reason
	if one.Column != "" {
		reason = one.Column + ": " + reason
	}
	r.rowEnd = append(appendCell(r.rowEnd[:0], one.Reference, r.guard), ',')
	r.line = r.endLine(appendCell(b, reason, r.guard), nil)
}

func (r *resultsWriter) chunk(rows *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error {
	stride := r.s.Messages
	if len(statuses) != rows.Len()*stride {
		return fmt.Errorf("chunk at row %d: %w", rows.First, errStatuses)
	}
	receipts, err := r.receiptsOf(rows)
	if err != nil {
		return err
	}
	for i, line := range rows.Lines {
		if err := r.refusedBefore(line); err != nil {
			return err
		}
		channel := int(rows.Channels[i])
		if channel >= len(r.messages) {
			return fmt.Errorf("row %d: %w", rows.First+uint32(i), errStatuses)
		}
		r.rowEnd = appendCell(r.rowEnd[:0], r.s.RowReference(rows, i), r.guard)
		r.rowEnd = appendCell(append(r.rowEnd, ','), rows.To(i), r.guard)
		for m := range r.messages[channel] {
			entry := findEntry(&entries, rows.First+uint32(i), uint8(m+1))
			r.append(line, rows.Contacts.At(i), r.s.Channels[channel], m+1, statuses[i*stride+m], entry, findReceipt(&receipts, line, uint8(m+1)))
		}
		if err := r.flush(32 << 10); err != nil {
			return err
		}
	}
	return r.flush(0)
}

// receiptsOf returns the receipts of a chunk's messages.
func (r *resultsWriter) receiptsOf(rows *campaign.Rows) ([]campaign.Delivery, error) {
	if r.s.ReceiptVersion == 0 || rows.Len() == 0 {
		return nil, nil
	}
	return r.source.Deliveries(r.s.ID, rows.Lines[0], rows.Lines[rows.Len()-1])
}

// findReceipt returns the receipt of a message, or nil. Like findEntry, it drops earlier ones.
func findReceipt(receipts *[]campaign.Delivery, line uint32, message uint8) *campaign.Delivery {
	for len(*receipts) > 0 {
		d := &(*receipts)[0]
		if d.Line > line || d.Line == line && d.Message > message {
			return nil
		}
		*receipts = (*receipts)[1:]
		if d.Line == line && d.Message == message {
			return d
		}
	}
	return nil
}

// endLine ends a line with the columns of its receipt, and those of the row's reference and
// of the contact as it was sent to.
func (r *resultsWriter) endLine(b []byte, d *campaign.Delivery) []byte {
	b = append(b, ',')
	if d != nil {
		b = append(b, d.State.String()...)
	}
	b = append(b, ',')
	if d != nil && !d.At.IsZero() {
		b = d.At.UTC().AppendFormat(b, time.RFC3339)
	}
	b = append(append(b, ','), r.rowEnd...)
	return append(b, '\n')
}

// findEntry returns the entry of a message, or nil. entries are sorted and queried in
// order, so it drops earlier ones.
func findEntry(entries *[]campaign.Entry, row uint32, message uint8) *campaign.Entry {
	for list := *entries; len(list) > 0; list = list[1:] {
		*entries = list
		e := &list[0]
		if e.Row == row && e.Message == message {
			return e
		}
		if e.Row > row || e.Row == row && e.Message > message {
			return nil
		}
	}
	*entries = nil
	return nil
}

func (r *resultsWriter) append(line uint32, contact []byte, channel string, message int, status campaign.MessageStatus, entry *campaign.Entry, receipt *campaign.Delivery) {
	if !r.wants(status.Outcome()) {
		return
	}
	b := strconv.AppendUint(r.line, uint64(line), 10)
	b = appendCell(append(b, ','), contact, r.guard)
	b = appendCell(append(b, ','), channel, r.guard)
	b = strconv.AppendInt(append(b, ','), int64(message), 10)
	b = append(append(b, ','), status.Outcome().String()...)
	b = strconv.AppendInt(append(b, ','), int64(status.Attempts()), 10)
	b = append(b, ',')
	r.count(line, status.Outcome(), entry, receipt)
	if entry == nil {
		r.line = r.endLine(append(b, ",,"...), receipt)
		return
	}
	b = append(appendCell(b, entry.Provider, r.guard), ',')
	// If the message was canceled or expired after an attempt, the details say why that
	// attempt failed, but not when the message was canceled.
	if entry.Outcome == status.Outcome() && !entry.At.IsZero() {
		if entry.At != r.at { // the same for all messages that were recorded together
			r.at, r.instant = entry.At, toInstant(entry.At).AppendFormat(r.instant[:0], time.RFC3339Nano)
		}
		b = append(b, r.instant...)
	}
	b = append(b, ',')
	switch {
	case status.Outcome() != campaign.Sent:
		b = appendCell(b, problem(entry.Code, entry.Detail), r.guard)
	case receipt != nil && receipt.State == campaign.Undelivered: // accepted, but given up later
		b = appendCell(b, problem(receipt.Code, receipt.Detail), r.guard)
	}
	r.line = r.endLine(b, receipt)
}

// count counts a message that failed, expired after a failed attempt, is unknown or was not delivered among the failures.
func (r *resultsWriter) count(line uint32, o campaign.Outcome, entry *campaign.Entry, receipt *campaign.Delivery) {
	switch {
	case o == campaign.Failed || o == campaign.Unknown:
		var code, detail string
		if entry != nil {
			code, detail = entry.Code, entry.Detail
		}
		if code == "" && detail == "" {
			detail = outcomeMeaning(o)
		}
		r.failures.add(code, detail, line)
	case o == campaign.Expired && entry != nil && problem(entry.Code, entry.Detail) != "":
		r.failures.add(entry.Code, entry.Detail, line)
	case o == campaign.Sent && receipt != nil && receipt.State == campaign.Undelivered:
		r.failures.add(receipt.Code, receipt.Detail, line)
	}
}

func problem(code, detail string) string {
	switch {
	case code == "":
		return detail
	case detail == "":
		return code
	default:
		return code + ": " + detail
	}
}
