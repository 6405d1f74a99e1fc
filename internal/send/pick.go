package send

import (
	"context"
	"errors"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// crowd is from how many sendings on a lane keeps no chunks between turns, and
// gives each more than one message a turn so that a chunk is not read for one.
const (
	manyCursors     = 64
	manyCursorsTurn = 16
)

// pickAll gathers up to n messages into the lane's group: those whose time has
// come, and, if there is room, those whose time comes within the lead.
func (l *channelSender) pickAll(n int, now time.Time) {
	l.group.reset()
	ahead := l.pickUntil
	l.pickUntil = now.UnixNano()
	l.pick(n, now)
	if n = min(n-l.group.count, l.prerecordLimit()); ahead > l.pickUntil && n > 0 {
		l.pickUntil = ahead
		l.pick(l.group.count+n, now)
	}
}

// pick adds to the lane's group, up to n messages in it, what is due by l.until: an
// equal share from each sending in turn, beginning with another one each time.
func (l *channelSender) pick(n int, now time.Time) {
	ready := 0
	for _, f := range l.cursors {
		if f.mayGo(l, now) {
			ready++
		}
	}
	if ready == 0 {
		return
	}
	share := max((n-l.group.count)/ready, 1)
	if len(l.cursors) > manyCursors {
		share = max(share, min(n, manyCursorsTurn))
	}
	for none := 0; none < len(l.cursors) && l.group.count < n; {
		// A turn that the last group's end has cut short goes on first.
		if l.turnLeft == 0 || l.turn < 0 || l.turn >= len(l.cursors) {
			l.turn, l.turnLeft = (l.turn+1)%len(l.cursors), share
		}
		f, before := l.cursors[l.turn], l.group.count
		settled := len(l.group.settled)
		if f.mayGo(l, now) {
			err := l.pickFrom(f, min(l.turnLeft, n-before), now)
			if err == nil {
				err = f.lookup(l, now)
			}
			if err != nil {
				f.readFailed(l, err)
			} else {
				f.readFailures = 0
			}
		}
		took := l.group.count - before
		if none++; took+len(l.group.settled)-settled > 0 {
			none = 0
		}
		if l.turnLeft -= took; l.group.count < n || !f.mayGo(l, now) {
			l.turnLeft = 0
		}
	}
}

// mayGo reports whether the feed has something that may be picked.
func (f *sendingCursor) mayGo(l *channelSender, now time.Time) bool {
	return f.nextAt > 0 && f.nextAt <= l.pickUntil && !f.backingOff && !f.run.isHalted() &&
		(f.inFlight+f.picked == 0 || !f.run.probe.Load()) && !f.slices.expired(now)
}

// pickFrom takes up to n messages of one feed: first those it comes back to, then by its cursors.
func (l *channelSender) pickFrom(f *sendingCursor, n int, now time.Time) error {
	if f.run.probe.Load() {
		n = 1
	}
	budget := readBudget
	for n > 0 {
		b, ok := f.queue.popReady()
		if !ok {
			break
		}
		took, err := l.pickQueued(f, b, &budget, now)
		if err != nil {
			f.queue.add(queuedMessage{row: b.row, message: b.message, attempts: b.attempts, retry: b.retry})
			return err
		}
		n -= took
		l.progressed = true
	}
	for n > 0 {
		c := f.earliest(l, now)
		if c == nil || f.run.replanning.Load() {
			return nil
		}
		if !c.found {
			more, err := f.advance(l, c, &budget)
			if err != nil {
				return err
			}
			if more && !c.found {
				return nil // the budget is used up
			}
			l.progressed = true
			continue
		}
		ch, err := f.chunk(l, c.row/campaign.ChunkRows, &budget)
		if err != nil {
			return err
		}
		c.found = false
		i := c.row - ch.rows.First
		if number := f.sendable(ch, i); number > 0 {
			took, err := l.take(f, ch, i, number, c.slice.DueAt(c.row, l.pacing.burst).UnixNano(), c.due, now)
			if err != nil {
				return err
			}
			n -= took
		}
		l.progressed = true
		c.row++
		if _, err := f.advance(l, c, &budget); err != nil {
			return err
		}
	}
	return nil
}

// earliest is the cursor with the earliest row that may be picked, nil if none is.
func (f *sendingCursor) earliest(l *channelSender, now time.Time) *sliceCursor {
	var first *sliceCursor
	for i := range f.sliceCursors {
		c := &f.sliceCursors[i]
		if c.row-c.slice.First >= c.slice.Rows || c.due > l.pickUntil || f.passed(l, c, now) {
			continue
		}
		if first == nil || c.due < first.due {
			first = c
		}
	}
	return first
}

// pickBack takes a message that the feed comes back to, unless its mark says
// that it has gone another way meanwhile or its slot has passed. It returns how many were taken.
func (l *channelSender) pickQueued(f *sendingCursor, b queuedMessage, budget *int, now time.Time) (int, error) {
	ch, err := f.chunk(l, b.row/campaign.ChunkRows, budget)
	if err != nil {
		return 0, err
	}
	i := b.row - ch.rows.First
	if int(i) >= ch.rows.Len() || ch.rows.Channels[i] != f.channel || int(b.message) > len(f.templates) {
		return 0, nil // another lane's
	}
	m := ch.statuses[int(i)*f.run.s.Messages+int(b.message)-1]
	want := campaign.Pending
	if b.retry {
		want = campaign.Retrying
	}
	if m.Outcome() != want || b.retry && m.Attempts() != int(b.attempts) {
		return 0, nil
	}
	due := f.run.s.ScheduledAt
	if slice := f.slices.sliceOf(b.row); slice != nil {
		if !b.retry && b.message == 1 && l.passed(slice, now) {
			f.slotPassed = true // it was given back, and its slot has passed meanwhile: it is sliced again
			return 0, nil
		}
		due = slice.DueAt(b.row, l.pacing.burst)
	}
	if due.After(now) {
		// The clock was set back since the recipient's first message went out.
		b.at = due.UnixNano()
		f.queue.add(b)
		return 0, nil
	}
	return l.take(f, ch, i, int(b.message), due.UnixNano(), b.at, now)
}

// take puts one message into the group: into a parcel, or among the settled if
// its contact has opted out (looked up now: PITFALLS 26).
func (l *channelSender) take(f *sendingCursor, ch *chunk, i uint32, number int, due, from int64, now time.Time) (int, error) {
	row := ch.rows.First + i
	was := ch.statuses[int(i)*f.run.s.Messages+number-1]
	it := item{cursor: f, chunk: ch, row: row, message: uint8(number), attempts: uint8(was.Attempts() + 1), before: was,
		due: due, lateFrom: max(due, from)}
	out, err := l.d.store.OptedOut(l.id, l.name, ch.rows.Contacts.At(int(i)))
	if err != nil {
		return 0, err
	}
	g := &l.group
	if out {
		it.outcome, it.recordedAttempts = campaign.Suppressed, uint8(was.Attempts())
		g.settled = append(g.settled, it)
		ch.set(f, row, it.message, it.status())
		return 0, nil
	}
	var p *batch
	if len(g.batches) > 0 {
		p = g.batches[len(g.batches)-1]
	}
	hold := int64(0)
	if it.lateFrom > now.UnixNano() {
		hold = it.lateFrom
	}
	if p == nil || len(p.items) >= l.batchSize() || !p.fits(hold) {
		p = l.d.batches.Get().(*batch)
		p.due, p.first = hold, hold
		g.batches = append(g.batches, p)
	}
	p.due = max(p.due, hold)
	p.items = append(p.items, it)
	g.need(ch)
	g.count++
	f.picked++
	ch.set(f, row, it.message, it.status())
	return 1, nil
}

// commit has the group's attempts written into the books, and the results that
// have come in since the last time with them: one sync for both. Only then are the
// group's parcels the lane's to hand out; if it fails nothing of it is, and
// all is as before but for the results, which wait for the next try.
func (l *channelSender) commit(ctx context.Context) error {
	g := &l.group
	l.decideResults()
	if g.count+len(g.settled)+len(l.outcomes) == 0 {
		l.releaseResults() // refused ones have nothing to record
		return nil
	}
	now := l.d.now()
	entry := func(it *item, o campaign.Outcome, attempts uint8) {
		at := now
		if o == campaign.InFlight && it.lateFrom > now.UnixNano() {
			at = time.Unix(0, it.lateFrom).UTC() // it is marked ahead of its time
		}
		g.entries = append(g.entries, campaign.Entry{Sending: it.cursor.run.id, Row: it.row, Message: it.message,
			Outcome: o, Attempts: attempts, At: at})
	}
	for _, p := range g.batches {
		for i := range p.items {
			entry(&p.items[i], campaign.InFlight, p.items[i].attempts)
		}
	}
	for i := range g.settled {
		entry(&g.settled[i], g.settled[i].outcome, g.settled[i].recordedAttempts)
	}
	g.entries = append(g.entries, l.outcomes...)
	if g.count > 0 {
		failpoint.At(failpoint.AttemptsPicked)
	}
	began := time.Now()
	err := l.commitEntries(ctx, g.entries)
	var refused *campaign.Refused
	if err != nil && !errors.As(err, &refused) {
		l.undo()
		return err
	}
	l.limiter.commitTook(time.Since(began))
	if g.count > 0 {
		failpoint.At(failpoint.AttemptsCommitted)
	}
	l.recorded()
	for _, p := range g.batches {
		p.driver = l.driver.take()
		for i := range p.items {
			f := p.items[i].cursor
			f.inFlight++
			f.picked--
			f.run.unrecorded.Add(1)
		}
		l.enqueue(p)
	}
	l.unrecorded.Add(int64(g.count))
	if refused != nil {
		l.markRefused(refused)
	}
	l.countSettled()
	l.notifyStarted()
	return nil
}

// undo forgets the group: its messages are to be picked again.
func (l *channelSender) undo() {
	for _, p := range l.group.batches {
		for i := range p.items {
			p.items[i].cursor.picked--
			l.undoItem(&p.items[i])
		}
		p.reset()
		l.d.batches.Put(p)
	}
	for i := range l.group.settled {
		l.undoItem(&l.group.settled[i])
	}
	l.group.reset()
}

func (l *channelSender) undoItem(it *item) {
	f := it.cursor
	f.dropChunks(l) // its marks are ahead of the books
	f.queue.add(queuedMessage{row: it.row, message: it.message, attempts: uint8(it.before.Attempts()),
		retry: it.before.Outcome() == campaign.Retrying})
	f.nextAt = 1
}

// refuse takes out what the books would not have: the sending is no longer
// active, or the message was settled by someone else. What the run believes
// is old, so it is halted and, if it is still active, read anew.
func (l *channelSender) markRefused(r *campaign.Refused) {
	refused := map[int]bool{}
	for _, k := range r.Entries {
		refused[k] = true
	}
	k := 0
	for _, p := range l.group.batches {
		for i := range p.items {
			if refused[k] {
				p.results[i].Verdict = verdictRefused
				l.d.reload(p.items[i].cursor.run)
			}
			k++
		}
	}
}

// settle counts what the group settled without sending.
func (l *channelSender) countSettled() {
	if n := len(l.group.settled); n > 0 && l.d.observer != nil {
		l.d.observer.Recorded(l.id, l.name, campaign.Suppressed, n)
	}
}

// announce tells of sendings whose first attempt is in the books now.
func (l *channelSender) notifyStarted() {
	for _, p := range l.group.batches {
		for i := range p.items {
			if r := p.items[i].cursor.run; !r.started.Load() && r.started.CompareAndSwap(false, true) {
				l.d.changed(r.id)
			}
		}
	}
}
