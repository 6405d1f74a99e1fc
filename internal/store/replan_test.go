package store

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// TestPassedSlicesAreSlicedAgain: passed slices are never sent in one burst (docs/contract.md 8).
func TestPassedSlicesAreSlicedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		grid := testGrid(10)
		at := time.Now().UTC().Add(time.Minute).Truncate(time.Minute)
		a := accept(t, s, draft{rows: 35, at: at}, grid)
		b := accept(t, s, draft{rows: 8, at: at.Add(10 * time.Minute)}, grid)
		time.Sleep(time.Until(at) + 10*time.Second)
		for row := range 3 {
			commit(t, s, entry(a.ID, row*2, 1, campaign.InFlight, 1), entry(a.ID, row*2, 1, campaign.Sent, 1))
		}
		time.Sleep(9*time.Minute + 50*time.Second) // all four slots have passed
		now := time.Now().UTC()
		list, expired, err := s.Replan(a.ID, *grid, now)
		if err != nil || expired != 0 {
			t.Fatalf("replan: %d expired, %v", expired, err)
		}
		want := []campaign.Slice{
			{Start: at, End: at.Add(time.Minute), First: 0, Rows: 1, Recipients: 3},
			// b holds 8 of 10 in the current slot.
			{Start: now, End: now.Add(time.Minute), First: 1, Rows: 4, Recipients: 2},
			{Start: now.Add(time.Minute), End: now.Add(2 * time.Minute), First: 5, Rows: 10, Recipients: 10},
			{Start: now.Add(2 * time.Minute), End: now.Add(3 * time.Minute), First: 15, Rows: 10, Recipients: 10},
			{Start: now.Add(3 * time.Minute), End: now.Add(4 * time.Minute), First: 25, Rows: 10, Recipients: 10},
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Error(diff)
		}
		reserved, _ := s.Reserved(1, grid.Slot, grid.Number(now), 5)
		if !cmp.Equal(reserved, []uint32{10, 10, 10, 10, 0}) {
			t.Errorf("reserved %v", reserved)
		}
		verify(t, s)
		// A second run at the same moment changes nothing.
		switch again, expired, err := s.Replan(a.ID, *grid, now); {
		case err != nil:
			t.Errorf("again: %v", err)
		case expired > 0:
			t.Errorf("again: expired = %v, want 0", expired)
		case !cmp.Equal(again, list):
			t.Errorf("again: want no difference:\n%s", cmp.Diff(list, again))
		}
		setState(t, s, b.ID, campaign.StatePaused, "")
		time.Sleep(47*time.Hour + 55*time.Minute)
		// Five minutes are left before T + 48 h for b, none for a.
		setState(t, s, b.ID, campaign.StateScheduled, "")
		if _, expired, err := s.Replan(a.ID, *grid, time.Now().UTC()); err != nil || expired != 32 {
			t.Errorf("%d expired, %v", expired, err)
		}
		if _, expired, err := s.Replan(b.ID, plan.Grid{Slot: time.Minute, Capacity: 1}, at.Add(10*time.Minute+plan.Horizon-3*time.Minute)); err != nil || expired != 5 {
			t.Errorf("%d expired, %v", expired, err)
		}
		wantCounts(t, s, a.ID, map[campaign.Outcome]uint64{campaign.Sent: 3, campaign.Expired: 32})
		verify(t, s)
		finish(t, s, a.ID)
	})
}

// TestReplanManyExpired: beyond one chunk.
func TestReplanManyExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		grid := testGrid(6000)
		head := accept(t, s, draft{rows: 10000, messages: 2, at: time.Now()}, grid)
		commit(t, s, entry(head.ID, 9, 1, campaign.InFlight, 1), entry(head.ID, 9000, 1, campaign.InFlight, 1))
		time.Sleep(49 * time.Hour)
		if _, expired, err := s.Replan(head.ID, *grid, time.Now()); err != nil || expired != 2*9998 {
			t.Errorf("%d expired, %v", expired, err)
		}
		wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Expired: 2 * 9998, campaign.InFlight: 2, campaign.Pending: 2})
		verify(t, s)
		commit(t, s, entry(head.ID, 9, 1, campaign.Sent, 1), entry(head.ID, 9000, 1, campaign.Failed, 1))
		if _, expired, err := s.Replan(head.ID, *grid, time.Now()); err != nil || expired != 1 {
			t.Errorf("%d expired, %v", expired, err)
		}
		finish(t, s, head.ID)
		verify(t, s)
	})
}

