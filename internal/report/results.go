package report

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"campaignd/internal/campaign"
)

// Header is the first line of results.csv (SPEC 9).
const Header = "line,contactCode,channelType,message,outcome,attempts,providerId,at,error\n"

// receiptHeader follows it where a channel of the sending can tell of deliveries.
const receiptHeader = ",delivery,deliveryAt\n"

// errMarks is returned when a chunk's marks don't belong to its rows.
var errMarks = errors.New("the store gave marks that don't match the rows")

// Results writes results.csv: a line for every row and message in order of the
// CSV's lines, refused rows among them once for each message they would have got. Outcomes
// that aren't final yet are written by their name, so it can be called at any time.
//
// Where a channel can tell of deliveries there are two columns more, delivery and
// deliveryAt: how far a message has come since it was sent, and when.
//
// Cells are contact data exactly as they came, quoted as RFC 4180 asks and not
// otherwise changed: who opens the file in a spreadsheet has it read them as text.
func Results(w io.Writer, l Source, id campaign.ID) error {
	s, _, _, err := l.Load(id)
	if err != nil {
		return fmt.Errorf("write results of %s: %w", id, err)
	}
	r := resultsWriter{w: w, source: l, s: s, line: []byte(Header)}
	if s.Receipts {
		r.line = append(r.line[:len(Header)-1], receiptHeader...)
	}
	for _, channel := range s.Channels {
		r.messages = append(r.messages, min(len(campaign.ContentsFor(s.Contents, channel)), s.Messages))
	}
	if err := r.flush(0); err != nil {
		return fmt.Errorf("write results of %s: %w", id, err)
	}
	next, stop := iter.Pull2(refusals(l, id))
	defer stop()
	r.next = next
	r.advance()
	err = l.EachChunk(id, r.chunk)
	if err == nil {
		err = r.refusedBefore(0) // what is left stands behind the last accepted row
	}
	if err == nil {
		err = r.flush(0)
	}
	if err != nil {
		return fmt.Errorf("write results of %s: %w", id, err)
	}
	return nil
}

// refusals turns EachRefusal around, so that refused rows can be merged in.
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

// resulter writes one results.csv.
type resultsWriter struct {
	w        io.Writer
	source   Source
	s        *campaign.Sending
	messages []int // how many each of s.Channels sends
	line     []byte

	next    func() (campaign.Refusal, error, bool)
	refused campaign.Refusal // the next, if more
	err     error            // of reading it
	more    bool
}

func (r *resultsWriter) advance() { r.refused, r.err, r.more = r.next() }

// flush writes what has gathered if it is more than limit.
func (r *resultsWriter) flush(limit int) error {
	if len(r.line) <= limit {
		return nil
	}
	_, err := r.w.Write(r.line)
	r.line = r.line[:0]
	return err
}

// refusedBefore writes the refused rows that stand before a line; 0 means all.
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

func (r *resultsWriter) appendRefused(one *campaign.Refusal, message int) {
	b := strconv.AppendUint(r.line, uint64(one.Line), 10)
	b = appendCell(append(b, ','), one.ContactCode)
	b = appendCell(append(b, ','), one.ChannelType)
	b = strconv.AppendInt(append(b, ','), int64(message), 10)
	b = append(append(b, ','), one.Outcome.String()...)
	b = append(b, ",0,,,"...)
	reason := one.Reason
	if one.Column != "" {
		reason = one.Column + ": " + reason
	}
	r.line = r.endLine(appendCell(b, reason), nil)
}

func (r *resultsWriter) chunk(rows *campaign.Rows, marks []campaign.MessageStatus, entries []campaign.Entry) error {
	stride := r.s.Messages
	if len(marks) != rows.Len()*stride {
		return fmt.Errorf("chunk at row %d: %w", rows.First, errMarks)
	}
	told, err := r.receiptsOf(rows)
	if err != nil {
		return err
	}
	for i, line := range rows.Lines {
		if err := r.refusedBefore(line); err != nil {
			return err
		}
		channel := int(rows.Channels[i])
		if channel >= len(r.messages) {
			return fmt.Errorf("row %d: %w", rows.First+uint32(i), errMarks)
		}
		for m := range r.messages[channel] {
			entry := findEntry(&entries, rows.First+uint32(i), uint8(m+1))
			r.append(line, rows.Contacts.At(i), r.s.Channels[channel], m+1, marks[i*stride+m], entry, findReceipt(&told, line, uint8(m+1)))
		}
		if err := r.flush(32 << 10); err != nil {
			return err
		}
	}
	return r.flush(0)
}

