package store

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
	"campaignd/internal/store/slots"
)

var digestA = strings.Repeat("0a", 32)

// TestSameDropTwice covers docs/contract.md 2, the same drop twice.
func TestSameDropTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		first := accept(t, s, draft{rows: 3, digest: digestA}, nil)
		time.Sleep(23 * time.Hour)
		again := begin(t, s, draft{rows: 3, digest: digestA})
		_, err := s.Accept(again, Terms{DuplicateWindow: 24 * time.Hour})
		var dup *DuplicateDrop
		if !errors.As(err, &dup) {
			t.Fatal("accepted again: errors.As(err, &dup) = false, want true")
		}
		if dup.Earlier != first.ID {
			t.Fatalf("accepted again: dup.Earlier = %q, want %q", dup.Earlier, first.ID)
		}
		if !strings.Contains(err.Error(), string(first.ID)) {
			t.Fatalf("accepted again: err = %q, want %q in it", err.Error(), string(first.ID))
		}
		if again.State != campaign.StateChecking {
			t.Errorf("the header was changed: again.State = %q, want %q\n%+v", again.State, campaign.StateChecking, again)
		}
		if !again.AcceptedAt.IsZero() {
			t.Errorf("the header was changed: again.AcceptedAt = %v, want none", again.AcceptedAt)
		}
		wantState(t, s, again.ID, campaign.StateChecking)
		if _, err := s.Accept(again, Terms{DuplicateWindow: 24 * time.Hour, Resend: true}); err != nil {
			t.Errorf("with resend: %v", err)
		}
		// The resent one is canceled before anything was sent: the first one counts again.
		if _, _, err := s.Finalize(again.ID, campaign.Canceled); err != nil {
			t.Fatal(err)
		}
		setState(t, s, again.ID, campaign.StateCanceled, "")
		third := begin(t, s, draft{rows: 3, digest: digestA})
		switch _, err := s.Accept(third, Terms{DuplicateWindow: 24 * time.Hour}); {
		case !errors.As(err, &dup):
			t.Error("after a cancel: errors.As(err, &dup) = false, want true")
		case dup.Earlier != first.ID:
			t.Errorf("after a cancel: dup.Earlier = %q, want %q", dup.Earlier, first.ID)
		}
		time.Sleep(2 * time.Hour)
		if _, err := s.Accept(third, Terms{DuplicateWindow: 24 * time.Hour}); err != nil {
			t.Errorf("after the window: %v", err)
		}
		verify(t, s)
	})
}

// TestCanceledDropDoesNotCount: a drop canceled before anything was sent may come again.
func TestCanceledDropDoesNotCount(t *testing.T) {
	for name, sent := range map[string]bool{"nothing sent": false, "one sent": true} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			a := accept(t, s, draft{rows: 3, digest: digestA}, nil)
			if sent {
				commit(t, s, entry(a.ID, 0, 1, campaign.InFlight, 1), entry(a.ID, 0, 1, campaign.Sent, 1))
			}
			if _, _, err := s.Finalize(a.ID, campaign.Canceled); err != nil {
				t.Fatal(err)
			}
			setState(t, s, a.ID, campaign.StateCanceled, "")
			b := begin(t, s, draft{rows: 3, digest: digestA})
			_, err := s.Accept(b, Terms{DuplicateWindow: time.Hour})
			if (err != nil) != sent {
				t.Errorf("accept: %v", err)
			}
			verify(t, s)
		})
	}
}

func TestDryRunBooksNothing(t *testing.T) {
	s := openTest(t)
	grid := testGrid(10)
	d := draft{rows: 25, dryRun: true, digest: digestA, at: time.Now().Add(time.Hour).Truncate(time.Minute)}
	a := accept(t, s, d, grid)
	head, list, counts, err := s.Load(a.ID)
	switch {
	case err != nil:
		t.Errorf("dry run: %v", err)
	case head.State != campaign.StateCompleted:
		t.Errorf("dry run: head.State: got %v, want %v", head.State, campaign.StateCompleted)
	case head.FinishedAt.IsZero():
		t.Error("dry run: head.FinishedAt: got none")
	case len(list) != 3:
		t.Errorf("dry run: len(list): got %v, want 3: %+v", len(list), list)
	case counts != (campaign.Counts{}):
		t.Errorf("dry run: counts: got %v, want %v", counts, (campaign.Counts{}))
	}
	reserved, err := s.Reserved(1, grid.Slot, grid.Number(d.at), 5)
	if err != nil || !cmp.Equal(reserved, make([]uint32, 5)) {
		t.Errorf("reserved %v, %v", reserved, err)
	}
	switch ids, next, err := s.Due(time.Now().Add(48 * time.Hour)); {
	case len(ids) > 0:
		t.Errorf("due: len(ids) = %v, want 0: %+v", len(ids), ids)
	case !next.IsZero():
		t.Errorf("due: next = %v, want none", next)
	case err != nil:
		t.Errorf("due: %v", err)
	}
	d.dryRun = false
	b := accept(t, s, d, grid) // the dry run doesn't count as accepted
	if err := s.Filed(a.ID, false); err != nil {
		t.Error(err)
	}
	verify(t, s)
	shares, err := s.SendingsInSlots(1, grid.Slot, grid.Number(d.at), 5)
	want := []Share{{Sending: b.ID, Slot: grid.Number(d.at), Messages: 10}, {Sending: b.ID, Slot: grid.Number(d.at) + 1, Messages: 10}, {Sending: b.ID, Slot: grid.Number(d.at) + 2, Messages: 5}}
	switch {
	case err != nil:
		t.Errorf("shares: %v", err)
	case !cmp.Equal(shares, want):
		t.Errorf("shares: want no difference:\n%s", cmp.Diff(want, shares))
	}
}

