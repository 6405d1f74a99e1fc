package send

import (
	"time"

	"campaignd/internal/campaign"
)

// From manyCursors sendings on, a channel sender keeps no chunks between turns, and gives each
// sending more than one message a turn, so that no chunk is read for a single message.
const (
	manyCursors     = 64
	manyCursorsTurn = 16
)

// pickAll picks up to n messages into the group: those whose time has come and, if there is room,
// up to early ones whose time comes within the lead.
func (p *picker) pickAll(n, early int, now time.Time) {
	p.group.reset()
	p.progressed = false
	ahead := p.until
	p.until = now.UnixNano()
	p.pick(n, now)
	if n = min(n-p.group.count, early); ahead > p.until && n > 0 {
		p.until = ahead
		p.pick(p.group.count+n, now)
	}
}

// pick adds messages due by pickUntil to the group until it has n. Each sending in turn gives an
// equal share; every call begins with another sending.
func (p *picker) pick(n int, now time.Time) {
	ready := 0
	for _, cur := range p.cursors {
		if cur.mayGo(p, now) {
			ready++
		}
	}
	if ready == 0 {
		return
	}
	share := max((n-p.group.count)/ready, 1)
	if len(p.cursors) > manyCursors {
		share = max(share, min(n, manyCursorsTurn))
	}
	for none := 0; none < len(p.cursors) && p.group.count < n; {
		// A turn that was cut short when the last group was full continues first.
		if p.turnLeft == 0 || p.turn < 0 || p.turn >= len(p.cursors) {
			p.turn, p.turnLeft = (p.turn+1)%len(p.cursors), share
		}
		cur, before := p.cursors[p.turn], p.group.count
		settled := len(p.group.settled)
		if cur.mayGo(p, now) {
			err := p.pickFrom(cur, min(p.turnLeft, n-before), now)
			if err == nil {
				err = cur.lookup(p, now)
			}
			if err != nil {
				cur.readFailed(p, err)
			} else {
				cur.readFailures = 0
			}
		}
		took := p.group.count - before
		if none++; took+len(p.group.settled)-settled > 0 {
			none = 0
		}
		if p.turnLeft -= took; p.group.count < n || !cur.mayGo(p, now) {
			p.turnLeft = 0
		}
	}
}

// mayGo reports whether the cursor has a message that may be picked.
func (cur *sendingCursor) mayGo(p *picker, now time.Time) bool {
	return cur.nextAt > 0 && cur.nextAt <= p.until && !cur.backingOff && !cur.run.isHalted() &&
		(cur.inFlight+cur.picked == 0 || !cur.run.probe.Load()) && !cur.run.expired(now)
}

// pickFrom takes up to n messages of one sending: first from its retry queue, then by its slice
// cursors, and only then those that were probes before. If messages that failed may be the reason for
// trouble, the retry queue comes second.
func (p *picker) pickFrom(cur *sendingCursor, n int, now time.Time) error {
	if cur.run.probe.Load() {
		n = 1
	}
	budget := readBudget
	if !p.breaker.blocksOthers() {
		cur.queue.releaseProbes()
	}
	var err error
	if p.breaker.suspects() {
		n, err = p.pickPlanned(cur, n, &budget, now)
	}
	if err == nil {
		n, err = p.pickQueued(cur, (*retryQueue).popReady, n, &budget, now)
	}
	if err == nil {
		n, err = p.pickPlanned(cur, n, &budget, now)
	}
	if err == nil && len(cur.queue.probes) > 0 {
		_, err = p.pickQueued(cur, (*retryQueue).popProbe, n, &budget, now)
	}
	return err
}

// pickQueued takes up to n messages that pop returns from the retry queue, and returns how many are missing.
func (p *picker) pickQueued(cur *sendingCursor, pop func(*retryQueue) (queuedMessage, bool), n int, budget *int, now time.Time) (missing int, err error) {
	for n > 0 {
		b, ok := pop(&cur.queue)
		if !ok {
			break
		}
		one, err := p.pickOne(cur, b, budget, now)
		if err != nil {
			cur.queue.add(queuedMessage{row: b.row, message: b.message, attempts: b.attempts, retry: b.retry})
			return n, err
		}
		n -= one
		p.progressed = true
	}
	return n, nil
}

// pickPlanned takes up to n messages by the slice cursors and returns how many are missing.
func (p *picker) pickPlanned(cur *sendingCursor, n int, budget *int, now time.Time) (missing int, err error) {
	for n > 0 {
		c := cur.earliest(p, now)
		if c == nil || cur.run.replanning.Load() {
			return n, nil
		}
		if !c.found {
			more, err := cur.advance(p, c, budget)
			if err != nil {
				return n, err
			}
			if more && !c.found {
				return n, nil // the read budget is used up
			}
			p.progressed = true
			continue
		}
		ch, err := cur.chunk(p, c.row/campaign.ChunkRows, budget)
		if err != nil {
			return n, err
		}
		c.found = false
		i := c.row - ch.rows.First
		if number := cur.sendable(ch, i); number > 0 {
			due := c.due
			if c.respread.Rows > 0 {
				due = c.slice.DueAt(c.row, p.pacing.burst).UnixNano()
			}
			one, err := p.take(cur, ch, i, number, placement{due: due, from: c.due, slice: c.slice, planned: number == 1}, now)
			if err != nil {
				return n, err
			}
			n -= one
		}
		p.progressed = true
		c.row++
		if _, err := cur.advance(p, c, budget); err != nil {
			return n, err
		}
	}
	return n, nil
}

