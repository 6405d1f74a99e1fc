package send

import (
	"sync"
	"sync/atomic"
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

// handOverGate decides immediately before a hand-over what may go.
type handOverGate struct {
	*appChannel
	breaker *circuitBreaker
	rules   atomic.Pointer[rules]
	passing sync.RWMutex // held for reading between enter and leave
}

// enter begins a passage: no message that check lets through afterwards, and no attempt that is picked,
// escapes a barrier that begins before leave.
func (g *handOverGate) enter() { g.passing.RLock() }

func (g *handOverGate) leave() { g.passing.RUnlock() }

// barrier returns when everybody has left who was inside.
func (g *handOverGate) barrier() {
	g.passing.Lock()
	//lint:ignore SA2001 the lock itself is the point: whoever was inside has left
	g.passing.Unlock()
}

// windowOpen reports whether the sending windows are open at now, and if not, when they open.
func (g *handOverGate) windowOpen(now time.Time) (bool, time.Time) {
	return g.rules.Load().window.open(now)
}

// check decides whether a message may be handed to the driver at now: 0 means yes, anything
// else is the internal verdict it gets instead. It is the only such check, made immediately
// before the driver is called, and every path goes through it (docs/contract.md 8): a message
// may have waited for a worker since it was picked, while a window closed, its slot ended, or
// somebody paused, canceled or opted out. The caller is inside the gate.
func (g *handOverGate) check(it *item, m *Message, h *handOver) Verdict {
	switch {
	case h.closed || it.cursor.run.isHalted() || it.lateFrom > h.now.UnixNano():
		return verdictReturned
	case it.slotEnd > 0 && it.slotEnd <= h.now.UnixNano():
		return verdictReturned // its slot is over: it is planned again
	}
	if it.optOuts != h.optOuts {
		switch out, err := g.store.OptedOut(g.application, g.name, m.AppendContact(nil)); {
		case err != nil:
			return verdictReturned // the next pick reports the error
		case out:
			return verdictSuppressed
		}
	}
	if it.sliced && h.rules.grid != nil && !h.rules.slots.take(h.rules.grid, h.now) {
		it.nextAt = h.rules.grid.Start(h.rules.grid.Number(h.now) + 1).UnixNano()
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

func (g *handOverGate) begin() handOver {
	h := handOver{now: g.now(), optOuts: g.store.OptOutVersion(), rules: g.rules.Load()}
	open, _ := h.rules.window.open(h.now)
	h.closed = !open || g.bars() != "" || g.stopping.Load() || g.breaker.blocks()
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

// slotMeter counts the attempts that are handed over in an application's current slot, so
// that no slot delivers more than its capacity, retries included (docs/contract.md 8). At a
// start the store says how many the slot has seen.
type slotMeter struct {
	mu   sync.Mutex // guards the fields below
	slot int64
	used uint64
}

// begin sets how many attempts a slot has seen.
func (m *slotMeter) begin(slot int64, used uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slot, m.used = slot, used
}

// take counts one attempt in the slot that holds now. It returns false if the slot is full.
func (m *slotMeter) take(g *plan.Grid, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slot := g.Number(now); slot != m.slot {
		m.slot, m.used = slot, 0
	}
	if m.used >= uint64(g.Capacity) {
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
