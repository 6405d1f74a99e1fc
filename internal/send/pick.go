package send

import (
	"context"
	"errors"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// From manyCursors sendings on, a channel sender keeps no chunks between turns, and gives each
// sending more than one message a turn, so that no chunk is read for a single message.
const (
	manyCursors     = 64
	manyCursorsTurn = 16
)

// pickAll picks up to n messages into the group: those whose time has come and, if there is room,
// up to early ones whose time comes within the lead.
func (cs *channelSender) pickAll(n, early int, now time.Time) {
	cs.group.reset()
	ahead := cs.pickUntil
	cs.pickUntil = now.UnixNano()
	cs.pick(n, now)
	if n = min(n-cs.group.count, early); ahead > cs.pickUntil && n > 0 {
		cs.pickUntil = ahead
		cs.pick(cs.group.count+n, now)
	}
}

// pick adds messages due by pickUntil to the group until it has n. Each sending in turn gives an
// equal share; every call begins with another sending.
func (cs *channelSender) pick(n int, now time.Time) {
	ready := 0
	for _, cur := range cs.cursors {
		if cur.mayGo(cs, now) {
			ready++
		}
	}
	if ready == 0 {
		return
	}
	share := max((n-cs.group.count)/ready, 1)
	if len(cs.cursors) > manyCursors {
		share = max(share, min(n, manyCursorsTurn))
	}
	for none := 0; none < len(cs.cursors) && cs.group.count < n; {
		// A turn that was cut short when the last group was full continues first.
		if cs.turnLeft == 0 || cs.turn < 0 || cs.turn >= len(cs.cursors) {
			cs.turn, cs.turnLeft = (cs.turn+1)%len(cs.cursors), share
		}
		cur, before := cs.cursors[cs.turn], cs.group.count
		settled := len(cs.group.settled)
		if cur.mayGo(cs, now) {
			err := cs.pickFrom(cur, min(cs.turnLeft, n-before), now)
			if err == nil {
				err = cur.lookup(cs, now)
			}
			if err != nil {
				cur.readFailed(cs, err)
			} else {
				cur.readFailures = 0
			}
		}
		took := cs.group.count - before
		if none++; took+len(cs.group.settled)-settled > 0 {
			none = 0
		}
		if cs.turnLeft -= took; cs.group.count < n || !cur.mayGo(cs, now) {
			cs.turnLeft = 0
		}
	}
}

// mayGo reports whether the cursor has a message that may be picked.
func (cur *sendingCursor) mayGo(cs *channelSender, now time.Time) bool {
	return cur.nextAt > 0 && cur.nextAt <= cs.pickUntil && !cur.backingOff && !cur.run.isHalted() &&
		(cur.inFlight+cur.picked == 0 || !cur.run.probe.Load()) && !cur.run.expired(now)
}

// pickFrom takes up to n messages of one sending: first from its retry queue, then by its slice
// cursors.
func (cs *channelSender) pickFrom(cur *sendingCursor, n int, now time.Time) error {
	if cur.run.probe.Load() {
		n = 1
	}
	budget := readBudget
	for n > 0 {
		b, ok := cur.queue.popReady()
		if !ok {
			break
		}
		took, err := cs.pickQueued(cur, b, &budget, now)
		if err != nil {
			cur.queue.add(queuedMessage{row: b.row, message: b.message, attempts: b.attempts, retry: b.retry})
			return err
		}
		n -= took
		cs.progressed = true
	}
	for n > 0 {
		c := cur.earliest(cs, now)
		if c == nil || cur.run.replanning.Load() {
			return nil
		}
		if !c.found {
			more, err := cur.advance(cs, c, &budget)
			if err != nil {
				return err
			}
			if more && !c.found {
				return nil // the read budget is used up
			}
			cs.progressed = true
			continue
		}
		ch, err := cur.chunk(cs, c.row/campaign.ChunkRows, &budget)
		if err != nil {
			return err
		}
		c.found = false
		i := c.row - ch.rows.First
		if number := cur.sendable(ch, i); number > 0 {
			due := c.due
			if c.respread.Rows > 0 {
				due = c.slice.DueAt(c.row, cs.pacing.burst).UnixNano()
			}
			took, err := cs.take(cur, ch, i, number, placement{due: due, from: c.due, slice: c.slice, planned: number == 1}, now)
			if err != nil {
				return err
			}
			n -= took
		}
		cs.progressed = true
		c.row++
		if _, err := cur.advance(cs, c, &budget); err != nil {
			return err
		}
	}
	return nil
}

// earliest returns the slice cursor with the earliest message that may be picked, or nil.
func (cur *sendingCursor) earliest(cs *channelSender, now time.Time) *sliceCursor {
	var first *sliceCursor
	for i := range cur.sliceCursors {
		c := &cur.sliceCursors[i]
		if c.row-c.slice.First >= c.slice.Rows || c.due > cs.pickUntil || cur.passed(cs, c, now) {
			continue
		}
		if first == nil || c.due < first.due {
			first = c
		}
	}
	return first
}

// pickQueued takes a message from the retry queue, unless its status has changed meanwhile or its
// slot has passed. It returns how many messages were taken.
func (cs *channelSender) pickQueued(cur *sendingCursor, b queuedMessage, budget *int, now time.Time) (int, error) {
	ch, err := cur.chunk(cs, b.row/campaign.ChunkRows, budget)
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
		if !b.retry && b.message == 1 && cs.passed(slice, now) {
			cur.slotPassed = true // it was returned, and its slot has passed meanwhile: plan it again
			return 0, nil
		}
		due = slice.DueAt(b.row, cs.pacing.burst)
	}
	if due.After(now) {
		// The clock was set back since the recipient's first message went out.
		b.at = due.UnixNano()
		cur.queue.add(b)
		return 0, nil
	}
	return cs.take(cur, ch, i, int(b.message), placement{due: due.UnixNano(), from: b.at, slice: slice, planned: !b.retry && b.message == 1}, now)
}