// earliest returns the slice cursor with the earliest message that may be picked, or nil.
func (cur *sendingCursor) earliest(p *picker, now time.Time) *sliceCursor {
	var first *sliceCursor
	for i := range cur.sliceCursors {
		c := &cur.sliceCursors[i]
		if c.row-c.slice.First >= c.slice.Rows || c.due > p.until || cur.passed(p, c, now) {
			continue
		}
		if first == nil || c.due < first.due {
			first = c
		}
	}
	return first
}

// pickOne takes a message from the retry queue, unless its status has changed meanwhile or its
// slot has passed. It returns how many messages were taken.
func (p *picker) pickOne(cur *sendingCursor, b queuedMessage, budget *int, now time.Time) (int, error) {
	ch, err := cur.chunk(p, b.row/campaign.ChunkRows, budget)
	if err != nil {
		return 0, err
	}
	i := b.row - ch.rows.First
	if int(i) >= ch.rows.Len() || ch.rows.Channels[i] != cur.channel || int(b.message) > len(cur.templates) {
		return 0, nil // another channel's
	}
	m := ch.statuses[int(i)*cur.run.s.Messages+int(b.message)-1]
	want := campaign.Pending
	if b.retry {
		want = campaign.Retrying
	}
	if m.Outcome() != want || b.retry && m.Attempts() != int(b.attempts) {
		return 0, nil
	}
	due, slice := cur.run.s.ScheduledAt, cur.slices.sliceOf(b.row)
	if slice != nil {
		if !b.retry && b.message == 1 && p.passed(slice, now) {
			cur.slotPassed = true // it was returned, and its slot has passed meanwhile: plan it again
			return 0, nil
		}
		due = slice.DueAt(b.row, p.pacing.burst)
	}
	if due.After(now) {
		// The clock was set back since the recipient's first message went out.
		b.at = due.UnixNano()
		cur.queue.add(b)
		return 0, nil
	}
	return p.take(cur, ch, i, int(b.message), placement{due: due.UnixNano(), from: b.at, slice: slice, planned: !b.retry && b.message == 1}, now)
}

// placement says when a picked message is due.
type placement struct {
	due, from int64           // Unix nanoseconds: its own time, and the time of a retry
	slice     *campaign.Slice // holds its row; nil: none
	planned   bool            // it is the recipient's first message and no retry: it belongs to the slice's slot
}

// take puts one message into the group: into a batch, or among the settled ones if its contact has
// opted out by now.
func (p *picker) take(cur *sendingCursor, ch *chunk, i uint32, number int, at placement, now time.Time) (int, error) {
	row := ch.rows.First + i
	was := ch.statuses[int(i)*cur.run.s.Messages+number-1]
	it := item{cursor: cur, chunk: ch, row: row, line: ch.rows.Lines[i], message: uint8(number), attempts: uint8(min(was.Attempts()+1, campaign.MaxAttempts)), before: was,
		due: at.due, lateFrom: max(at.due, at.from), optOuts: p.store.OptOutVersion()}
	if at.slice != nil && at.slice.Sliced() {
		it.sliced = true
		if at.planned {
			it.slotEnd = at.slice.End.UnixNano()
		}
	}
	if it.sliced && was.Outcome() == campaign.Retrying { // a full slot would hide why it is a retry
		code, detail, err := p.store.Retry(cur.run.id, row, it.message)
		if err != nil {
			return 0, err
		}
		it.earlier = &Result{Code: code, Detail: detail}
	}
	p.contact = campaign.AppendContact(p.contact[:0], ch.rows.Contacts.At(int(i)), ch.rows.To(int(i)))
	out, err := p.store.OptedOut(p.application, p.name, p.contact)
	if err != nil {
		return 0, err
	}
	g := &p.group
	if out {
		it.outcome, it.recordedAttempts = campaign.Suppressed, uint8(was.Attempts())
		g.settled = append(g.settled, it)
		ch.set(cur, row, it.message, it.status())
		return 0, nil
	}
	var b *batch
	if len(g.batches) > 0 {
		b = g.batches[len(g.batches)-1]
	}
	hold := int64(0)
	if it.lateFrom > now.UnixNano() {
		hold = it.lateFrom
	}
	if b == nil || len(b.items) >= p.limits.batch || !b.fits(hold) {
		b = p.batches.Get().(*batch)
		b.due, b.first = hold, hold
		g.batches = append(g.batches, b)
	}
	b.due = max(b.due, hold)
	b.items = append(b.items, it)
	g.need(ch)
	g.count++
	cur.picked++
	ch.set(cur, row, it.message, it.status())
	return 1, nil
}

// recorded returns the number of attempts in the group, which are durable now, and empties it.
func (p *picker) recorded(mono time.Time) int {
	n := p.group.count
	if n > 0 {
		p.pickedAt = mono
	}
	p.group.releaseChunks()
	p.group.reset()
	if len(p.cursors) > manyCursors {
		for _, cur := range p.cursors {
			cur.dropChunks(p)
		}
	}
	return n
}

// undo gives up the group: its messages will be picked again.
func (p *picker) undo() {
	for _, b := range p.group.batches {
		for i := range b.items {
			b.items[i].cursor.picked--
			p.undoItem(&b.items[i])
		}
		p.recycle(b)
	}
	for i := range p.group.settled {
		p.undoItem(&p.group.settled[i])
	}
	p.group.releaseChunks()
	p.group.reset()
}

func (p *picker) undoItem(it *item) {
	cur := it.cursor
	cur.dropChunks(p) // its statuses are ahead of the store
	cur.queue.add(queuedMessage{row: it.row, message: it.message, attempts: uint8(it.before.Attempts()),
		retry: it.before.Outcome() == campaign.Retrying})
	cur.nextAt = 1
}
