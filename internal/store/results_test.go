package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

func TestEachResult(t *testing.T) {
	const rows = campaign.ChunkRows + 100
	s := openTest(t)
	head := accept(t, s, draft{rows: rows}, nil)
	tries := make([]campaign.Entry, rows)
	for row := range tries {
		tries[row] = entry(head.ID, row, 1, campaign.InFlight, 1)
	}
	commit(t, s, tries...)
	at := tries[0].At
	for row := range tries {
		tries[row].Outcome, tries[row].At = campaign.Sent, at.Add(time.Duration(row)*time.Millisecond)
		tries[row].Provider = fmt.Sprintf("wamid.%d", row*7919)
	}
	tries[5].Outcome, tries[5].Code, tries[5].Detail = campaign.Failed, "131026", "the receiver can't get this message"
	tries[6].Outcome, tries[6].NextAt = campaign.Retrying, at.Add(time.Minute)
	commit(t, s, tries...)

	results := func() (counts campaign.Counts, last time.Time) {
		t.Helper()
		err := s.EachResult(head.ID, func(at time.Time, o campaign.Outcome) error {
			counts[o]++
			last = at
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return counts, last
	}
	counts, last := results()
	switch {
	case counts[campaign.Sent] != rows-2:
		t.Errorf("counts[campaign.Sent]: got %v, want %v", counts[campaign.Sent], rows-2)
	case counts[campaign.Failed] != 1:
		t.Errorf("counts[campaign.Failed]: got %v, want 1", counts[campaign.Failed])
	case counts.Final() != rows-1:
		t.Errorf("counts.Final(): got %v, want %v", counts.Final(), rows-1)
	case !last.Equal(at.Add((rows - 1) * time.Millisecond)):
		t.Errorf("last: got %v, want %v", last, at.Add((rows-1)*time.Millisecond))
	}
	// A retried message gives another result; the earlier one is kept.
	again := entry(head.ID, 6, 1, campaign.InFlight, 2)
	commit(t, s, again)
	again.Outcome = campaign.Unknown
	commit(t, s, again)
	switch counts, _ := results(); {
	case counts[campaign.Unknown] != 1:
		t.Errorf("counts[campaign.Unknown] = %v, want 1", counts[campaign.Unknown])
	case counts.Final() != rows:
		t.Errorf("counts.Final() = %v, want %v", counts.Final(), rows)
	}
	stop := errors.New("enough")
	if err := s.EachResult(head.ID, func(time.Time, campaign.Outcome) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of fn: %v", err)
	}
	if err := s.EachResult("20260101-000099", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such sending: %v", err)
	}
}

// BenchmarkEachResult reads the results of one chunk: the cost of a sending's throughput picture.
func BenchmarkEachResult(b *testing.B) {
	s := openTest(b)
	head := accept(b, s, draft{rows: campaign.ChunkRows}, nil)
	tries := make([]campaign.Entry, campaign.ChunkRows)
	for row := range tries {
		tries[row] = entry(head.ID, row, 1, campaign.InFlight, 1)
	}
	commit(b, s, tries...)
	for row := range tries {
		tries[row].Outcome = campaign.Sent
	}
	commit(b, s, tries...)
	for b.Loop() {
		if err := s.EachResult(head.ID, func(time.Time, campaign.Outcome) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
