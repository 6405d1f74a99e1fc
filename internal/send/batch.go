package send

import (
	"slices"
	"time"

	"campaignd/internal/campaign"
)

// item is one message of a batch, with where it comes from and its outcome. Times are Unix
// nanoseconds, and fields are in order of size: a million items a second are copied and cleared.
type item struct {
	cursor   *sendingCursor
	chunk    *chunk // holds its row, until it is rendered
	due      int64
	slotEnd  int64  // it may only go before; 0 for a retry, a later message or an unsliced sending
	optOuts  uint64 // version of the opt-out list when it was looked up
	lateFrom int64  // lateness counts from here: due, or the time of the retry
	nextAt   int64  // set with the outcome: with Retrying, and with Pending if it can't go before; 0: none
	row      uint32
	line     uint32 // of its row in the CSV
	message  uint8
	attempts uint8                  // including this one
	before   campaign.MessageStatus // status before it was picked
	sliced   bool                   // its sending uses slots
	earlier  *Result                // of a sliced retry: the code and detail of the attempt before; otherwise nil
	claimed  bool                   // a worker on another machine was allowed to send it

	outcome          campaign.Outcome // set when the result is decided
	recordedAttempts uint8            // attempts to record
	maybeDelivered   bool             // an attempt may have been delivered
}

// batch holds the messages of one call of a driver. It is reused.
type batch struct {
	driver   *driver
	due      int64  // Unix nanoseconds: not handed over before; 0: at once
	first    int64  // earliest of the items' times; due is the latest
	number   uint64 // of a batch for workers on other machines
	part     int    // where it begins in the batch of that number
	recorded func() // called when its results are recorded; nil: nothing is
	probe    bool   // it is the probe of an open circuit breaker
	items    []item
	msgs     []Message
	ptrs     []*Message
	results  []Result

	content []byte // rendered items, end to end
	text    []byte // keys, contact codes, numbers and references, end to end
	ends    []int  // for each message: the ends of its key, contact, number and reference in text, and of its content
}

// Results that only the dispatcher sets.
const (
	verdictReturned   Verdict = 200 + iota // not handed to the driver: status as before
	verdictRefused                         // the store refused the attempt: nothing to record
	verdictSuppressed                      // not handed over: its contact has opted out
	verdictSlotFull                        // not handed over: the slot has no capacity left
	verdictLeft                            // claimed by a worker, whose answer the next start finds: nothing to record
	verdictLost                            // claimed by a worker that doesn't answer: unknown, and no failure of the channel
	verdictDeadly                          // the same with maxClaims workers: never resent
)

// seen reports whether the receiver may have seen the attempt, so that it counts for its slot.
func (r *Result) seen() bool {
	return r.Verdict == verdictLost || r.Verdict == verdictDeadly || r.Verdict < verdictReturned && r.Verdict != VerdictUnreachable && !r.OwnRule
}

// reset empties the batch for its next use, which writes items, messages and results as a whole:
// they aren't cleared.
func (b *batch) reset() {
	b.driver, b.due, b.first, b.number, b.part, b.recorded, b.probe = nil, 0, 0, 0, 0, nil, false
	b.items, b.msgs, b.ptrs, b.results = b.items[:0], b.msgs[:0], b.ptrs[:0], b.results[:0]
	b.content, b.text, b.ends = b.content[:0], b.text[:0], b.ends[:0]
}

// returnAll gives every message without a result the one of a message that was not sent.
func (b *batch) returnAll() {
	for i := range b.results {
		if b.results[i].Verdict == 0 {
			b.results[i].Verdict = verdictReturned
		}
	}
}

// fits reports whether a message due at hold (0: at once) may go with the others.
func (b *batch) fits(hold int64) bool {
	if hold == 0 || b.due == 0 {
		return hold == b.due
	}
	return hold >= b.first && hold-b.first <= int64(sameMoment)
}

// render makes the messages of the batch's items from chunks that the group keeps until then. It
// allocates only one string, for all keys, contact codes, numbers and references.
func (b *batch) render(channel string) {
	for i := range b.items {
		it := &b.items[i]
		cur, rows := it.cursor, &it.chunk.rows
		s, at := cur.run.s, int(it.row-rows.First)
		b.text = campaign.AppendKey(b.text, s.ID, s.Tag, rows.Lines[at], int(it.message))
		b.ends = append(b.ends, len(b.text))
		b.text = append(b.text, rows.Contacts.At(at)...)
		b.ends = append(b.ends, len(b.text))
		b.text = append(b.text, rows.To(at)...)
		b.ends = append(b.ends, len(b.text))
		b.text = append(b.text, s.RowReference(rows, at)...)
		b.ends = append(b.ends, len(b.text))
		b.content = cur.templates[it.message-1].Append(b.content, rows, at)
		b.ends = append(b.ends, len(b.content))
		it.chunk = nil
	}
	// The buffers no longer move.
	text := string(b.text)
	n := len(b.items)
	b.msgs, b.results = slices.Grow(b.msgs, n)[:n], slices.Grow(b.results, n)[:n]
	var at, body int
	var due int64
	var dueAt time.Time
	for i := range b.items {
		it, ends := &b.items[i], b.ends[5*i:5*i+5]
		if it.due != due || i == 0 {
			due, dueAt = it.due, time.Unix(0, it.due).UTC()
		}
		s := it.cursor.run.s
		b.msgs[i] = Message{
			Key: text[at:ends[0]], ContactCode: text[ends[0]:ends[1]], To: text[ends[1]:ends[2]], RowReference: text[ends[2]:ends[3]],
			SendingID: s.ID, Reference: s.Reference, ApplicationID: s.ApplicationID, CampaignID: s.CampaignID, ChannelType: channel,
			Number: int(it.message), Attempt: int(it.attempts), DueAt: dueAt, Content: b.content[body:ends[4]:ends[4]],
		}
		b.results[i] = Result{}
		at, body = ends[3], ends[4]
	}
}

// countByCursor calls add with the number of items of each cursor. Items of one cursor mostly
// follow each other, and are counted at once.
func (b *batch) countByCursor(add func(cur *sendingCursor, n int)) {
	for i := 0; i < len(b.items); {
		cur, first := b.items[i].cursor, i
		for i < len(b.items) && b.items[i].cursor == cur {
			i++
		}
		add(cur, i-first)
	}
}

// status returns the status of a picked item: in flight, or its final outcome.
func (it *item) status() campaign.MessageStatus {
	if it.outcome.Final() {
		return campaign.NewMessageStatus(it.outcome, int(it.recordedAttempts))
	}
	return campaign.NewMessageStatus(campaign.InFlight, int(it.attempts))
}
