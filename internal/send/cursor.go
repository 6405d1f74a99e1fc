package send

import (
	"fmt"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
)

// chunk is ChunkRows recipients in memory with what is known of their messages.
type chunk struct {
	number   uint32
	rows     campaign.Rows
	statuses []campaign.MessageStatus
	used     uint64 // for finding the one that was not used for longest
	needed   bool   // the lane's group is yet to be rendered from it
	dropped  bool   // and its feed has no more use for it
}

// cursor walks the rows of one slice that has begun.
type sliceCursor struct {
	slice    *campaign.Slice
	respread campaign.Slice // what was left of it when it was last found behind its time; else it has no Rows
	row      uint32         // the next one to look at
	due      int64          // of row, Unix nanoseconds, if found
	found    bool           // row has a message that may go at due
}

// behind is how late a slot's next message may be before what the slot has left
// is spread over the rest of its time anew. After a stop, a pause, a hold or a
// jump of the clock it would go out in one burst otherwise.
const spreadAfter = time.Second

// dueAt is when the row goes.
func (c *sliceCursor) dueAt(row uint32, burst bool) int64 {
	if c.respread.Rows > 0 {
		return c.respread.DueAt(row, burst).UnixNano()
	}
	return c.slice.DueAt(row, burst).UnixNano()
}

// spread gives what is left of a slot new times if it is behind. It does no harm
// where the channel is too slow for the slot: what is left then is too much for the time left, too.
func (c *sliceCursor) spread(l *channelSender, now time.Time) {
	if !c.found || l.pacing.burst || !c.slice.Sliced() || now.UnixNano()-c.due < int64(spreadAfter) || !c.slice.End.After(now) {
		return
	}
	c.respread = campaign.Slice{Start: now, End: c.slice.End, First: c.row, Rows: c.slice.First + c.slice.Rows - c.row}
	c.due = now.UnixNano()
}

// feed is what one sending has for one lane. Its fields belong to the lane's goroutine but for quiet.
type sendingCursor struct {
	run       *run
	channel   uint8 // index of the lane's channel in run.s.Channels
	templates []*campaign.Template
	queue     retryQueue
	inFlight  int  // messages marked, result not recorded
	picked    int  // messages in the lane's group, not marked yet
	finished  bool // reported to the run as having nothing left

	slices       *sliceSnapshot
	next         int // the first slice of route that has not begun
	sliceCursors []sliceCursor
	chunks       []*chunk
	clock        uint64
	nextAt       int64 // when it has something to do: Unix nanoseconds, 0 for never
	budgetSpent  bool  // the budget ended before the next row was found
	slotPassed   bool  // a cursor's slice has passed: it waits to be sliced again

	readFailures int       // failed reads in a row
	backingOff   bool      // the last one failed: nothing is picked before hurtUntil
	retryReadAt  time.Time // by the monotonic clock

	idleUntil atomic.Int64 // nextAt while nothing is in flight, else 0
}

const (
	lookahead  = 2 * time.Second // how far ahead of its time a slice is opened and a sending loaded
	maxChunks  = 3               // a feed's chunks in memory, besides one a cursor
	readBudget = 16              // chunks a feed reads in one turn before others have theirs
)

// follow begins anew when the sending has new slices.
func (f *sendingCursor) followReplan() {
	route := f.run.slices.Load()
	if route == f.slices {
		return
	}
	if f.slices != nil {
		f.queue.dropPending()
	}
	f.slices, f.next, f.sliceCursors, f.slotPassed = route, 0, f.sliceCursors[:0], false
}

// look finds out when the feed has something to do next and sets nextAt. It
// reads the chunks that it needs for that, but only for slices in sight.
func (f *sendingCursor) lookup(l *channelSender, now time.Time) error {
	f.followReplan()
	f.queue.promote(now)
	first := f.queue.next()
	f.open(l, now)
	f.budgetSpent = false
	budget := readBudget
	for i := 0; i < len(f.sliceCursors); {
		c := &f.sliceCursors[i]
		if f.passed(l, c, now) {
			// Whether it has anything left is for the store to say.
			f.slotPassed = true
			i++
			continue
		}
		more, err := f.advance(l, c, &budget)
		if err != nil {
			return err
		}
		if !more {
			f.sliceCursors = append(f.sliceCursors[:i], f.sliceCursors[i+1:]...)
			continue
		}
		c.spread(l, now)
		if due := max(c.due, 1); first == 0 || due < first {
			first = due
		}
		i++
	}
	if f.next < len(f.slices.list) {
		if start := f.slices.list[f.next].Start.UnixNano(); first == 0 || start < first {
			first = start
		}
	}
	f.nextAt = first
	if first == 0 || time.Unix(0, first).Sub(now) > 2*lookahead {
		f.dropChunks(l)
	}
	return nil
}

// passed reports whether the cursor's slot is over: nothing more goes out of it.
func (f *sendingCursor) passed(l *channelSender, c *sliceCursor, now time.Time) bool {
	return l.passed(c.slice, now)
}

func (l *channelSender) passed(s *campaign.Slice, now time.Time) bool {
	return l.pacing.grid != nil && s.Sliced() && !s.End.After(now)
}

