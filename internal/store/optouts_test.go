package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestOptOutsCountUntilRemoved: opt-outs match exactly, by channel or for all, and survive a restart.
func TestOptOutsCountUntilRemoved(t *testing.T) {
	s := openTest(t)
	check := func(application int64, channel, contact string, want bool) {
		t.Helper()
		if got, err := s.OptedOut(application, channel, []byte(contact)); got != want || err != nil {
			t.Errorf("suppressed(%d, %q, %q): %t, %v", application, channel, contact, got, err)
		}
	}
	check(1, "sms", "346", false)
	long := fmt.Sprintf("%01000d", 7)
	list := []OptOut{{ApplicationID: 1, ChannelType: "sms", ContactCode: "346"}, {ApplicationID: 1, ContactCode: "347", Source: "a.suppress.csv"},
		{ApplicationID: 2, ContactCode: long}, {ApplicationID: 1, ChannelType: "sms", ContactCode: "346"}}
	if n, err := s.AddOptOuts(list); n != 3 || err != nil {
		t.Errorf("added %d, %v", n, err)
	}
	s.Close()
	s = openAt(t, s.db.Path())
	check(1, "sms", "346", true)
	check(1, "email", "346", false)
	check(2, "sms", "346", false)
	check(1, "sms", "34", false)
	check(1, "email", "347", true)
	check(1, "", "347", true)
	check(2, "x", long, true)
	check(2, "x", long[1:], false)
	var got []string
	walk := func(one OptOut) error {
		if one.At.IsZero() {
			t.Error("no time")
		}
		got = append(got, one.ChannelType+"/"+one.ContactCode)
		return nil
	}
	if err := s.EachOptOut(1, walk); err != nil || !slices.Equal(got, []string{"/347", "sms/346"}) {
		t.Errorf("walk: %v, %v", got, err)
	}
	got = nil
	if err := s.EachOptOut(0, walk); err != nil || len(got) != 3 {
		t.Errorf("walk over all: %v, %v", got, err)
	}
	if found, err := s.RemoveOptOut(1, "sms", "346"); !found || err != nil {
		t.Errorf("remove: %t, %v", found, err)
	}
	if found, err := s.RemoveOptOut(1, "sms", "346"); found || err != nil {
		t.Errorf("remove again: %t, %v", found, err)
	}
	check(1, "sms", "346", false)
}

func TestAudit(t *testing.T) {
	s := openTest(t)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2500 {
		if err := s.Audit(AuditEntry{At: start.Add(time.Duration(i/2) * time.Second), Who: "ana", Action: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	next := 2000
	err := s.EachAudit(start.Add(1000*time.Second), func(e AuditEntry) error {
		if e.Action != fmt.Sprint(next) {
			t.Fatalf("got %s, want %d", e.Action, next)
		}
		next++
		return nil
	})
	if err != nil || next != 2500 {
		t.Errorf("%d, %v", next, err)
	}
	if err := s.Audit(AuditEntry{Who: "ana", Action: "now"}); err != nil {
		t.Error(err)
	}
	stop := errors.New("stop")
	if err := s.EachAudit(time.Time{}, func(AuditEntry) error { return stop }); err != stop {
		t.Errorf("walk: %v", err)
	}
}

// TestRetentionGivesSpaceBack: removed data is gone, and its pages are reused.
func TestRetentionGivesSpaceBack(t *testing.T) {
	s := openTest(t)
	size := int64(0)
	for i := range 12 {
		head := accept(t, s, draft{rows: 3000, digest: fmt.Sprintf("%064x", i)}, nil)
		sendAll(t, s, head.ID, 3000, 1000)
		switch done, err := s.Finish(head.ID); {
		case !done:
			t.Fatal("done = false, want true")
		case err != nil:
			t.Fatal(err)
		}
		if n, err := prune(s, time.Now().Add(time.Hour)); n != 0 || err != nil {
			t.Errorf("pruned %d that are not filed, %v", n, err)
		}
		if err := s.Filed(head.ID); err != nil {
			t.Fatal(err)
		}
		if n, err := prune(s, time.Now().Add(-time.Hour)); n != 0 || err != nil {
			t.Errorf("pruned %d that are new, %v", n, err)
		}
		if n, err := prune(s, time.Now().Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		verify(t, s)
		if i == 5 {
			size = fileSize(t, s)
		}
	}
	if now := fileSize(t, s); now > size*5/4 {
		t.Errorf("the file grew from %d to %d bytes", size, now)
	}
	for _, name := range [][]byte{bucketSendings, bucketActive, bucketSlices, bucketCounts, bucketChunks, bucketStatuses, bucketOutcomes,
		bucketInFlight, bucketTimeline, bucketDigests} {
		if err := s.view(func(tx *tx) error {
			if k, _ := tx.Bucket(name).Cursor().First(); k != nil {
				t.Errorf("bucket %s is not empty", name)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}
