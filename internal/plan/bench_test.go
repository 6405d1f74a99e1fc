package plan

import (
	"testing"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// array is the cheapest Reservations, so that the benchmark measures the planning.
type fixedReservations struct {
	first    int64
	reserved []uint32
}

func (a fixedReservations) Reserved(first int64, counts []uint32) error {
	clear(counts)
	if from := first - a.first; from >= 0 && from < int64(len(a.reserved)) {
		copy(counts, a.reserved[from:])
	}
	return nil
}

func benchmarkPlace(b *testing.B, g Grid, recipients uint32) {
	windows, err := calendar.ParseWindows([]string{"* 0-22 * * *"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	g.Windows = windows
	counts := fixedReservations{g.Number(noon()), make([]uint32, 300_000)}
	for i := range counts.reserved {
		counts.reserved[i] = uint32(i) % 3 * g.Capacity / 2 // a third is empty, a third half full, a third full
	}
	req := Request{T: noon().Add(500 * time.Millisecond), Until: noon().Add(Horizon), Condition: campaign.FragmentedSlots, Recipients: recipients, Messages: 1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Place(counts, req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPlace2880Slots(b *testing.B) {
	benchmarkPlace(b, Grid{Slot: time.Minute, Capacity: 1000}, 1_000_000)
}

func BenchmarkPlace172800Slots(b *testing.B) {
	benchmarkPlace(b, Grid{Slot: time.Second, Capacity: 20}, 1_000_000)
}

// BenchmarkAdvise3Months looks through every second of three months in vain.
func BenchmarkAdvise3Months(b *testing.B) {
	windows, err := calendar.ParseWindows([]string{"* 9-20 * * MON-SAT"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	g := Grid{Slot: time.Second, Capacity: 10, Windows: windows}
	req := Request{T: noon(), Until: noon().Add(Horizon), Condition: campaign.DeferredConsecutiveSlots, Recipients: 500_000, Messages: 1}
	for b.Loop() {
		if a, err := g.Advise(fixedReservations{}, req); err != nil || !a.At.IsZero() {
			b.Fatal(a, err)
		}
	}
}
