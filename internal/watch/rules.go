package watch

import "time"

// step is what becomes of an item.
type step uint8

const (
	stepWait step = iota
	stepSettled
	stepReady
	stepIncomplete
	stepRefused
	stepControl
)

// rules are the waiting times of an inbox, and what follows from them. They are
// pure: what is known of an item and an instant in, a step out.
type rules struct {
	settle, sidecarWait, pairTimeout time.Duration
	sidecarNeeded                    bool
}

// patience is how long a state that may pass by itself is borne: two names of a
// file (an SFTP rename is link + unlink), two spellings, no permission to read.
func (r rules) grace() time.Duration {
	return min(max(10*r.settle, time.Second), r.pairTimeout)
}

// poll is how often a file that is open for writing is asked for a lease again:
// its closing makes no event and changes nothing that could be seen.
func (r rules) poll() time.Duration { return min(max(r.settle, 100*time.Millisecond), 10*time.Second) }

// still is when all parts will have been quiet for settle, by sightings: zero if they have.
func (r rules) settledAt(it *item) time.Duration {
	var at time.Duration
	for _, p := range it.parts {
		if p.seen-p.since < r.settle {
			at = max(at, p.since+r.settle)
		}
	}
	return at
}

// next is what will become of an item if nothing changes, and when. Whether
// its files are open for writing is asked at that moment, not before.
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
	if it.control() {
		return stepControl, 0
	}
	sidecar := it.count(KindSidecar) > 0
	switch {
	case it.count(KindCSV) == 0 || it.count(KindLayout) == 0 || r.sidecarNeeded && !sidecar:
		return stepIncomplete, it.first() + r.pairTimeout
	case it.settledAt == notYet:
		return stepSettled, 0
	case sidecar:
		return stepReady, 0
	}
	return stepReady, it.settledAt + r.sidecarWait
}

// heldUntil is how long an item with a file that is open for writing, or that
// can't be opened, is waited for: an upload that goes on is never timed out, one
// that stands still is, pair_timeout after its last byte.
func (r rules) heldUntil(it *item) time.Duration { return it.quietSince() + r.pairTimeout }
