package store

import (
	"testing"

	"campaignd/internal/campaign"
)

// Workers on other machines may be sending what was in flight when the hub ended.
func TestMessagesOfRemoteChannelsStayInFlight(t *testing.T) {
	s := openTest(t)
	id := accept(t, s, draft{rows: 5}, nil).ID
	channel := func(_ int64, name string) bool { return name != "" }
	nothing := func(int64, string) bool { return false }
	for row, batch := range []uint64{7, 0, 9} {
		e := entry(id, row, 1, campaign.InFlight, 1)
		e.HandOut = batch
		commit(t, s, e)
	}
	commit(t, s, entry(id, 2, 1, campaign.Sent, 1))
	s.Close()
	s = openAt(t, s.db.Path())
	found, err := s.Recover(channel, nothing)
	if err != nil || found != (Recovered{Kept: 2}) {
		t.Fatalf("recovered %+v, %v; want 2 kept", found, err)
	}
	list, err := s.InFlight()
	if err != nil || len(list) != 2 {
		t.Fatalf("in flight: %d, %v; want 2", len(list), err)
	}
	head, err := s.Header(id)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint64{7, 0} {
		m := list[i]
		if m.HandOut != want {
			t.Errorf("row %d: batch %d, want %d", i, m.HandOut, want)
		}
		switch key := campaign.Key(id, head.Tag, m.Line, 1); {
		case m.Row != uint32(i):
			t.Errorf("m.Row: got %v, want %v", m.Row, uint32(i))
		case m.Key != key:
			t.Errorf("m.Key: got %v, want %v", m.Key, key)
		case m.Status.Attempts() != 1:
			t.Errorf("m.Status.Attempts(): got %v, want 1", m.Status.Attempts())
		case m.ContactCode == "":
			t.Error(`m.ContactCode: got ""`)
		}
	}
	// A result forgets the batch.
	commit(t, s, entry(id, 0, 1, campaign.Pending, 0))
	commit(t, s, entry(id, 0, 1, campaign.InFlight, 1))
	if list, err = s.InFlight(); err != nil || len(list) != 2 || list[0].HandOut != 0 {
		t.Errorf("in flight again: %+v, %v; want no batch", list, err)
	}
	// Where no worker sends any more, they are resolved as after any crash.
	s.Close()
	s = openAt(t, s.db.Path())
	if found, err := recoverOwn(s, nothing); err != nil || found.Unknown != 2 {
		t.Errorf("recovered %+v, %v; want 2 unknown", found, err)
	}
}
