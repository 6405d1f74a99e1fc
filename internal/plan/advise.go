package plan

import (
	"fmt"
	"strings"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// Advice lists alternatives for a sending that didn't fit.
type Advice struct {
	Room   uint32               // recipients that fit at its T under its condition
	Fits   []campaign.Condition // other conditions under which it would fit at its T
	At     time.Time            // the earliest later T at which it would fit; zero if it fits at no slot's start by Latest
	Most   uint64               // recipients that 48 hours of empty, open slots hold
	Reason string               // the advice as text, times in UTC
}

// Advise returns the room that a request's condition has, the other conditions
// under which it would fit, and the earliest later T at which it would fit
// unchanged. It reads every slot up to the request's Latest: call it outside write
// transactions. Other sendings may reserve the room in the meantime.
// It returns ErrTooManyMessages, ErrUnknownCondition, or an error of b.
func (g Grid) Advise(b Reservations, req Request) (Advice, error) {
	if err := g.check(req.Messages); err != nil {
		return Advice{}, err
	}
	rule, err := ruleOf(req.Condition)
	if err != nil {
		return Advice{}, err
	}
	r, err := g.room(b, req.T, req.Until, req.Messages)
	if err != nil {
		return Advice{}, err
	}
	a := Advice{Most: uint64(g.slotsInHorizon()) * uint64(g.Capacity/uint32(req.Messages))}
	_, _, a.Room = rule.choose(r, req.Recipients)
	for _, c := range campaign.Conditions {
		other, err := ruleOf(c)
		if err != nil {
			return Advice{}, err
		}
		if _, _, held := other.choose(r, req.Recipients); held == req.Recipients && c != req.Condition {
			a.Fits = append(a.Fits, c)
		}
	}
	if uint64(req.Recipients) <= a.Most {
		if a.At, err = g.earliest(b, req, rule); err != nil {
			return Advice{}, err
		}
	}
	a.Reason = a.reason(&NoRoom{Request: req, Room: a.Room, Closed: r.closed})
	return a, nil
}

// slotsInHorizon counts the slots that start within the horizon of a T at a slot's start.
func (g Grid) slotsInHorizon() int { return int((Horizon + g.Slot - 1) / g.Slot) }

// chunkSlots is the number of slots that earliest reads at a time.
const chunkSlots = 1 << 14

// earliest finds the first slot start after T's slot at which the request fits
// as T, or the zero time if there is none by Latest.
//
// It advances the end e of a stretch of slots and tracks how many recipients fit
// into the longest stretch before e that a single T could use: the last
// slotsInHorizon slots and, for the consecutive conditions, only those after the
// last slot without room. When this number first reaches the request's recipients,
// no earlier T fits: its slots end before e, or hold fewer. T is then the first
// slot whose horizon reaches e or, to begin at once, the start of the stretch.
func (g Grid) earliest(b Reservations, req Request, rule conditionRule) (time.Time, error) {
	latest := req.Latest
	if latest.IsZero() {
		latest = calendar.AddMonths(req.T, campaign.MonthsAhead, nil)
	}
	first, ahead := g.Number(req.T)+1, int64(g.slotsInHorizon())
	last := g.Number(latest)        // the last slot at whose start T may be
	recent := make([]uint32, ahead) // a ring buffer: the room of slot n is at n % ahead
	chunk := make([]uint32, chunkSlots)

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
			if n == 0 && rule.consecutive {
				start, total = slot+1, 0
				continue
			}
			total += uint64(n)
			recent[slot%ahead] = n
			if total < uint64(req.Recipients) {
				continue
			}
			at := max(first, slot+1-ahead)
			if rule.atOnce {
				at = start
			}
			if at > last {
				return time.Time{}, nil
			}
			return g.earliestWithin(b, req, rule, at)
		}
	}
	return time.Time{}, nil
}

// earliestWithin finds the earliest T within slot at-1, given that the start of slot
// at fits. Within a slot the remaining share only shrinks as T advances, so apart from
// the slot's start only two instants can fit: when the horizon reaches another slot,
// and when a sending window opens. T is in whole seconds.
func (g Grid) earliestWithin(b Reservations, req Request, rule conditionRule, at int64) (time.Time, error) {
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
		if _, _, held := rule.choose(r, req.Recipients); held == req.Recipients {
			return t, nil
		}
	}
	return end, nil
}

// reason formats the advice.
func (a Advice) reason(e *NoRoom) string {
	parts := []string{e.Error()}
	if len(a.Fits) > 0 {
		names := make([]string, len(a.Fits))
		for i, c := range a.Fits {
			names[i] = string(c)
		}
		parts = append(parts, "all of them would fit as "+strings.Join(names, " or "))
	}
	switch {
	case !a.At.IsZero():
		parts = append(parts, fmt.Sprintf("the earliest scheduleAt with room for all as %s is %s", e.Request.Condition, a.At.Format(time.RFC3339)))
	case uint64(e.Request.Recipients) > a.Most:
		parts = append(parts, fmt.Sprintf("%d hours of empty slots hold no more than %s: split the drop", int(Horizon.Hours()), display.Number(a.Most)))
	default:
		parts = append(parts, fmt.Sprintf("no scheduleAt within %d months has room for all as %s", campaign.MonthsAhead, e.Request.Condition))
	}
	return strings.Join(parts, "; ")
}
