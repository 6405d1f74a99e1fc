package send

import (
	"fmt"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
)

// chunk holds campaign.ChunkRows recipients in memory with their message statuses.
type chunk struct {
	number   uint32
	rows     campaign.Rows
	statuses []campaign.MessageStatus
	used     uint64 // clock value of the last use, to find the least recently used chunk
	needed   bool   // the current group is rendered from it later
	dropped  bool   // the cursor has released it
}

// sliceCursor walks the rows of one slice that has begun.
type sliceCursor struct {
	slice    *campaign.Slice
	respread campaign.Slice // rest of the slice with new times; Rows is 0 unless the slice was late
	row      uint32         // next row to look at
	due      int64          // due time of row in Unix nanoseconds, if found
	found    bool           // row has a message to send
}

// spreadAfter limits the lateness of a slot's next message. Beyond it the rest of the slot is spread over
// its remaining time. Otherwise the rest would go out in one burst after a stop, a pause, a hold
// or a jump of the clock.
const spreadAfter = time.Second

// dueAt returns when the row is due, in Unix nanoseconds.
func (c *sliceCursor) dueAt(row uint32, burst bool) int64 {
	if c.respread.Rows > 0 {
		return c.respread.DueAt(row, burst).UnixNano()
	}
	return c.slice.DueAt(row, burst).UnixNano()
}

// spread gives the rest of a late slot new times. It does no harm where the channel is too slow
// for the slot: the rest is too much for the remaining time either way.
func (c *sliceCursor) spread(p *picker, now time.Time) {
	if !c.found || p.pacing.burst || !c.slice.Sliced() || now.UnixNano()-c.due < int64(spreadAfter) || !c.slice.End.After(now) {
		return
	}
	c.respread = campaign.Slice{Start: now, End: c.slice.End, First: c.row, Rows: c.slice.First + c.slice.Rows - c.row}
	c.due = now.UnixNano()
}

// sendingCursor walks the messages of one sending for one channel. Its fields belong to the
// channel sender's goroutine, except idleUntil.
type sendingCursor struct {
	run       *run
	channel   uint8 // index of the channel in run.s.Channels
	templates []*campaign.Template
	queue     retryQueue
	inFlight  int  // messages without a recorded result
	picked    int  // messages in the current group
	finished  bool // reported to the run as finished

	slices       *sliceSnapshot
	next         int // first slice that has not begun
	sliceCursors []sliceCursor
	chunks       []*chunk
	clock        uint64
	nextAt       int64 // when it has something to do, in Unix nanoseconds; 0: never
	budgetSpent  bool  // the read budget ended before the next row was found
	slotPassed   bool  // a slot has passed: waits for a new plan

	readFailures int       // failed reads in a row
	backingOff   bool      // the last read failed: nothing is picked before retryReadAt
	retryReadAt  time.Time // by the monotonic clock

	lastFailure  string    // why a message is tried again; "" while none is
	failingSince time.Time // since when some message is tried again, or reads fail
	blocked      bool      // reported to the run as blocked by a rule of our own

	wait      atomic.Pointer[Wait] // what it waits for
	refusals  refusals             // equal permanent refusals in a row
	idleUntil atomic.Int64         // nextAt while nothing is in flight, otherwise 0
}

const (
	lookahead  = 2 * time.Second // how early a slice is opened and a sending loaded
	maxChunks  = 3               // a sending's chunks in memory, plus one for each slice cursor
	readBudget = 16              // chunks that one sending reads in one turn
)

// followReplan starts again when the sending has new slices.
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

// lookup finds out when the cursor has something to do next and sets nextAt. It reads the chunks
// that it needs for that, but only for slices within the lookahead.
func (cur *sendingCursor) lookup(p *picker, now time.Time) error {
	cur.followReplan()
	cur.queue.promote(now)
	first := cur.queue.next()
	cur.open(p, now)
	cur.budgetSpent = false
	budget := readBudget
	for i := 0; i < len(cur.sliceCursors); {
		c := &cur.sliceCursors[i]
		if cur.passed(p, c, now) {
			// The store decides whether anything is left.
			cur.slotPassed = true
			i++
			continue
		}
		more, err := cur.advance(p, c, &budget)
		if err != nil {
			return err
		}
		if !more {
			cur.sliceCursors = append(cur.sliceCursors[:i], cur.sliceCursors[i+1:]...)
			continue
		}
		c.spread(p, now)
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
		cur.dropChunks(p)
	}
	return nil
}

// passed reports whether the slice's slot is over, so that nothing more of it goes out.
func (cur *sendingCursor) passed(p *picker, c *sliceCursor, now time.Time) bool {
	return p.passed(c.slice, now)
}

