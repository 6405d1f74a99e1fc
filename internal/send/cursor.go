package send

import (
	"fmt"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
)

// chunk is ChunkRows recipients in memory with what is known of their messages.
type chunk struct {
	number uint32
	rows   campaign.Rows
	marks  []campaign.MessageStatus
	used   uint64 // for finding the one that was not used for longest
	needed bool   // the lane's group is yet to be rendered from it
	spent  bool   // and its feed has no more use for it
}

// cursor walks the rows of one slice that has begun.
type cursor struct {
	slice *campaign.Slice
	rest  campaign.Slice // what was left of it when it was last found behind its time; else it has no Rows
	row   uint32         // the next one to look at
	due   int64          // of row, Unix nanoseconds, if found
	found bool           // row has a message that may go at due
}

// behind is how late a slot's next message may be before what the slot has left
// is spread over the rest of its time anew. After a stop, a pause, a hold or a
// jump of the clock it would go out in one burst otherwise.
const behind = time.Second

// dueAt is when the row goes.
func (c *cursor) dueAt(row uint32, burst bool) int64 {
	if c.rest.Rows > 0 {
		return c.rest.DueAt(row, burst).UnixNano()
	}
	return c.slice.DueAt(row, burst).UnixNano()
}

// spread gives what is left of a slot new times if it is behind. It does no harm
// where the channel is too slow for the slot: what is left then is too much for the time left, too.
func (c *cursor) spread(l *lane, now time.Time) {
	if !c.found || l.app.burst || !c.slice.Sliced() || now.UnixNano()-c.due < int64(behind) || !c.slice.End.After(now) {
		return
	}
	c.rest = campaign.Slice{Start: now, End: c.slice.End, First: c.row, Rows: c.slice.First + c.slice.Rows - c.row}
	c.due = now.UnixNano()
}

// feed is what one sending has for one lane. Its fields belong to the lane's goroutine but for quiet.
type feed struct {
	run       *run
	channel   uint8 // index of the lane's channel in run.s.Channels
	templates []*campaign.Template
	back      returns
	inFlight  int  // messages marked, result not recorded
	picked    int  // messages in the lane's group, not marked yet
	over      bool // reported to the run as having nothing left

	route   *itinerary
	next    int // the first slice of route that has not begun
	cursors []cursor
	chunks  []*chunk
	clock   uint64
	nextAt  int64 // when it has something to do: Unix nanoseconds, 0 for never
	reading bool  // the budget ended before the next row was found
	stuck   bool  // a cursor's slice has passed: it waits to be sliced again

	pains     int       // failed reads in a row
	hurts     bool      // the last one failed: nothing is picked before hurtUntil
	hurtUntil time.Time // by the monotonic clock

	quiet atomic.Int64 // nextAt while nothing is in flight, else 0
}

const (
	sight      = 2 * time.Second // how far ahead of its time a slice is opened and a sending loaded
	chunksKept = 3               // a feed's chunks in memory, besides one a cursor
	readBudget = 16              // chunks a feed reads in one turn before others have theirs
)

// follow begins anew when the sending has new slices.
func (f *feed) follow() {
	route := f.run.route.Load()
	if route == f.route {
		return
	}
	if f.route != nil {
		f.back.dropPending()
	}
	f.route, f.next, f.cursors, f.stuck = route, 0, f.cursors[:0], false
}

// look finds out when the feed has something to do next and sets nextAt. It
// reads the chunks that it needs for that, but only for slices in sight.
func (f *feed) look(l *lane, now time.Time) error {
	f.follow()
	f.back.ripen(now)
	first := f.back.next()
	f.open(l, now)
	f.reading = false
	budget := readBudget
	for i := 0; i < len(f.cursors); {
		c := &f.cursors[i]
		if f.passed(l, c, now) {
			// Whether it has anything left is for the store to say.
			f.stuck = true
			i++
			continue
		}
		more, err := f.advance(l, c, &budget)
		if err != nil {
			return err
		}
		if !more {
			f.cursors = append(f.cursors[:i], f.cursors[i+1:]...)
			continue
		}
		c.spread(l, now)
		if due := max(c.due, 1); first == 0 || due < first {
			first = due
		}
		i++
	}
	if f.next < len(f.route.slices) {
		if start := f.route.slices[f.next].Start.UnixNano(); first == 0 || start < first {
			first = start
		}
	}
	f.nextAt = first
	if first == 0 || time.Unix(0, first).Sub(now) > 2*sight {
		f.drop(l)
	}
	return nil
}

// passed reports whether the cursor's slot is over: nothing more goes out of it.
func (f *feed) passed(l *lane, c *cursor, now time.Time) bool { return l.passed(c.slice, now) }

func (l *lane) passed(s *campaign.Slice, now time.Time) bool {
	return l.app.grid != nil && s.Sliced() && !s.End.After(now)
}

