package plan

import (
	"fmt"
	"strings"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// Advice is what a sending that didn't fit could do instead.
type Advice struct {
	Room   uint32               // recipients its condition has room for at its T
	Fits   []campaign.Condition // other conditions under which it would fit at its T
	At     time.Time            // the earliest later T at which it would fit; zero if it fits at no slot's start by Latest
	Most   uint64               // recipients that 48 hours of slots hold when they are all empty and open
	Reason string               // all of it for a person, in UTC
}

// monthsAhead is how far ahead a sending can be scheduled (SPEC 5).
const monthsAhead = 3

// Advise says how much room a request's condition has, which other conditions
// would fit it now, and the earliest later T at which it would fit as it is. It looks at every slot up to the request's Latest, so it belongs
// outside of write transactions; and it promises nothing, since others book meanwhile.
func (g Grid) Advise(b Reservations, req Request) (Advice, error) {
	if err := g.check(req.Messages); err != nil {
		return Advice{}, err
	}
	r, err := g.room(b, req.T, req.Until, req.Messages)
	if err != nil {
		return Advice{}, err
	}
	a := Advice{Most: uint64(g.slotsInHorizon()) * uint64(g.Capacity/uint32(req.Messages))}
	_, _, a.Room = r.choose(req.Condition, req.Recipients)
	for _, c := range campaign.Conditions {
		if _, _, held := r.choose(c, req.Recipients); held == req.Recipients && c != req.Condition {
			a.Fits = append(a.Fits, c)
		}
	}
	if uint64(req.Recipients) <= a.Most {
		if a.At, err = g.earliest(b, req); err != nil {
			return Advice{}, err
		}
	}
	a.Reason = a.reason(&NoRoom{Request: req, Room: a.Room, Closed: r.closed})
	return a, nil
}

// ahead is how many slots start within the horizon of a T that is a slot's start.
func (g Grid) slotsInHorizon() int { return int((Horizon + g.Slot - 1) / g.Slot) }

// chunkSlots is how many slots are counted at a time on the way to Latest.
const chunkSlots = 1 << 14

// earliest finds the first slot start after T's slot at which the request fits
// as T, zero if there is none by Latest.
//
// It moves the end e of a stretch of slots forth, and keeps the recipients of
// the longest stretch before e that one T could use: of the last ahead() slots,
// and for the consecutive conditions of those after the last one without room.
// When that reaches the request's recipients for the first time, no T that
// starts earlier has them all: its slots end before e, or hold fewer. T then is
// the first slot whose horizon reaches e, or, to begin at once, the stretch's start.
func (g Grid) earliest(b Reservations, req Request) (time.Time, error) {
	latest := req.Latest
	if latest.IsZero() {
		latest = calendar.AddMonths(req.T, monthsAhead, nil)
	}
	first, ahead := g.Number(req.T)+1, int64(g.slotsInHorizon())
	last := g.Number(latest)        // the last slot that T may be the start of
	recent := make([]uint32, ahead) // a ring: the room of slot n is at n % ahead
	chunk := make([]uint32, chunkSlots)
	consecutive := req.Condition != campaign.FragmentedSlots

	start, total := first, uint64(0) // the stretch [start, e) and its recipients
	for e := first; e < last+ahead; e += int64(len(chunk)) {
		chunk = chunk[:min(chunkSlots, last+ahead-e)]
		if err := b.Reserved(e, chunk); err != nil {
			return time.Time{}, fmt.Errorf("count reserved messages: %w", err)
		}
		g.convert(e, g.Start(e), chunk, req.Messages)
		for i, n := range chunk {
			slot := e + int64(i)
			if slot-start == ahead { // the stretch's first slot is out of reach
				total -= uint64(recent[start%ahead])
				start++
			}
			if n == 0 && consecutive {
				start, total = slot+1, 0
				continue
			}
			total += uint64(n)
			recent[slot%ahead] = n
			if total < uint64(req.Recipients) {
				continue
			}
			at := max(first, slot+1-ahead)
			if req.Condition == campaign.ImmediateConsecutiveSlots {
				at = start
			}
			if at > last {
				return time.Time{}, nil
			}
			return g.earliestWithin(b, req, at)
		}
	}
	return time.Time{}, nil
}

// within finds the earliest T of the request that is not before the slot that comes
// before slot at, whose start is known to fit. Within a slot the share that is left only
// shrinks as T moves on, so but for its start two moments matter: when the
// horizon reaches one slot more, and when the windows open. T is of whole seconds.
func (g Grid) earliestWithin(b Reservations, req Request, at int64) (time.Time, error) {
	begin, end := g.Start(at-1), g.Start(at)
	reach := g.Start(g.firstSlotFrom(begin.Add(Horizon))).Add(time.Second - Horizon)
	opens := g.Windows.NextOpening(begin)
	if opens.Before(reach) {
		reach, opens = opens, reach
	}
	for _, t := range []time.Time{reach, opens} {
		if !t.After(req.T) || t.Before(begin) || !t.Before(end) {
			continue
		}
		r, err := g.room(b, t, t.Add(Horizon), req.Messages)
		if err != nil {
			return time.Time{}, err
		}
		if _, _, held := r.choose(req.Condition, req.Recipients); held == req.Recipients {
			return t, nil
		}
	}
	return end, nil
}

// reason puts the advice into words.
func (a Advice) reason(e *NoRoom) string {
	parts := []string{e.Error()}
	if len(a.Fits) > 0 {
		names := make([]string, len(a.Fits))
		for i, c := range a.Fits {
			names[i] = string(c)
		}
		parts = append(parts, "they would fit as "+strings.Join(names, " or "))
	}
	switch {
	case !a.At.IsZero():
		parts = append(parts, fmt.Sprintf("the earliest scheduleAt with room for all as %s is %s", e.Request.Condition, a.At.Format(time.RFC3339)))
	case uint64(e.Request.Recipients) > a.Most:
		parts = append(parts, fmt.Sprintf("%d hours of empty slots hold no more than %d: split the drop", int(Horizon.Hours()), a.Most))
	default:
		parts = append(parts, fmt.Sprintf("there is no scheduleAt within %d months with room for all as %s", monthsAhead, e.Request.Condition))
	}
	return strings.Join(parts, "; ")
}
