package store

import (
	"errors"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// begun reports whether any message of the sending was attempted or has an outcome.
func (k *modelled) begun() bool {
	return k.state != campaign.StateScheduled && k.state != campaign.StatePaused && k.state != campaign.StateHeld || k.finalizedAs != campaign.Pending ||
		slices.ContainsFunc(k.outcomes, func(row []campaign.Outcome) bool {
			return slices.ContainsFunc(row, func(o campaign.Outcome) bool { return o != campaign.Pending })
		})
}

// reschedule gives a sending another time: all of it, or nothing if it has begun or has no room.
func (m *model) reschedule(rt *rapid.T) {
	id, k := m.some(rt)
	if k == nil {
		return
	}
	before, beforeSlices, _, err := m.s.Load(id)
	if err != nil {
		rt.Fatalf("load: %v", err)
	}
	begun := k.begun() || !before.StartedAt.IsZero()
	at := time.Now().UTC().Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "later")) * time.Second)
	grid := testGrid(modelCapacity)
	terms := Terms{}
	noRoom := false
	if len(k.outcomes) < 100 && rapid.Bool().Draw(rt, "in slots") {
		terms = Terms{Grid: grid, Place: fill(grid, at, before.Rows.Accepted, before.Messages)}
		if noRoom = rapid.IntRange(0, 3).Draw(rt, "no room") == 0; noRoom {
			terms.Place = func(plan.Reservations) ([]plan.Placement, error) { return nil, errNoRoomHere }
		}
	}
	after, err := m.s.Reschedule(id, at, terms)
	var want error
	switch {
	case begun:
		want = ErrBegun
	case noRoom:
		want = errNoRoomHere
	}
	if !errors.Is(err, want) {
		rt.Fatalf("reschedule: got %v, want %v", err, want)
	}
	if err != nil {
		switch head, list, _, loadErr := m.s.Load(id); {
		case loadErr != nil:
			rt.Fatalf("a refused reschedule changed something: %v", loadErr)
		case cmp.Diff(before, head) != "":
			rt.Fatalf("a refused reschedule changed something: want no difference:\n%s", cmp.Diff(before, head))
		case cmp.Diff(beforeSlices, list) != "":
			rt.Fatalf("a refused reschedule changed something: want no difference:\n%s", cmp.Diff(beforeSlices, list))
		}
		return
	}
	head, list, _, err := m.s.Load(id)
	switch {
	case err != nil:
		rt.Fatalf("after a reschedule: %v", err)
	case !head.ScheduledAt.Equal(at):
		rt.Fatalf("after a reschedule: head.ScheduledAt: got %v, want %v", head.ScheduledAt, at)
	case head.Sliced != (terms.Grid != nil):
		rt.Fatalf("after a reschedule: head.Sliced: got %v, want %v", head.Sliced, (terms.Grid != nil))
	case cmp.Diff(after, list) != "":
		rt.Fatalf("after a reschedule: -want +got:\n%s", cmp.Diff(after, list))
	}
	k.scheduled, k.sliced = at, head.Sliced
}

var errNoRoomHere = errors.New("no room here")