// open gives every slice that is in sight its cursor.
func (f *sendingCursor) open(l *channelSender, now time.Time) {
	for f.next < len(f.slices.list) {
		s := &f.slices.list[f.next]
		if s.Start.After(now.Add(lookahead)) {
			return
		}
		f.next++
		if s.Rows == 0 || l.pacing.grid != nil && s.Sliced() && !s.End.After(f.slices.asOf) {
			continue
		}
		f.sliceCursors = append(f.sliceCursors, sliceCursor{slice: s, row: s.First})
	}
}

// advance moves c to the next row that has a message to go; false if there is
// none. With the budget used up it stays before the next chunk, due at once.
func (f *sendingCursor) advance(l *channelSender, c *sliceCursor, budget *int) (bool, error) {
	end := c.slice.First + c.slice.Rows
	for !c.found && c.row < end {
		number := c.row / campaign.ChunkRows
		if *budget <= 0 && f.cached(number) == nil {
			c.due, f.budgetSpent = 1, true
			return true, nil
		}
		ch, err := f.chunk(l, number, budget)
		if err != nil {
			return false, err
		}
		stop := min(end-ch.rows.First, uint32(ch.rows.Len()))
		for i := c.row - ch.rows.First; i < stop; i++ {
			if ch.rows.Channels[i] == f.channel && f.sendable(ch, i) > 0 {
				c.row, c.found = ch.rows.First+i, true
				c.due = c.dueAt(c.row, l.pacing.burst)
				return true, nil
			}
		}
		c.row = ch.rows.First + campaign.ChunkRows
	}
	return c.found, nil
}

// waits is the number of the message of row i that may go now, 0 if none may:
// the first without a final outcome, if it is pending.
func (f *sendingCursor) sendable(ch *chunk, i uint32) int {
	stride := uint32(f.run.s.Messages)
	for n := range len(f.templates) {
		switch o := ch.statuses[i*stride+uint32(n)].Outcome(); {
		case o == campaign.Pending:
			return n + 1
		case !o.Final():
			return 0
		}
	}
	return 0
}

// cached is the chunk if it is in memory.
func (f *sendingCursor) cached(number uint32) *chunk {
	for _, ch := range f.chunks {
		if ch.number == number {
			f.clock++
			ch.used = f.clock
			return ch
		}
	}
	return nil
}

// chunk is the chunk from memory or, at the price of one of budget, from the books.
func (f *sendingCursor) chunk(l *channelSender, number uint32, budget *int) (*chunk, error) {
	if ch := f.cached(number); ch != nil {
		return ch, nil
	}
	*budget--
	if len(f.chunks) >= maxChunks+len(f.sliceCursors) {
		oldest := 0
		for i, other := range f.chunks {
			if other.used < f.chunks[oldest].used {
				oldest = i
			}
		}
		l.free(f.chunks[oldest])
		f.chunks = append(f.chunks[:oldest], f.chunks[oldest+1:]...)
	}
	ch := l.d.chunks.Get().(*chunk)
	ch.number = number
	var err error
	if ch.statuses, err = l.d.store.Rows(f.run.id, number, &ch.rows, ch.statuses[:0]); err != nil {
		l.d.chunks.Put(ch)
		return nil, fmt.Errorf("read rows of sending %s: %w", f.run.id, err)
	}
	if len(ch.statuses) < ch.rows.Len()*f.run.s.Messages {
		l.d.chunks.Put(ch)
		return nil, fmt.Errorf("read rows of sending %s: chunk %d has %d marks for %d rows", f.run.id, number, len(ch.statuses), ch.rows.Len())
	}
	// What was picked since the last commit is not in the books yet.
	l.group.applyTo(f, ch)
	f.clock++
	ch.used = f.clock
	f.chunks = append(f.chunks, ch)
	return ch, nil
}

// mark notes what a message has become, if its row is in memory. With a final
// outcome but Sent the recipient's later messages are skipped, as in the books.
func (f *sendingCursor) setStatus(row uint32, message uint8, m campaign.MessageStatus) {
	for _, ch := range f.chunks {
		if ch.number == row/campaign.ChunkRows {
			ch.set(f, row, message, m)
		}
	}
}

func (ch *chunk) set(f *sendingCursor, row uint32, message uint8, m campaign.MessageStatus) {
	at := int(row%campaign.ChunkRows)*f.run.s.Messages + int(message) - 1
	ch.statuses[at] = m
	if !m.Outcome().Final() || m.Outcome() == campaign.Sent {
		return
	}
	for n := int(message); n < len(f.templates); n++ {
		at++
		if ch.statuses[at].Outcome() == campaign.Pending {
			ch.statuses[at] = campaign.NewMessageStatus(campaign.Skipped, 0)
		}
	}
}

// drop gives the feed's chunks back. What it knew of them is in the books.
func (f *sendingCursor) dropChunks(l *channelSender) {
	for _, ch := range f.chunks {
		l.free(ch)
	}
	f.chunks = f.chunks[:0]
}

// hurt notes that the feed's rows can't be read. It alone waits a little, and
// longer each time; the others of the lane go on.
func (f *sendingCursor) readFailed(l *channelSender, err error) {
	if f.readFailures == 0 {
		l.d.log.Error("cannot read what is to be sent; trying again", "sending", string(f.run.id), "error", err)
	}
	f.backingOff = true
	f.retryReadAt = time.Now().Add(min(time.Second<<min(f.readFailures, 10), time.Minute))
	f.readFailures++
	f.dropChunks(l)
}