// placement says when a picked message is due.
type placement struct {
	due, from int64           // Unix nanoseconds: its own time, and the time of a retry
	slice     *campaign.Slice // holds its row; nil: none
	planned   bool            // it is the recipient's first message and no retry: it belongs to the slice's slot
}

// take puts one message into the group: into a batch, or among the settled ones if its contact has
// opted out by now.
func (cs *channelSender) take(cur *sendingCursor, ch *chunk, i uint32, number int, at placement, now time.Time) (int, error) {
	row := ch.rows.First + i
	was := ch.statuses[int(i)*cur.run.s.Messages+number-1]
	it := item{cursor: cur, chunk: ch, row: row, line: ch.rows.Lines[i], message: uint8(number), attempts: uint8(min(was.Attempts()+1, campaign.MaxAttempts)), before: was,
		due: at.due, lateFrom: max(at.due, at.from), optOuts: cs.store.OptOutVersion()}
	if at.slice != nil && at.slice.Sliced() {
		it.sliced = true
		if at.planned {
			it.slotEnd = at.slice.End.UnixNano()
		}
	}
	cs.contact = campaign.AppendContact(cs.contact[:0], ch.rows.Contacts.At(int(i)), ch.rows.To(int(i)))
	out, err := cs.store.OptedOut(cs.application, cs.name, cs.contact)
	if err != nil {
		return 0, err
	}
	g := &cs.group
	if out {
		it.outcome, it.recordedAttempts = campaign.Suppressed, uint8(was.Attempts())
		g.settled = append(g.settled, it)
		ch.set(cur, row, it.message, it.status())
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
	if p == nil || len(p.items) >= cs.limits.batch || !p.fits(hold) {
		p = cs.batches.Get().(*batch)
		p.due, p.first = hold, hold
		g.batches = append(g.batches, p)
	}
	p.due = max(p.due, hold)
	p.items = append(p.items, it)
	g.need(ch)
	g.count++
	cur.picked++
	ch.set(cur, row, it.message, it.status())
	return 1, nil
}

// commit records the group's attempts and the results collected since the last commit in one sync.
// Only then may the group's batches be handed over. If it fails, the group is undone and the
// results wait for the next try.
func (cs *channelSender) commit(ctx context.Context) error {
	g := &cs.group
	cs.decideResults()
	if g.count+len(g.settled)+len(cs.outcomes) == 0 {
		cs.releaseResults() // refused attempts have nothing to record
		return nil
	}
	now := cs.now()
	entry := func(it *item, o campaign.Outcome, attempts uint8, handOut uint64) {
		at := now
		if o == campaign.InFlight && it.lateFrom > now.UnixNano() {
			at = time.Unix(0, it.lateFrom).UTC() // it is recorded before its time
		}
		g.entries = append(g.entries, campaign.Entry{})
		e := &g.entries[len(g.entries)-1]
		e.Sending, e.Row, e.Message, e.Outcome, e.Attempts, e.At, e.HandOut = it.cursor.run.id, it.row, it.message, o, attempts, at, handOut
	}
	for _, p := range g.batches {
		handOut := cs.number(p)
		for i := range p.items {
			entry(&p.items[i], campaign.InFlight, p.items[i].attempts, handOut)
		}
	}
	for i := range g.settled {
		entry(&g.settled[i], g.settled[i].outcome, g.settled[i].recordedAttempts, 0)
	}
	g.entries = append(g.entries, cs.outcomes...)
	if g.count > 0 {
		failpoint.At(failpoint.AttemptsPicked)
	}
	began := time.Now()
	err := cs.commitEntries(ctx, g.entries)
	var refused *campaign.Refused
	if err != nil && !errors.As(err, &refused) {
		cs.undo()
		return err
	}
	cs.limiter.commitTook(time.Since(began))
	if g.count > 0 {
		failpoint.At(failpoint.AttemptsCommitted)
	}
	cs.recorded()
	for _, p := range g.batches {
		p.driver = cs.driver.take()
		p.countByCursor(func(cur *sendingCursor, n int) {
			cur.inFlight += n
			cur.picked -= n
			cur.run.unrecorded.Add(int64(n))
			if cs.driver.remote != nil {
				cur.run.remote.Add(int64(n))
			}
		})
		cs.attempts.add(p)
	}
	cs.unrecorded.Add(int64(g.count))
	if refused != nil {
		cs.markRefused(refused)
	}
	cs.countSettled()
	cs.notifyStarted()
	return nil
}

// undo gives up the group: its messages will be picked again.
func (cs *channelSender) undo() {
	for _, p := range cs.group.batches {
		for i := range p.items {
			p.items[i].cursor.picked--
			cs.undoItem(&p.items[i])
		}
		cs.recycle(p)
	}
	for i := range cs.group.settled {
		cs.undoItem(&cs.group.settled[i])
	}
	cs.group.reset()
}

func (cs *channelSender) undoItem(it *item) {
	cur := it.cursor
	cur.dropChunks(cs) // its statuses are ahead of the store
	cur.queue.add(queuedMessage{row: it.row, message: it.message, attempts: uint8(it.before.Attempts()),
		retry: it.before.Outcome() == campaign.Retrying})
	cur.nextAt = 1
}

// markRefused takes out the attempts that the store refused, because the sending is no longer
// active or the message has a final outcome. What the run knows is outdated, so it is halted and,
// if it is still active, loaded again.
func (cs *channelSender) markRefused(r *campaign.Refused) {
	refused := map[int]bool{}
	for _, k := range r.Entries {
		refused[k] = true
	}
	k := 0
	for _, p := range cs.group.batches {
		for i := range p.items {
			if refused[k] {
				p.results[i].Verdict = verdictRefused
				cs.d.reload(p.items[i].cursor.run)
			}
			k++
		}
	}
}

// countSettled reports to the observer the messages that got an outcome without being sent.
func (cs *channelSender) countSettled() {
	if n := len(cs.group.settled); n > 0 && cs.observer != nil {
		cs.observer.Recorded(cs.application, cs.name, campaign.Suppressed, n)
	}
}

// notifyStarted reports sendings whose first attempt is durable now.
func (cs *channelSender) notifyStarted() {
	for _, p := range cs.group.batches {
		for i := range p.items {
			if r := p.items[i].cursor.run; !r.started.Load() && r.started.CompareAndSwap(false, true) {
				cs.changed(r.id)
			}
		}
	}
}