// open gives every slice that is in sight its cursor.
func (f *feed) open(l *lane, now time.Time) {
	for f.next < len(f.route.slices) {
		s := &f.route.slices[f.next]
		if s.Start.After(now.Add(sight)) {
			return
		}
		f.next++
		if s.Rows == 0 || l.app.grid != nil && s.Sliced() && !s.End.After(f.route.asOf) {
			continue
		}
		f.cursors = append(f.cursors, cursor{slice: s, row: s.First})
	}
}

// advance moves c to the next row that has a message to go; false if there is
// none. With the budget used up it stays before the next chunk, due at once.
func (f *feed) advance(l *lane, c *cursor, budget *int) (bool, error) {
	end := c.slice.First + c.slice.Rows
	for !c.found && c.row < end {
		number := c.row / campaign.ChunkRows
		if *budget <= 0 && f.cached(number) == nil {
			c.due, f.reading = 1, true
			return true, nil
		}
		ch, err := f.chunk(l, number, budget)
		if err != nil {
			return false, err
		}
		stop := min(end-ch.rows.First, uint32(ch.rows.Len()))
		for i := c.row - ch.rows.First; i < stop; i++ {
			if ch.rows.Channels[i] == f.channel && f.waits(ch, i) > 0 {
				c.row, c.found = ch.rows.First+i, true
				c.due = c.dueAt(c.row, l.app.burst)
				return true, nil
			}
		}
		c.row = ch.rows.First + campaign.ChunkRows
	}
	return c.found, nil
}

// waits is the number of the message of row i that may go now, 0 if none may:
// the first without a final outcome, if it is pending.
func (f *feed) waits(ch *chunk, i uint32) int {
	stride := uint32(f.run.s.Messages)
	for n := range len(f.templates) {
		switch o := ch.marks[i*stride+uint32(n)].Outcome(); {
		case o == campaign.Pending:
			return n + 1
		case !o.Final():
			return 0
		}
	}
	return 0
}

// cached is the chunk if it is in memory.
func (f *feed) cached(number uint32) *chunk {
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
func (f *feed) chunk(l *lane, number uint32, budget *int) (*chunk, error) {
	if ch := f.cached(number); ch != nil {
		return ch, nil
	}
	*budget--
	if len(f.chunks) >= chunksKept+len(f.cursors) {
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
	if ch.marks, err = l.d.book.Rows(f.run.id, number, &ch.rows, ch.marks[:0]); err != nil {
		l.d.chunks.Put(ch)
		return nil, fmt.Errorf("read rows of sending %s: %w", f.run.id, err)
	}
	if len(ch.marks) < ch.rows.Len()*f.run.s.Messages {
		l.d.chunks.Put(ch)
		return nil, fmt.Errorf("read rows of sending %s: chunk %d has %d marks for %d rows", f.run.id, number, len(ch.marks), ch.rows.Len())
	}
	// What was picked since the last commit is not in the books yet.
	l.group.remark(f, ch)
	f.clock++
	ch.used = f.clock
	f.chunks = append(f.chunks, ch)
	return ch, nil
}

// mark notes what a message has become, if its row is in memory. With a final
// outcome but Sent the recipient's later messages are skipped, as in the books.
func (f *feed) mark(row uint32, message uint8, m campaign.MessageStatus) {
	for _, ch := range f.chunks {
		if ch.number == row/campaign.ChunkRows {
			ch.set(f, row, message, m)
		}
	}
}

func (ch *chunk) set(f *feed, row uint32, message uint8, m campaign.MessageStatus) {
	at := int(row%campaign.ChunkRows)*f.run.s.Messages + int(message) - 1
	ch.marks[at] = m
	if !m.Outcome().Final() || m.Outcome() == campaign.Sent {
		return
	}
	for n := int(message); n < len(f.templates); n++ {
		at++
		if ch.marks[at].Outcome() == campaign.Pending {
			ch.marks[at] = campaign.NewMessageStatus(campaign.Skipped, 0)
		}
	}
}

// drop gives the feed's chunks back. What it knew of them is in the books.
func (f *feed) drop(l *lane) {
	for _, ch := range f.chunks {
		l.free(ch)
	}
	f.chunks = f.chunks[:0]
}

// hurt notes that the feed's rows can't be read. It alone waits a little, and
// longer each time; the others of the lane go on.
func (f *feed) hurt(l *lane, err error) {
	if f.pains == 0 {
		l.d.log.Error("cannot read what is to be sent; trying again", "sending", string(f.run.id), "error", err)
	}
	f.hurts = true
	f.hurtUntil = time.Now().Add(min(time.Second<<min(f.pains, 10), time.Minute))
	f.pains++
	f.drop(l)
}
