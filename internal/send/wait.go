package send

import (
	"slices"
	"time"

	"campaignd/internal/campaign"
)

// Wait says why a sending with something due doesn't go on (docs/contract.md 8).
type Wait struct {
	Reason string
	Since  time.Time
	Until  time.Time // later than now; zero: nobody knows
}

// Wait returns what an active sending waits for: of its channels with something left to do, the
// wait that ends last. It returns false for a sending that doesn't wait.
func (d *Dispatcher) Wait(id campaign.ID) (Wait, bool) {
	w := d.runs.wait(id)
	if w == nil {
		return Wait{}, false
	}
	now := *w
	if !now.Until.After(d.now()) { // what it waited for is under way
		now.Until = time.Time{}
	}
	return now, true
}

// HeldUntil returns when a held sending is tried again: zero if only a person continues it.
func (d *Dispatcher) HeldUntil(id campaign.ID) time.Time {
	d.runs.mu.Lock()
	defer d.runs.mu.Unlock()
	return d.runs.held[id].Round(0).UTC()
}

func (rs *runs) wait(id campaign.ID) *Wait {
	rs.mu.Lock()
	rest, known := rs.deferred[id]
	r := rs.byID[id]
	rs.mu.Unlock()
	switch {
	case r != nil:
		w := r.wait()
		if w == nil {
			w = rs.retryWait(id, r.quietUntil())
		}
		return w.before(r.expiresDuring(w, rs.now()))
	case known:
		w := rest.wait
		if w == nil {
			w = rs.retryWait(id, rest.wall.Add(lookahead))
		}
		return w.before(rest.expiry)
	}
	if w := rs.storedWait(id); w != nil {
		return w.before(rs.storedExpiry(id, w.Until))
	}
	return nil
}

// storedExpiry returns when the messages of a sending in the store expire if it is blocked until then as
// it is now, zero if that isn't known.
func (rs *runs) storedExpiry(id campaign.ID, until time.Time) time.Time {
	s, slices, _, err := rs.store.Load(id)
	if err != nil {
		return time.Time{}
	}
	app := rs.channels.app(s.ApplicationID)
	if app == nil {
		return time.Time{}
	}
	s.SetBlocked(false, until)
	return newSliceSnapshot(s, slices, app.Windows, time.Time{}).expiry
}

// before returns w, or a wait until the sending's messages expire (zero: never) if that is earlier.
func (w *Wait) before(expiry time.Time) *Wait {
	if w == nil || expiry.IsZero() || !w.Until.After(expiry) {
		return w
	}
	return &Wait{Reason: w.Reason + "; its messages expire before the next try", Since: w.Since, Until: expiry.Round(0).UTC()}
}

// storedWait returns the wait for the first retry of a sending in the store.
func (rs *runs) storedWait(id campaign.ID) *Wait {
	first, err := rs.store.Retries(id, 1)
	if err != nil || len(first) == 0 {
		return nil
	}
	e := first[0]
	return &Wait{Reason: tryingAgain(describe(&Result{Code: e.Code, Detail: e.Detail})), Since: e.At, Until: e.NextAt}
}

// retryWait returns the stored wait of a sending that has nothing to do before at, or nil if at is past
// or isn't the time of its first retry. Cursors of several channels don't know whose the loaded retries are.
func (rs *runs) retryWait(id campaign.ID, at time.Time) *Wait {
	if !at.After(rs.now()) {
		return nil
	}
	w := rs.storedWait(id)
	if w != nil && w.Until.After(at) {
		return nil
	}
	return w
}

// tryingAgain is the reason of a wait for a retry.
func tryingAgain(why string) string { return "trying again after: " + why }

// wait returns the wait of the run's cursors that ends last, or nil.
func (r *run) wait() *Wait {
	r.mu.Lock()
	cursors, canceled := r.cursors, r.canceledAt
	r.mu.Unlock()
	if !canceled.IsZero() {
		return &Wait{Reason: "it is canceled, and the answers to its last messages are missing", Since: canceled}
	}
	last := r.preparing.Load()
	for _, cur := range cursors {
		if w := cur.wait.Load(); w != nil && (last == nil || last.Until.Before(w.Until)) {
			last = w
		}
	}
	return last
}

// MessageFailure is a message's failed attempt.
type MessageFailure struct {
	At      time.Time
	Line    uint32 // of the CSV
	Channel string
	Outcome campaign.Outcome // Retrying, Failed or Unknown
	Code    string
	Detail  string
}

// LastFailure returns the newest failed attempt of the sending since it was loaded first. It
// returns false if there was none, and after the sending has ended.
func (d *Dispatcher) LastFailure(id campaign.ID) (MessageFailure, bool) {
	f, found := d.failures.Load(id)
	if !found {
		return MessageFailure{}, false
	}
	return f.(MessageFailure), true
}

// ResumeChannel lets a channel that is held, throttled or in trouble try one message at
// once. It returns false if it is none of these or unknown.
func (d *Dispatcher) ResumeChannel(application int64, name string) bool {
	cs := d.channels.sender(application, name)
	if cs == nil || !cs.breaker.release(time.Now()) {
		return false
	}
	cs.updates.nudge()
	return true
}

// Describe returns the state in words, after "is".
func (s ChannelState) Describe() string {
	if s == ChannelTrouble {
		return "in trouble"
	}
	return string(s)
}

// noteFailure remembers why a message of the cursor is tried again.
func (cur *sendingCursor) noteFailure(why string, at time.Time) {
	if cur.failingSince.IsZero() {
		cur.failingSince = at
	}
	cur.lastFailure = why
}

// noteRetries remembers the reason of the first of the loaded retries, and since when any of them fails.
func (cur *sendingCursor) noteRetries(retries []campaign.Entry) {
	earliest := slices.MinFunc(retries, func(a, b campaign.Entry) int { return a.At.Compare(b.At) })
	cur.noteFailure(describe(&Result{Code: retries[0].Code, Detail: retries[0].Detail}), earliest.At)
}

// forgetFailure forgets the last failure once no message waits for a retry and reads succeed.
func (cur *sendingCursor) forgetFailure() {
	if cur.inFlight == 0 && cur.queue.retries == 0 && !cur.backingOff {
		cur.lastFailure, cur.failingSince = "", time.Time{}
	}
}

// expired reports whether everything unsent of the run is too late at now.
func (r *run) expired(now time.Time) bool {
	at := r.expiresAt(now)
	return !at.IsZero() && !now.Before(at)
}

// expiresDuring returns when everything unsent of the run expires if it waits as w says. A wait for a rule
// of our own delays that.
func (r *run) expiresDuring(w *Wait, now time.Time) time.Time {
	if w != nil && w.Until.After(now) {
		now = w.Until
	}
	return r.expiresAt(now)
}

// expiresAt returns when everything unsent of the run expires, as far as is known at now; zero: never.
func (r *run) expiresAt(now time.Time) time.Time {
	it := r.slices.Load()
	if it == nil || it.expiry.IsZero() {
		return time.Time{}
	}
	at := it.expiry.Add(time.Duration(r.blockedFor.Load()))
	if since := r.blockedSince.Load(); since != 0 {
		at = at.Add(max(now.Sub(time.Unix(0, since)), 0))
	}
	if !it.latest.IsZero() && at.After(it.latest) {
		at = it.latest
	}
	return at
}
