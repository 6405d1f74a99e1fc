package plan

import "time"

// Place assigns every recipient of the request to a slot by its condition
// (docs/contract.md 7), or none of them. Placements are in order of time and not
// empty, and each slot is filled before the next one. The error is a *NoRoom with
// the number that would fit, ErrTooManyMessages, ErrUnknownCondition, or an error of b.
func (g Grid) Place(b Reservations, req Request) ([]Placement, error) {
	if err := g.check(req.Messages); err != nil {
		return nil, err
	}
	rule, err := ruleOf(req.Condition)
	if err != nil {
		return nil, err
	}
	r, err := g.room(b, req.T, req.Until, req.Messages)
	if err != nil {
		return nil, err
	}
	from, to, held := rule.choose(r, req.Recipients)
	if held < req.Recipients {
		return nil, &NoRoom{Request: req, Room: held, Closed: r.closed}
	}
	return g.take(r, from, to, req.T, req.Recipients), nil
}

// Replan places recipients of passed slots again by the fragmented rule, as many
// as fit from now on in slots that start before until, which is the sending's T +
// Horizon (docs/contract.md 8). left counts the others, which expire.
func (g Grid) Replan(b Reservations, now, until time.Time, recipients uint32, messages int) (placed []Placement, left uint32, err error) {
	if g.check(messages) != nil { // the capacity was lowered after the sending was accepted
		return nil, recipients, nil
	}
	r, err := g.room(b, now, until, messages)
	if err != nil {
		return nil, 0, err
	}
	from, to, held := r.fragmented(recipients)
	return g.take(r, from, to, now, held), recipients - held, nil
}

// runEnd returns the first slot without room at or after start.
func (r slotRoom) runEnd(start int) int {
	for i := start; i < len(r.slots); i++ {
		if r.slots[i] == 0 {
			return i
		}
	}
	return len(r.slots)
}

// take fills the slots [from, to) in order until every recipient has a place.
func (g Grid) take(r slotRoom, from, to int, t time.Time, recipients uint32) []Placement {
	if recipients == 0 {
		return nil
	}
	used, left := 0, recipients
	for i := from; i < to && left > 0; i++ {
		if n := min(r.slots[i], left); n > 0 {
			left -= n
			used++
		}
	}
	placed, left := make([]Placement, 0, used), recipients
	for i := from; i < to && left > 0; i++ {
		n := min(r.slots[i], left)
		if n == 0 {
			continue
		}
		number := r.first + int64(i)
		start := g.Start(number)
		if start.Before(t) {
			start = t
		}
		placed = append(placed, Placement{Slot: number, Start: start, End: g.Start(number + 1), Recipients: n})
		left -= n
	}
	return placed
}
