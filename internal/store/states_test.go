package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

func TestUpdate(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 3}, nil)
	stop := errors.New("stop")
	if err := s.Update(head.ID, func(h *campaign.Sending) error { h.Name = "x"; return stop }); err != stop {
		t.Errorf("update: %v", err)
	}
	if err := s.Update(head.ID, func(h *campaign.Sending) error { h.State = campaign.StateRejected; return nil }); !errors.Is(err, ErrState) {
		t.Errorf("illegal move: %v", err)
	}
	if err := s.Update(head.ID, func(h *campaign.Sending) error { h.Tag = "00000000"; return nil }); err == nil {
		t.Error("the tag was changed")
	}
	if err := s.Filed(head.ID, false); !errors.Is(err, ErrState) {
		t.Errorf("filed while scheduled: %v", err)
	}
	if err := s.Update(head.ID, func(h *campaign.Sending) error { h.Reason = "noted"; return nil }); err != nil {
		t.Error(err)
	}
	switch got := wantState(t, s, head.ID, campaign.StateScheduled); {
	case got.Reason != "noted":
		t.Errorf("got.Reason = %q, want \"noted\"", got.Reason)
	case got.Name != "spring":
		t.Errorf("got.Name = %q, want \"spring\"", got.Name)
	}
	verify(t, s)
}

func TestSendingsFilter(t *testing.T) {
	s := openTest(t)
	var ids []campaign.ID
	for i := range 12 {
		head := begin(t, s, draft{rows: 2})
		head.ApplicationID = int64(1 + i%2)
		if i%3 == 0 {
			if err := s.Refuse(head, campaign.StateRejected, "bad"); err != nil {
				t.Fatal(err)
			}
		} else if _, err := s.Accept(head, Terms{}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, head.ID)
	}
	for name, c := range map[string]struct {
		filter Filter
		want   []int
	}{
		"all":         {Filter{}, []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
		"limit":       {Filter{Limit: 2}, []int{11, 10}},
		"before":      {Filter{Before: ids[3]}, []int{2, 1, 0}},
		"before none": {Filter{Before: ids[0]}, nil},
		"application": {Filter{Application: 2, Limit: 3}, []int{11, 9, 7}},
		"unfinished":  {Filter{States: []campaign.State{campaign.StateScheduled, campaign.StateHeld}, Limit: 3}, []int{11, 10, 8}},
		"states":      {Filter{States: []campaign.State{campaign.StateRejected}}, []int{9, 6, 3, 0}},
		"far":         {Filter{Before: "20260101-999999", Limit: 1}, []int{11}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Sendings(c.filter)
			var have, want []campaign.ID
			for _, head := range got {
				have = append(have, head.ID)
			}
			for _, i := range c.want {
				want = append(want, ids[i])
			}
			if err != nil || !slices.Equal(have, want) {
				t.Errorf("got %v, want %v, %v", have, want, err)
			}
		})
	}
	if _, err := s.Sendings(Filter{Before: "x"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("before nothing: %v", err)
	}
	st, err := s.Stats()
	switch {
	case err != nil:
		t.Errorf("stats: %v", err)
	case st.Sendings[campaign.StateRejected] != 4:
		t.Errorf("stats: st.Sendings[campaign.StateRejected]: got %v, want 4", st.Sendings[campaign.StateRejected])
	case st.Sendings[campaign.StateScheduled] != 8:
		t.Errorf("stats: st.Sendings[campaign.StateScheduled]: got %v, want 8", st.Sendings[campaign.StateScheduled])
	case st.Messages[campaign.Pending] != 16:
		t.Errorf("stats: st.Messages[campaign.Pending]: got %v, want 16", st.Messages[campaign.Pending])
	case st.FileBytes == 0:
		t.Error("stats: st.FileBytes: got 0")
	}
}

// TestPausedTimeIsKept: how long a sending was paused is known after a restart.
func TestPausedTimeIsKept(t *testing.T) {
	s := openTest(t)
	id := accept(t, s, draft{rows: 2}, nil).ID
	setState(t, s, id, campaign.StatePaused, "lunch")
	head := wantState(t, s, id, campaign.StatePaused)
	if head.BlockedSince.IsZero() {
		t.Error("nothing says since when it is paused")
	}
	if head.StoppedAt.IsZero() {
		t.Error("nothing says since when it is stopped")
	}
	s.Close()
	s = openAt(t, s.db.Path())
	setState(t, s, id, campaign.StateScheduled, "")
	switch head := wantState(t, s, id, campaign.StateScheduled); {
	case !head.StoppedAt.IsZero():
		t.Errorf("stopped at %v after it was resumed, want zero", head.StoppedAt)
	case head.Blocked <= 0:
		t.Errorf("head.Blocked = %v, want more than 0", head.Blocked)
	case !head.BlockedSince.IsZero():
		t.Errorf("head.BlockedSince = %v, want none", head.BlockedSince)
	}
	at := time.Now()
	for _, blocked := range []bool{true, true, false} {
		if err := s.SetBlocked(id, blocked, at); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Hour)
	}
	if head := wantState(t, s, id, campaign.StateScheduled); head.Blocked < 2*time.Hour || head.Blocked > 3*time.Hour {
		t.Errorf("blocked for %v, want a little over 2h", head.Blocked)
	}
}