// TestPlaceFails: Place's error is returned unchanged and nothing is reserved.
func TestPlaceFails(t *testing.T) {
	s := openTest(t)
	grid := testGrid(10)
	head := begin(t, s, draft{rows: 5, digest: digestA})
	none := errors.New("no room")
	_, err := s.Accept(head, Terms{Grid: grid, Place: func(plan.Reservations) ([]plan.Placement, error) { return nil, none }})
	if err != none {
		t.Errorf("error %v", err)
	}
	wantState(t, s, head.ID, campaign.StateChecking)
	if err := s.Refuse(head, campaign.StateCanceled, "no room"); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Canceled: 5})
	statuses, err := s.Rows(head.ID, 0, &campaign.Rows{}, nil)
	switch {
	case err != nil:
		t.Error(err)
	case len(statuses) != 5:
		t.Errorf("len(statuses) = %v, want 5: %+v", len(statuses), statuses)
	case statuses[4].Outcome() != campaign.Canceled:
		t.Errorf("statuses[4].Outcome() = %v, want %v", statuses[4].Outcome(), campaign.Canceled)
	}
	switch got := wantState(t, s, head.ID, campaign.StateCanceled); {
	case got.FinishedAt.IsZero():
		t.Error("got.FinishedAt is zero")
	case got.Reason != "no room":
		t.Errorf("got.Reason = %q, want \"no room\"", got.Reason)
	}
	verify(t, s)
}

// TestAcceptRefusesWhatDoesNotAgree: inconsistent headers and plans are never stored.
func TestAcceptRefusesWhatDoesNotAgree(t *testing.T) {
	s := openTest(t)
	grid := testGrid(10)
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Minute)
	n := grid.Number(at)
	place := func(list ...plan.Placement) *Terms {
		return &Terms{Grid: grid, Place: func(plan.Reservations) ([]plan.Placement, error) { return list, nil }}
	}
	one := func(slot int64, recipients uint32) plan.Placement {
		return plan.Placement{Slot: slot, Start: grid.Start(slot), End: grid.Start(slot + 1), Recipients: recipients}
	}
	for name, c := range map[string]struct {
		change func(*campaign.Sending)
		terms  *Terms
	}{
		"too few placed":    {terms: place(one(n, 5))},
		"too many placed":   {terms: place(one(n, 9), one(n+1, 9))},
		"none in a slot":    {terms: place(one(n, 0))},
		"more than it has":  {terms: place(one(n, 12))},
		"another slot":      {terms: place(plan.Placement{Slot: n + 1, Start: grid.Start(n), End: grid.Start(n + 1), Recipients: 12})},
		"rows missing":      {change: func(s *campaign.Sending) { s.Rows.Accepted++; s.Planned++ }},
		"no rows":           {change: func(s *campaign.Sending) { s.Rows.Accepted = 0 }},
		"planned otherwise": {change: func(s *campaign.Sending) { s.Planned-- }},
		"messages":          {change: func(s *campaign.Sending) { s.Messages = 4 }},
		"no channel":        {change: func(s *campaign.Sending) { s.Channels = nil }},
		"no time":           {change: func(s *campaign.Sending) { s.ScheduledAt = time.Time{} }},
		"no digest":         {change: func(s *campaign.Sending) { s.Digest = "abc" }},
	} {
		t.Run(name, func(t *testing.T) {
			head := begin(t, s, draft{rows: 12, at: at})
			terms := &Terms{}
			if c.change != nil {
				c.change(head)
			}
			if c.terms != nil {
				terms = c.terms
			}
			if _, err := s.Accept(head, *terms); !errors.Is(err, slots.ErrLayout) {
				t.Errorf("error %v", err)
			}
			wantState(t, s, head.ID, campaign.StateChecking)
			verify(t, s)
		})
	}
}

