package send

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"campaignd/internal/campaign"
)

// runs holds the loaded sendings, and what is known of those that are not loaded: which wait, until
// when, and why. It brings a sending from load to conclude.
type runs struct {
	*environment
	channels *channels
	orphans  *orphans
	tasks    tasks // short work on one sending: load, replan, conclude, hold

	mu            sync.Mutex // guards what follows; never held during a call of Store
	byID          map[campaign.ID]*run
	deferred      map[campaign.ID]deferral  // not loaded before
	held          map[campaign.ID]time.Time // held by an answer: tried again then
	misconfigured map[campaign.ID]bool      // held because a channel is missing
	probes        map[campaign.ID]bool      // loaded with one message at a time
	loadFailures  map[campaign.ID]int       // failed loads in a row
	unprepared    map[campaign.ID]time.Time // since when an item of it can't be prepared
}

// deferral says until when a sending isn't loaded: by the wall clock, or for a length of time.
type deferral struct {
	wall   time.Time
	mono   time.Time
	wait   *Wait     // what the sending waits for; nil: nothing
	expiry time.Time // when its messages expire; zero: never
}

func newRuns(env *environment) *runs {
	return &runs{
		environment: env,
		byID:        map[campaign.ID]*run{}, deferred: map[campaign.ID]deferral{}, held: map[campaign.ID]time.Time{}, misconfigured: map[campaign.ID]bool{},
		probes: map[campaign.ID]bool{}, loadFailures: map[campaign.ID]int{}, unprepared: map[campaign.ID]time.Time{},
	}
}

// find returns the sending's run, or nil if it isn't loaded.
func (rs *runs) find(id campaign.ID) *run {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.byID[id]
}

// waiting reports whether a sending waits for a time of day.
func (rs *runs) waiting() bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return len(rs.byID)+len(rs.deferred)+len(rs.held) > 0
}

// start loads a sending that isn't loaded or deferred.
func (rs *runs) start(ctx context.Context, id campaign.ID) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if _, rests := rs.deferred[id]; rests || rs.byID[id] != nil || ctx.Err() != nil {
		return
	}
	r := newRun(rs.sendCtx, id)
	rs.byID[id] = r
	probe := rs.probes[id]
	delete(rs.probes, id)
	r.probe.Store(probe)
	rs.tasks.run(func() { rs.load(r) })
}

// tick looks after everything with a time: sendings that are deferred, expire, are held by an
// answer or have nothing to do for a while. It returns those that have rested long enough, and
// whether to ask the store what is due.
func (rs *runs) tick(now time.Time) (rested []campaign.ID, ask bool) {
	mono := time.Now()
	rs.mu.Lock()
	for id, r := range rs.deferred {
		if r.passed(now, mono) {
			delete(rs.deferred, id)
			ask = true
			if !r.wall.IsZero() {
				rested = append(rested, id)
			}
		}
	}
	for id, at := range rs.held {
		if mono.Before(at) {
			continue
		}
		delete(rs.held, id)
		rs.tasks.run(func() { rs.tryHeld(id) })
	}
	loaded := slices.Collect(maps.Values(rs.byID))
	rs.mu.Unlock()
	for _, r := range loaded {
		if r.isHalted() || r.slices.Load() == nil {
			continue
		}
		if r.expired(now) {
			rs.expire(r)
			continue
		}
		// The store knows when it is due again: release its rows and templates.
		if at := r.quietUntil(); at.Sub(now) > unloadAfter {
			rest := at.Add(-lookahead)
			if end := r.expiresAt(now); !end.IsZero() && end.Before(rest) {
				rest = end
			}
			r.mu.Lock()
			r.deferUntil = rest
			r.mu.Unlock()
			r.halt()
			r.nudge()
		}
	}
	return rested, ask
}

// unloadAfter is the shortest time without work for which a sending is unloaded.
const unloadAfter = 30 * time.Second

func (r deferral) passed(now, mono time.Time) bool {
	if !r.wall.IsZero() {
		return !now.Before(r.wall)
	}
	return !mono.Before(r.mono)
}

// haltAll halts all loaded runs and returns the ids of their sendings.
func (rs *runs) haltAll() []campaign.ID {
	rs.mu.Lock()
	ids := slices.Collect(maps.Keys(rs.byID))
	rs.mu.Unlock()
	for _, id := range ids {
		rs.halt(id)
	}
	return ids
}

// halt halts the sending's run, if it is loaded, and returns when nothing new of it goes out.
func (rs *runs) halt(id campaign.ID) {
	if r := rs.find(id); r != nil {
		r.halt()
		r.barrier()
	}
}

// claim returns the sending's run, or a new one that keeps it from being loaded. A task is open
// on it, which the caller ends with leave.
func (rs *runs) claim(id campaign.ID) *run {
	for {
		rs.mu.Lock()
		r := rs.byID[id]
		if r == nil {
			r = newRun(rs.sendCtx, id)
			rs.byID[id] = r
			rs.mu.Unlock()
			return r
		}
		rs.mu.Unlock()
		if r.enter() {
			return r
		}
		<-r.concluded
	}
}

// release forgets that a sending is held, because a person has moved it.
func (rs *runs) release(id campaign.ID) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.held, id)
	delete(rs.misconfigured, id)
}

// undefer forgets until when the sending isn't loaded.
func (rs *runs) undefer(id campaign.ID) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.deferred, id)
}

// prepareAgain loads a sending now whose item couldn't be prepared.
func (rs *runs) prepareAgain(id campaign.ID) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if _, waits := rs.unprepared[id]; waits {
		delete(rs.deferred, id)
		rs.Kick()
	}
}

// rediscover makes a sending load again, because messages of it have changed in the store.
func (rs *runs) rediscover(id campaign.ID) {
	rs.mu.Lock()
	r := rs.byID[id]
	delete(rs.deferred, id)
	rs.mu.Unlock()
	if r != nil && r.slices.Load() != nil {
		r.haltFor(time.Millisecond)
		r.nudge()
	}
	rs.changed(id)
	rs.Kick()
}

// reconfigure loads every sending again, so that it follows the new settings, driver and windows. One that
// was held because its channel was gone is tried again.
func (rs *runs) reconfigure() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.byID {
		r.halt()
	}
	for id := range rs.misconfigured {
		rs.held[id] = time.Time{}
	}
	clear(rs.misconfigured)
}
