package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// What is due is listed in order without reading every header, paused ones first.
func TestUpcoming(t *testing.T) {
	s := openTest(t)
	at := time.Now().Add(time.Hour)
	var ids []campaign.ID
	for _, late := range []time.Duration{3 * time.Minute, time.Minute, 2 * time.Minute} {
		ids = append(ids, accept(t, s, draft{rows: 2, at: at.Add(late)}, nil).ID)
	}
	begin(t, s, draft{rows: 2, at: at}) // still being checked
	setState(t, s, ids[0], campaign.StatePaused, "")
	for limit, want := range map[int][]campaign.ID{0: {ids[0], ids[1], ids[2]}, 2: {ids[0], ids[1]}} {
		got, total, err := s.Upcoming(1, limit)
		switch diff := cmp.Diff(want, got); {
		case diff != "":
			t.Errorf("limit %d: diff = %q, want none", limit, diff)
		case total != 3:
			t.Errorf("limit %d: total = %v, want 3", limit, total)
		case err != nil:
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	if got, total, err := s.Upcoming(2, 0); len(got) != 0 || total != 0 || err != nil {
		t.Errorf("another application has %v, %d, %v; want none", got, total, err)
	}
	states, err := s.States()
	want := map[campaign.ID]campaign.State{ids[0]: campaign.StatePaused, ids[1]: campaign.StateScheduled, ids[2]: campaign.StateScheduled}
	if diff := cmp.Diff(want, states); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}
