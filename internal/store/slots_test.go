package store

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// TestGridOfAnotherLength: reservations are recomputed when the slot length changes.
func TestGridOfAnotherLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		grid := testGrid(10)
		at := time.Now().UTC().Add(time.Hour).Truncate(10 * time.Minute)
		a := accept(t, s, draft{rows: 25, at: at}, grid) // 10, 10, 5 in three minutes
		long := &plan.Grid{Slot: 5 * time.Minute, Capacity: 100}
		short := &plan.Grid{Slot: 30 * time.Second, Capacity: 100}
		reserved := func(grid *plan.Grid, n int) []uint32 {
			t.Helper()
			counts, err := s.Reserved(1, grid.Slot, grid.Number(at), n)
			if err != nil {
				t.Fatal(err)
			}
			return counts
		}
		if got := reserved(long, 2); !cmp.Equal(got, []uint32{25, 0}) {
			t.Errorf("seen on a longer grid: %v", got)
		}
		if got := reserved(short, 6); !cmp.Equal(got, []uint32{5, 5, 5, 5, 2, 3}) {
			t.Errorf("seen on a shorter grid: %v", got)
		}
		b := accept(t, s, draft{rows: 90, at: at}, long)
		if got := reserved(long, 2); !cmp.Equal(got, []uint32{100, 15}) {
			t.Errorf("reserved on a longer grid: %v", got)
		}
		verify(t, s)
		c := accept(t, s, draft{rows: 7, at: at}, short)
		verify(t, s)
		for _, id := range []campaign.ID{a.ID, b.ID, c.ID} {
			if _, _, err := s.Finalize(id, campaign.Canceled); err != nil {
				t.Fatal(err)
			}
			verify(t, s)
		}
		if got := reserved(short, 40); !cmp.Equal(got, make([]uint32, 40)) {
			t.Errorf("left after all were canceled: %v", got)
		}
		if counts, err := s.Reserved(1, time.Millisecond, 0, 1); err == nil {
			t.Errorf("slots of a millisecond: got %v, want an error", counts)
		}
	})
}

// TestCancelGivesBackCapacity: cancel releases future slots, and unsent messages of the current one.
func TestCancelGivesBackCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		grid := testGrid(10)
		at := time.Now().UTC().Add(time.Minute).Truncate(time.Minute)
		a := accept(t, s, draft{rows: 25, at: at}, grid)
		time.Sleep(time.Until(at) + 30*time.Second)
		for i := range 4 {
			commit(t, s, entry(a.ID, i, 1, campaign.InFlight, 1))
		}
		commit(t, s, entry(a.ID, 0, 1, campaign.Sent, 1))
		if n, _, err := s.Finalize(a.ID, campaign.Canceled); n != 21 || err != nil {
			t.Errorf("closed %d, %v", n, err)
		}
		got, err := s.Reserved(1, grid.Slot, grid.Number(at), 3)
		if err != nil || !cmp.Equal(got, []uint32{4, 0, 0}) {
			t.Errorf("reserved %v, %v", got, err)
		}
		_, list, _, _ := s.Load(a.ID)
		switch {
		case len(list) != 3:
			t.Errorf("the plan is no longer shown: len(list) = %v, want 3: %+v", len(list), list)
		case list[2].Recipients != 5:
			t.Errorf("the plan is no longer shown: list[2].Recipients = %v, want 5", list[2].Recipients)
		}
		verify(t, s)
	})
}

// TestPastSlotsAreDropped: counts of long past slots don't accumulate.
func TestPastSlotsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		grid := testGrid(10)
		for range 10 {
			accept(t, s, draft{rows: 5, at: time.Now()}, grid)
			time.Sleep(24 * time.Hour)
		}
		pages := 0
		if err := s.view(func(t *tx) error {
			return t.Bucket([]byte("slots")).ForEach(func(k, v []byte) error { pages++; return nil })
		}); err != nil || pages > 3 {
			t.Errorf("%d pages, %v", pages, err)
		}
		verify(t, s)
	})
}

// TestPastSlotsOfPausedSendingsAreKept: a clock that is days ahead for an hour doesn't delete
// the reservations of a paused sending.
func TestPastSlotsOfPausedSendingsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		grid := testGrid(10)
		at := time.Now().UTC().Add(time.Hour).Truncate(time.Minute)
		a := accept(t, s, draft{rows: 25, at: at}, grid)
		gone := accept(t, s, draft{rows: 5, at: at.Add(12 * time.Hour)}, grid)
		if err := s.Update(a.ID, func(head *campaign.Sending) error { head.State = campaign.StatePaused; return nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * 24 * time.Hour) // to the store it looks like a jump of the clock
		accept(t, s, draft{rows: 5, at: time.Now()}, grid)
		for start, want := range map[time.Time][]uint32{at: {10, 10, 5}, gone.ScheduledAt: {0, 0, 0}} {
			if got, err := s.Reserved(1, grid.Slot, grid.Number(start), 3); err != nil || !cmp.Equal(got, want) {
				t.Errorf("reserved from %s on: %v, %v; want %v", start, got, err, want)
			}
		}
		verify(t, s)
	})
}