func TestResendUnknownAndFailed(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 6, messages: 2, channels: []string{"a", "b"}, per: []int{2, 1}}, nil)
	for row := range 6 {
		commit(t, s, entry(head.ID, row, 1, campaign.InFlight, 1))
		o := []campaign.Outcome{campaign.Unknown, campaign.Unknown, campaign.Failed, campaign.Failed, campaign.Sent, campaign.Sent}[row]
		commit(t, s, entry(head.ID, row, 1, o, 1))
	}
	commit(t, s, entry(head.ID, 4, 2, campaign.InFlight, 1), entry(head.ID, 4, 2, campaign.Sent, 1))
	finish(t, s, head.ID)
	if err := s.Filed(head.ID, false); err != nil {
		t.Fatal(err)
	}
	if _, err := resend(s, head.ID, []campaign.Outcome{campaign.Expired}, false); !errors.Is(err, errResend) {
		t.Errorf("resend of expired ones: %v", err)
	}
	if n, err := resend(s, head.ID, []campaign.Outcome{campaign.Unknown}, true); n != 3 || err != nil {
		t.Errorf("dry run: %d, %v", n, err)
	}
	wantState(t, s, head.ID, campaign.StateCompleted)
	if n, err := resend(s, head.ID, []campaign.Outcome{campaign.Unknown}, false); n != 3 || err != nil {
		t.Errorf("resend: %d, %v", n, err)
	}
	got := wantState(t, s, head.ID, campaign.StateSending)
	if got.Filed {
		t.Error("got.Filed = true, want false")
	}
	if !got.FinishedAt.IsZero() {
		t.Errorf("got.FinishedAt = %v, want none", got.FinishedAt)
	}
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Pending: 3, campaign.Failed: 2, campaign.Skipped: 1, campaign.Sent: 3})
	if ids, _, err := s.Due(time.Now()); len(ids) != 1 || err != nil {
		t.Errorf("due: %v, %v", ids, err)
	}
	_, list, _, _ := s.Load(head.ID)
	switch {
	case len(list) != 1:
		t.Errorf("len(list): got %v, want 1: %+v", len(list), list)
	case list[0].Sliced():
		t.Error("list[0].Sliced(): got true, want false")
	case time.Since(list[0].Start) > time.Minute:
		t.Errorf("time.Since(list[0].Start): got %v, want at most %v", time.Since(list[0].Start), time.Minute)
	case list[0].Recipients != 2:
		t.Errorf("list[0].Recipients: got %v, want 2", list[0].Recipients)
	}
	verify(t, s)
	canceled := accept(t, s, draft{rows: 1}, nil)
	setState(t, s, canceled.ID, campaign.StateCanceled, "")
	if _, err := resend(s, canceled.ID, []campaign.Outcome{campaign.Unknown}, false); !errors.Is(err, ErrState) {
		t.Errorf("resend of a canceled one: %v", err)
	}
}

// TestNextMessageAfterClockWasSetBack: a recipient's next message is due at once, even if the
// clock was later when the one before was accepted.
func TestNextMessageAfterClockWasSetBack(t *testing.T) {
	s := openTest(t)
	now := time.Now().UTC()
	head := accept(t, s, draft{rows: 1, messages: 2, at: now.Add(-time.Minute)}, nil)
	commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1))
	if ids, _, err := s.Due(now); len(ids) != 0 || err != nil { // moves its entry to the far end
		t.Fatal(ids, err)
	}
	sent := entry(head.ID, 0, 1, campaign.Sent, 1)
	sent.At = now.Add(time.Hour)
	commit(t, s, sent)
	verify(t, s)
	if ids, _, err := s.Due(now); len(ids) != 1 || err != nil {
		t.Errorf("due: %v, %v", ids, err)
	}
}

// TestReplanKeepsEndedRowsInSlices: a row that has ended after the last one that fits, and one that
// ends because nothing fits, stay in a slice, or Resend wouldn't find them.
func TestReplanKeepsEndedRowsInSlices(t *testing.T) {
	tests := map[string]struct {
		failed []int  // rows with a final outcome before their slices pass
		flying int    // the row in flight then, or -1
		room   uint32 // rows that fit
		want   uint64
	}{
		"nothing fits":                         {failed: []int{2}, flying: -1, room: 0, want: 1},
		"a row fits":                           {failed: []int{2, 5}, flying: -1, room: 1, want: 2},
		"nothing fits, and a row is in flight": {failed: []int{1, 2, 5}, flying: 3, room: 0, want: 3},
		"a row fits, and a row is in flight":   {failed: []int{2, 5}, flying: 3, room: 1, want: 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openTest(t)
				at := time.Now().UTC().Add(time.Minute).Truncate(time.Minute)
				head := accept(t, s, draft{rows: 6, at: at}, testGrid(6))
				time.Sleep(time.Until(at))
				for _, row := range test.failed {
					commit(t, s, entry(head.ID, row, 1, campaign.InFlight, 1), entry(head.ID, row, 1, campaign.Failed, 1))
				}
				if test.flying >= 0 {
					commit(t, s, entry(head.ID, test.flying, 1, campaign.InFlight, 1))
				}
				grid := plan.Grid{Slot: time.Minute, Capacity: max(test.room, 1)}
				time.Sleep(plan.Horizon - time.Minute)
				if test.room == 0 {
					time.Sleep(time.Minute)
				}
				list, _, err := s.Replan(head.ID, grid, time.Now().UTC())
				if err != nil {
					t.Fatal(err)
				}
				for row := range uint32(6) {
					covers := 0
					for _, one := range list {
						if row >= one.First && row-one.First < one.Rows {
							covers++
						}
					}
					if covers != 1 {
						t.Errorf("row %d is in %d slices, want 1: %+v", row, covers, list)
					}
				}
				if n, err := resend(s, head.ID, []campaign.Outcome{campaign.Failed}, true); n != test.want || err != nil {
					t.Errorf("resend, dry: %d, want %d, %v", n, test.want, err)
				}
				verify(t, s)
			})
		})
	}
}
