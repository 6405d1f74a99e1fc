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
func (c *sliceCursor) spread(cs *channelSender, now time.Time) {
	if !c.found || cs.pacing.burst || !c.slice.Sliced() || now.UnixNano()-c.due < int64(spreadAfter) || !c.slice.End.After(now) {
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
func (cur *sendingCursor) followReplan() {
	route := cur.run.slices.Load()
	if route == cur.slices {
		return
	}
	if cur.slices != nil {
		cur.queue.dropPending()
	}
	cur.slices, cur.next, cur.sliceCursors, cur.slotPassed = route, 0, cur.sliceCursors[:0], false
}

// look finds out when the feed has something to do next and sets nextAt. It
// reads the chunks that it needs for that, but only for slices in sight.
func (cur *sendingCursor) lookup(cs *channelSender, now time.Time) error {
	cur.followReplan()
	cur.queue.promote(now)
	first := cur.queue.next()
	cur.open(cs, now)
	cur.budgetSpent = false
	budget := readBudget
	for i := 0; i < len(cur.sliceCursors); {
		c := &cur.sliceCursors[i]
		if cur.passed(cs, c, now) {
			// Whether it has anything left is for the store to say.
			cur.slotPassed = true
			i++
			continue
		}
		more, err := cur.advance(cs, c, &budget)
		if err != nil {
			return err
		}
		if !more {
			cur.sliceCursors = append(cur.sliceCursors[:i], cur.sliceCursors[i+1:]...)
			continue
		}
		c.spread(cs, now)
		if due := max(c.due, 1); first == 0 || due < first {
			first = due
		}
		i++
	}
	if cur.next < len(cur.slices.list) {
		if start := cur.slices.list[cur.next].Start.UnixNano(); first == 0 || start < first {
			first = start
		}
	}
	cur.nextAt = first
	if first == 0 || time.Unix(0, first).Sub(now) > 2*lookahead {
		cur.dropChunks(cs)
	}
	return nil
}

// passed reports whether the cursor's slot is over: nothing more goes out of it.
func (cur *sendingCursor) passed(cs *channelSender, c *sliceCursor, now time.Time) bool {
	return cs.passed(c.slice, now)
}

func (cs *channelSender) passed(s *campaign.Slice, now time.Time) bool {
	return cs.pacing.grid != nil && s.Sliced() && !s.End.After(now)
}

// open gives every slice that is in sight its cursor.
func (cur *sendingCursor) open(cs *channelSender, now time.Time) {
	for cur.next < len(cur.slices.list) {
		s := &cur.slices.list[cur.next]
		if s.Start.After(now.Add(lookahead)) {
			return
		}
		cur.next++
		if s.Rows == 0 || cs.pacing.grid != nil && s.Sliced() && !s.End.After(cur.slices.asOf) {
			continue
		}
		cur.sliceCursors = append(cur.sliceCursors, sliceCursor{slice: s, row: s.First})
	}
}

// advance moves c to the next row that has a message to go; false if there is
// none. With the budget used up it stays before the next chunk, due at once.
func (cur *sendingCursor) advance(cs *channelSender, c *sliceCursor, budget *int) (bool, error) {
	end := c.slice.First + c.slice.Rows
	for !c.found && c.row < end {
		number := c.row / campaign.ChunkRows
		if *budget <= 0 && cur.cached(number) == nil {
			c.due, cur.budgetSpent = 1, true
			return true, nil
		}
		ch, err := cur.chunk(cs, number, budget)
		if err != nil {
			return false, err
		}
		stop := min(end-ch.rows.First, uint32(ch.rows.Len()))
		for i := c.row - ch.rows.First; i < stop; i++ {
			if ch.rows.Channels[i] == cur.channel && cur.sendable(ch, i) > 0 {
				c.row, c.found = ch.rows.First+i, true
				c.due = c.dueAt(c.row, cs.pacing.burst)
				return true, nil
			}
		}
		c.row = ch.rows.First + campaign.ChunkRows
	}
	return c.found, nil
}

// waits is the number of the message of row i that may go now, 0 if none may:
// the first without a final outcome, if it is pending.
func (cur *sendingCursor) sendable(ch *chunk, i uint32) int {
	stride := uint32(cur.run.s.Messages)
	for n := range len(cur.templates) {
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
func (cur *sendingCursor) cached(number uint32) *chunk {
	for _, ch := range cur.chunks {
		if ch.number == number {
			cur.clock++
			ch.used = cur.clock
			return ch
		}
	}
	return nil
}

// chunk is the chunk from memory or, at the price of one of budget, from the books.
func (cur *sendingCursor) chunk(cs *channelSender, number uint32, budget *int) (*chunk, error) {
	if ch := cur.cached(number); ch != nil {
		return ch, nil
	}
	*budget--
	if len(cur.chunks) >= maxChunks+len(cur.sliceCursors) {
		oldest := 0
		for i, other := range cur.chunks {
			if other.used < cur.chunks[oldest].used {
				oldest = i
			}
		}
		cs.free(cur.chunks[oldest])
		cur.chunks = append(cur.chunks[:oldest], cur.chunks[oldest+1:]...)
	}
	ch := cs.d.chunks.Get().(*chunk)
	ch.number = number
	var err error
	if ch.statuses, err = cs.d.store.Rows(cur.run.id, number, &ch.rows, ch.statuses[:0]); err != nil {
		cs.d.chunks.Put(ch)
		return nil, fmt.Errorf("read rows of sending %s: %w", cur.run.id, err)
	}
	if len(ch.statuses) < ch.rows.Len()*cur.run.s.Messages {
		cs.d.chunks.Put(ch)
		return nil, fmt.Errorf("read rows of sending %s: chunk %d has %d marks for %d rows", cur.run.id, number, len(ch.statuses), ch.rows.Len())
	}
	// What was picked since the last commit is not in the books yet.
	cs.group.applyTo(cur, ch)
	cur.clock++
	ch.used = cur.clock
	cur.chunks = append(cur.chunks, ch)
	return ch, nil
}

// mark notes what a message has become, if its row is in memory. With a final
// outcome but Sent the recipient's later messages are skipped, as in the books.
func (cur *sendingCursor) setStatus(row uint32, message uint8, m campaign.MessageStatus) {
	for _, ch := range cur.chunks {
		if ch.number == row/campaign.ChunkRows {
			ch.set(cur, row, message, m)
		}
	}
}

func (ch *chunk) set(cur *sendingCursor, row uint32, message uint8, m campaign.MessageStatus) {
	at := int(row%campaign.ChunkRows)*cur.run.s.Messages + int(message) - 1
	ch.statuses[at] = m
	if !m.Outcome().Final() || m.Outcome() == campaign.Sent {
		return
	}
	for n := int(message); n < len(cur.templates); n++ {
		at++
		if ch.statuses[at].Outcome() == campaign.Pending {
			ch.statuses[at] = campaign.NewMessageStatus(campaign.Skipped, 0)
		}
	}
}

// drop gives the feed's chunks back. What it knew of them is in the books.
func (cur *sendingCursor) dropChunks(cs *channelSender) {
	for _, ch := range cur.chunks {
		cs.free(ch)
	}
	cur.chunks = cur.chunks[:0]
}

// hurt notes that the feed's rows can't be read. It alone waits a little, and
// longer each time; the others of the lane go on.
func (cur *sendingCursor) readFailed(cs *channelSender, err error) {
	if cur.readFailures == 0 {
		cs.d.log.Error("cannot read what is to be sent; trying again", "sending", string(cur.run.id), "error", err)
	}
	cur.backingOff = true
	cur.retryReadAt = time.Now().Add(min(time.Second<<min(cur.readFailures, 10), time.Minute))
	cur.readFailures++
	cur.dropChunks(cs)
}