func (p *picker) passed(s *campaign.Slice, now time.Time) bool {
	return p.pacing.grid != nil && s.Sliced() && !s.End.After(now)
}

// open makes a slice cursor for every slice within the lookahead.
func (cur *sendingCursor) open(p *picker, now time.Time) {
	for cur.next < len(cur.slices.list) {
		s := &cur.slices.list[cur.next]
		if s.Start.After(now.Add(lookahead)) {
			return
		}
		cur.next++
		if s.Rows == 0 || p.pacing.grid != nil && s.Sliced() && !s.End.After(cur.slices.asOf) {
			continue
		}
		cur.sliceCursors = append(cur.sliceCursors, sliceCursor{slice: s, row: s.First})
	}
}

// advance moves c to the next row with a message to send. It returns false if there is none. When
// the budget is used up, c stays before the next chunk and is due at once.
func (cur *sendingCursor) advance(p *picker, c *sliceCursor, budget *int) (bool, error) {
	end := c.slice.First + c.slice.Rows
	for !c.found && c.row < end {
		number := c.row / campaign.ChunkRows
		if *budget <= 0 && cur.cached(number) == nil {
			c.due, cur.budgetSpent = 1, true
			return true, nil
		}
		ch, err := cur.chunk(p, number, budget)
		if err != nil {
			return false, err
		}
		stop := min(end-ch.rows.First, uint32(ch.rows.Len()))
		for i := c.row - ch.rows.First; i < stop; i++ {
			if ch.rows.Channels[i] == cur.channel && cur.sendable(ch, i) > 0 {
				c.row, c.found = ch.rows.First+i, true
				c.due = c.dueAt(c.row, p.pacing.burst)
				return true, nil
			}
		}
		c.row = ch.rows.First + campaign.ChunkRows
	}
	return c.found, nil
}

// sendable returns the number of the message of row i that may go now, or 0.
func (cur *sendingCursor) sendable(ch *chunk, i uint32) int {
	at := int(i) * cur.run.s.Messages
	if n, o := campaign.FirstOpen(ch.statuses[at : at+len(cur.templates)]); n >= 0 && o == campaign.Pending {
		return n + 1
	}
	return 0
}

// cached returns the chunk if it is in memory.
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

// chunk returns the chunk from memory, or reads it from the store and takes one from budget.
func (cur *sendingCursor) chunk(p *picker, number uint32, budget *int) (*chunk, error) {
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
		p.group.free(cur.chunks[oldest])
		cur.chunks = append(cur.chunks[:oldest], cur.chunks[oldest+1:]...)
	}
	ch := p.chunks.Get().(*chunk)
	ch.number = number
	var err error
	if ch.statuses, err = p.store.Rows(cur.run.id, number, &ch.rows, ch.statuses[:0]); err != nil {
		p.chunks.Put(ch)
		return nil, fmt.Errorf("read rows of sending %s: %w", cur.run.id, err)
	}
	if len(ch.statuses) < ch.rows.Len()*cur.run.s.Messages {
		p.chunks.Put(ch)
		return nil, fmt.Errorf("read rows of sending %s: chunk %d has %d marks for %d rows", cur.run.id, number, len(ch.statuses), ch.rows.Len())
	}
	// The store doesn't know yet what was picked since the last commit.
	p.group.applyTo(cur, ch)
	cur.clock++
	ch.used = cur.clock
	cur.chunks = append(cur.chunks, ch)
	return ch, nil
}

// setStatus sets a message's status if its row is in memory. After a final outcome other than Sent
// the recipient's later messages end too, as in the store.
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
		ch.statuses[at] = ch.statuses[at].After(m.Outcome())
	}
}

// dropChunks releases the cursor's chunks. The store has everything they held.
func (cur *sendingCursor) dropChunks(p *picker) {
	for _, ch := range cur.chunks {
		p.group.free(ch)
	}
	cur.chunks = cur.chunks[:0]
}

// readFailed makes the cursor wait after a failed read, longer each time. Other cursors of the
// sender continue.
func (cur *sendingCursor) readFailed(p *picker, err error) {
	if cur.readFailures == 0 {
		p.log.Error("cannot read what is to be sent; trying again", "sending", string(cur.run.id), "err", err)
	}
	cur.backingOff = true
	if cur.failingSince.IsZero() {
		cur.failingSince = p.now()
	}
	cur.retryReadAt = time.Now().Add(min(time.Second<<min(cur.readFailures, 10), time.Minute))
	cur.readFailures++
	cur.dropChunks(p)
}