// deliveries are what is known of a chunk's messages.
func (r *resultsWriter) receiptsOf(rows *campaign.Rows) ([]campaign.Delivery, error) {
	if r.s.ReceiptVersion == 0 || rows.Len() == 0 {
		return nil, nil
	}
	return r.source.Deliveries(r.s.ID, rows.Lines[0], rows.Lines[rows.Len()-1])
}

// findDelivery is what is known of a message, nil if that is nothing. As with find, what stands before is dropped.
func findReceipt(told *[]campaign.Delivery, line uint32, message uint8) *campaign.Delivery {
	for len(*told) > 0 {
		d := &(*told)[0]
		if d.Line > line || d.Line == line && d.Message > message {
			return nil
		}
		*told = (*told)[1:]
		if d.Line == line && d.Message == message {
			return d
		}
	}
	return nil
}

// end ends a line, with the columns of deliveries where there are such.
func (r *resultsWriter) endLine(b []byte, d *campaign.Delivery) []byte {
	if !r.s.Receipts {
		return append(b, '\n')
	}
	b = append(b, ',')
	if d == nil {
		return append(b, ",\n"...)
	}
	b = append(append(b, d.State.String()...), ',')
	if !d.At.IsZero() {
		b = d.At.UTC().AppendFormat(b, time.RFC3339)
	}
	return append(b, '\n')
}

// find is the entry of a message, nil if it has none. entries are sorted and
// asked for in order: what stands before is dropped.
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

func (r *resultsWriter) append(line uint32, contact []byte, channel string, message int, mark campaign.MessageStatus, entry *campaign.Entry, told *campaign.Delivery) {
	b := strconv.AppendUint(r.line, uint64(line), 10)
	b = appendCell(append(b, ','), contact)
	b = appendCell(append(b, ','), channel)
	b = strconv.AppendInt(append(b, ','), int64(message), 10)
	b = append(append(b, ','), mark.Outcome().String()...)
	b = strconv.AppendInt(append(b, ','), int64(mark.Attempts()), 10)
	b = append(b, ',')
	if entry == nil {
		r.line = r.endLine(append(b, ",,"...), told)
		return
	}
	b = append(appendCell(b, entry.Provider), ',')
	// Details of an attempt whose message was canceled or expired afterwards say
	// why it had not been sent by then, but not when it was canceled.
	if entry.Outcome == mark.Outcome() && !entry.At.IsZero() {
		b = toInstant(entry.At).AppendFormat(b, time.RFC3339Nano)
	}
	b = append(b, ',')
	switch {
	case mark.Outcome() != campaign.Sent:
		b = appendCell(b, problem(entry.Code, entry.Detail))
	case told != nil && told.State == campaign.Undelivered: // it was taken, and given up later
		b = appendCell(b, problem(told.Code, told.Detail))
	}
	r.line = r.endLine(b, told)
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

// appendCell appends v as a CSV cell (RFC 4180): in quotes if it holds a comma,
// a quote or a line end, or begins or ends with a space, which some readers drop.
func appendCell[T string | []byte](dst []byte, v T) []byte {
	quoted := len(v) > 0 && (space(v[0]) || space(v[len(v)-1]))
	for i := 0; i < len(v) && !quoted; i++ {
		quoted = v[i] == ',' || v[i] == '"' || v[i] == '\n' || v[i] == '\r'
	}
	if !quoted {
		return append(dst, v...)
	}
	dst = append(dst, '"')
	for i := range len(v) {
		if v[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, v[i])
	}
	return append(dst, '"')
}

func space(b byte) bool { return b == ' ' || b == '\t' }