func TestAppendOnlyWhileChecking(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 3}, nil)
	if err := s.AppendRows(head.ID, nil); !errors.Is(err, ErrState) {
		t.Errorf("append: %v", err)
	}
	if err := s.AppendRefusals(head.ID, nil); !errors.Is(err, ErrState) {
		t.Errorf("append refusals: %v", err)
	}
	if err := s.DiscardRows(head.ID); !errors.Is(err, ErrState) {
		t.Errorf("discard: %v", err)
	}
	if _, err := s.Accept(head, Terms{}); !errors.Is(err, ErrState) {
		t.Errorf("accept twice: %v", err)
	}
	if err := s.Refuse(head, campaign.StateRejected, ""); !errors.Is(err, ErrState) {
		t.Errorf("refuse: %v", err)
	}
	if err := s.Refuse(head, campaign.StateCompleted, ""); !errors.Is(err, ErrState) {
		t.Errorf("refuse as completed: %v", err)
	}
	for _, id := range []campaign.ID{"", "x", "20200101-000001", "20260101-000099"} {
		if err := s.AppendRows(id, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("append to %q: %v", id, err)
		}
	}
	wide := &campaign.Rows{}
	wide.Reset(7, 0)
	for range 3 {
		wide.Lines, wide.Channels = append(wide.Lines, 1), append(wide.Channels, 0)
		wide.Contacts.AppendString("x")
	}
	other := begin(t, s, draft{rows: 3})
	if err := s.AppendRows(other.ID, []Packed{pack(wide)}); err == nil {
		t.Error("a chunk that begins in the middle was taken")
	}
	for wide.Len() <= campaign.ChunkRows {
		wide.Lines = append(wide.Lines, 1)
	}
	if err := s.AppendRows(other.ID, []Packed{pack(wide)}); err == nil {
		t.Error("a chunk of too many rows was taken")
	}
}

func TestRejectedKeepsRefusalsOnly(t *testing.T) {
	s := openTest(t)
	head := begin(t, s, draft{rows: 5000})
	var want []campaign.Refusal
	for i := range 3000 {
		want = append(want, campaign.Refusal{Line: uint32(i + 2), Outcome: campaign.Rejected, ContactCode: "3.46668E+10", ChannelType: "cloud_api",
			Column: "phone", Reason: strings.Repeat("a spreadsheet ruined the number; ", 3), Reference: strings.Repeat("o-7", i%2)})
	}
	for _, part := range [][]campaign.Refusal{want[:1000], want[1000:2900], want[2900:]} {
		if err := s.AppendRefusals(head.ID, part); err != nil {
			t.Fatal(err)
		}
	}
	head.Problems = []campaign.Problem{{Message: "most rows are bad"}}
	if err := s.Refuse(head, campaign.StateRejected, "wrong file"); err != nil {
		t.Fatal(err)
	}
	if err := s.EachChunk(head.ID, func(*campaign.Rows, []campaign.MessageStatus, []campaign.Entry) error {
		return errors.New("a row is left")
	}); err != nil {
		t.Error(err)
	}
	var got []campaign.Refusal
	switch err := s.EachRefusal(head.ID, func(r campaign.Refusal) error { got = append(got, r); return nil }); {
	case err != nil:
		t.Error(err)
	case !cmp.Equal(got, want):
		t.Errorf("want no difference:\n%s", cmp.Diff(want, got))
	}
	stop := errors.New("stop")
	if err := s.EachRefusal(head.ID, func(campaign.Refusal) error { return stop }); err != stop {
		t.Errorf("walk: %v", err)
	}
	switch got := wantState(t, s, head.ID, campaign.StateRejected); {
	case len(got.Problems) != 1:
		t.Errorf("len(got.Problems) = %v, want 1", len(got.Problems))
	case got.FinishedAt.IsZero():
		t.Error("got.FinishedAt is zero")
	}
	verify(t, s)
}

func TestDiscardRows(t *testing.T) {
	s := openTest(t)
	head := begin(t, s, draft{rows: 9000})
	if err := s.AppendRefusals(head.ID, []campaign.Refusal{{Line: 9}}); err != nil {
		t.Fatal(err)
	}
	if err := s.DiscardRows(head.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.EachRefusal(head.ID, func(campaign.Refusal) error { return errors.New("a refusal is left") }); err != nil {
		t.Error(err)
	}
	if _, err := s.Accept(head, Terms{}); !errors.Is(err, slots.ErrLayout) {
		t.Errorf("accepted without rows: %v", err)
	}
	verify(t, s)
}
