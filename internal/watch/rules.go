package watch

import "time"

// step is the decision about an item.
type step uint8

const (
	stepWait step = iota
	stepSettled
	stepReady
	stepIncomplete
	stepRefused
	stepControl
	stepBadName
)

// rules hold the waiting times of an inbox and the decisions that follow from them. They are pure:
// they map an item and an instant to a step.
type rules struct {
	settle, sidecarWait, pairTimeout time.Duration
	sidecarNeeded                    bool
	layoutKnown                      bool // the inbox has a default layout
}

// needs returns the parts without which the item is incomplete, apart from its CSV. A zip may hold
// them; whether it does is known when it is opened.
func (r rules) needs(it *item) missing {
	var m missing
	if it.isZip() {
		return m
	}
	if !r.layoutKnown {
		m |= missingLayout
	}
	if r.sidecarNeeded {
		m |= missingSidecar
	}
	return m
}

// incomplete reports whether the item lacks a part for which there is no default.
func (r rules) incomplete(it *item) bool {
	return it.count(KindCSV) == 0 || it.lacks()&r.needs(it) != 0
}

// grace is how long a state that may pass by itself is tolerated: two links to a file (an SFTP
// rename is link and unlink), two spellings of a part, a missing read permission.
func (r rules) grace() time.Duration {
	return min(max(10*r.settle, time.Second), r.pairTimeout)
}

// poll is the interval between lease requests for a file that is open for writing. Closing it
// causes no event and changes nothing visible.
func (r rules) poll() time.Duration { return min(max(r.settle, 100*time.Millisecond), 10*time.Second) }

// settledAt returns when all parts will have been unchanged for settle, or zero if they already
// have.
func (r rules) settledAt(it *item) time.Duration {
	var at time.Duration
	for _, p := range it.parts {
		if p.seen-p.since < r.settle {
			at = max(at, p.since+r.settle)
		}
	}
	return at
}

// next returns what will become of an item if nothing changes, and when. Whether its files are
// open for writing is asked at that moment, not before.
func (r rules) next(it *item) (step, time.Duration) {
	if at := r.settledAt(it); at > 0 {
		return stepWait, at
	}
	refuse := never
	for _, p := range it.parts {
		switch {
		case !p.mode.IsRegular():
			refuse = 0
		case p.links > 1 || it.count(p.kind) > 1:
			refuse = min(refuse, it.quietSince()+r.grace())
		case p.deniedAt != notYet:
			refuse = min(refuse, p.deniedAt+r.grace())
		}
	}
	if refuse != never {
		return stepRefused, refuse
	}
	switch {
	case it.control():
		return stepControl, 0
	case it.name.Kind == KindBadName:
		return stepBadName, 0
	}
	switch {
	case r.incomplete(it):
		return stepIncomplete, it.first() + r.pairTimeout
	case it.settledAt == notYet:
		return stepSettled, 0
	case it.committed():
		return stepReady, 0
	}
	return stepReady, it.settledAt + r.sidecarWait
}

// heldUntil returns how long to wait for an item with a file that is open for writing or can't be
// opened. A running upload never times out; a stalled one does, PairTimeout after its last byte.
func (r rules) heldUntil(it *item) time.Duration { return it.quietSince() + r.pairTimeout }
