package send

import (
	"sync"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// rules are what an application's settings demand at hand-over. A reload replaces them.
type rules struct {
	window *sendingWindow
	grid   *plan.Grid
	slots  *slotMeter
}

// check decides whether a message may be handed to the driver at now: 0 means yes, anything
// else is the internal verdict it gets instead. It is the only such check, made immediately
// before the driver is called, and every path goes through it (docs/contract.md 8): a message
// may have waited for a worker since it was picked, while a window closed, its slot ended, or
// somebody paused, canceled or opted out. The caller holds cs.gate for reading.
func (cs *channelSender) check(it *item, m *Message, h *handOver) Verdict {
	switch {
	case h.closed || it.cursor.run.isHalted() || it.lateFrom > h.now.UnixNano():
		return verdictReturned
	case it.slotEnd > 0 && it.slotEnd <= h.now.UnixNano():
		return verdictReturned // its slot is over: it is planned again
	}
	if it.optOuts != h.optOuts {
		switch out, err := cs.d.store.OptedOut(cs.id, cs.name, m.AppendContact(nil)); {
		case err != nil:
			return verdictReturned // the next pick reports the error
		case out:
			return verdictSuppressed
		}
	}
	if it.sliced && h.rules.grid != nil && !h.rules.slots.take(h.rules.grid, h.now, it.reserved > h.now.UnixNano()) {
		it.nextAt = h.rules.grid.Start(h.rules.grid.Number(h.now) + 1)
		return verdictSlotFull
	}
	return 0
}

// handOver holds what is the same for all messages of a batch at its hand-over.
type handOver struct {
	now     time.Time
	closed  bool   // nothing may go: stopped, window closed, or the breaker is open
	optOuts uint64 // the version of the opt-out list
	rules   *rules
}

func (cs *channelSender) beginHandOver() handOver {
	h := handOver{now: cs.d.now(), optOuts: cs.d.store.OptOutVersion(), rules: cs.rules.Load()}
	open, _ := h.rules.window.open(h.now)
	h.closed = !open || cs.d.stopping.Load() || cs.breaker.blocks()
	return h
}

// outcomeAtHandOver returns what becomes of a message that was not handed over.
func (it *item) outcomeAtHandOver(v Verdict) campaign.Outcome {
	switch {
	case v == verdictSuppressed:
		return campaign.Suppressed
	case v == verdictSlotFull && it.before.Outcome() == campaign.Retrying:
		return campaign.Retrying
	}
	return campaign.Pending
}

// maxSkippedSlot is the length up to which the slot in which the process started is skipped.
const maxSkippedSlot = 5 * time.Second

// slotMeter counts the attempts that are handed over in an application's current slot, so
// that no slot delivers more than its capacity, retries included (docs/contract.md 8). The
// count is in memory: after a start nobody knows how many retries the slot has seen. So a
// short slot is skipped then, and a longer one takes only what is planned for it.
type slotMeter struct {
	mu      sync.Mutex // guards the fields below
	started time.Time  // of the process, by the wall clock
	slot    int64
	used    uint32
}

// start notes when the process began to send.
func (m *slotMeter) start(now time.Time) {
	m.mu.Lock()
	m.started = now
	m.mu.Unlock()
}

// take counts one attempt in the slot that holds now. It returns false if the slot is full.
// planned says that the message was planned for this slot, so its room is reserved.
func (m *slotMeter) take(g *plan.Grid, now time.Time, planned bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	slot := g.Number(now)
	if slot != m.slot {
		m.slot, m.used = slot, 0
	}
	if !m.started.IsZero() && slot == g.Number(m.started) && (!planned || g.Slot <= maxSkippedSlot) {
		return false
	}
	if m.used >= g.Capacity {
		return false
	}
	m.used++
	return true
}

// giveBack takes back an attempt that certainly never reached the receiver.
func (m *slotMeter) giveBack(g *plan.Grid, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.slot == g.Number(at) && m.used > 0 {
		m.used--
	}
}
