package plan

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// booked is a Reservations in memory: messages by slot.
type reservedCounts map[int64]uint32

func (b reservedCounts) Reserved(first int64, counts []uint32) error {
	for i := range counts {
		counts[i] = b[first+int64(i)]
	}
	return nil
}

// model is the rules of docs/contract.md 7, slow and plain: one slot and one recipient at a time.
type model struct {
	grid Grid
	b    reservedCounts
}

// open walks the minutes of [from, to).
func (m model) open(from, to time.Time) bool {
	for at := from; at.Before(to); at = at.Truncate(time.Minute).Add(time.Minute) {
		if !m.grid.Windows.Open(at) {
			return false
		}
	}
	return true
}

// messages returns a slot's room when T is t; full ignores the time that has passed.
func (m model) messages(n int64, t time.Time, full bool) int64 {
	start := time.Unix(0, n*int64(m.grid.Slot))
	end := start.Add(m.grid.Slot)
	begin := start
	if t.After(start) {
		begin = t
	}
	if !m.open(begin, end) || m.b[n] > m.grid.Capacity {
		return 0
	}
	available := int64(m.grid.Capacity) - int64(m.b[n])
	if full {
		return available
	}
	share := big.NewRat(int64(end.Sub(begin)), int64(m.grid.Slot))
	share.Mul(share, big.NewRat(available, 1))
	return new(big.Int).Quo(share.Num(), share.Denom()).Int64()
}

// place returns recipients by slot, nil if they don't all fit.
func (m model) place(req Request) map[int64]uint32 {
	first := req.T.UnixNano() / int64(m.grid.Slot)
	counts := func(n int64) bool { return time.Unix(0, n*int64(m.grid.Slot)).Before(req.Until) }
	each := int64(req.Messages)
	// from fills slots from n on, everyone in the first slot that takes them; in
	// a run the first slot without room is the end.
	from := func(n int64, run bool) map[int64]uint32 {
		placed := map[int64]uint32{}
		for range req.Recipients {
			for counts(n) && m.messages(n, req.T, false)-int64(placed[n])*each < each {
				if run && placed[n] == 0 {
					return nil
				}
				n++
			}
			if !counts(n) {
				return nil
			}
			placed[n]++
		}
		return placed
	}
	switch req.Condition {
	case campaign.FragmentedSlots:
		return from(first, false)
	case campaign.ImmediateConsecutiveSlots:
		if m.messages(first, req.T, false) < each && m.messages(first, req.T, true) >= each {
			first++
		}
		return from(first, true)
	}
	for n := first; counts(n); n++ {
		if placed := from(n, true); placed != nil {
			return placed
		}
	}
	return nil
}

// drawCase draws a small grid with reservations and a request.
func drawCase(t *rapid.T) (model, Request) {
	slot := rapid.SampledFrom([]time.Duration{7 * time.Second, time.Minute, 5 * time.Minute, 45 * time.Minute}).Draw(t, "slot")
	capacity := rapid.Uint32Range(1, 12).Draw(t, "capacity")
	texts := rapid.SampledFrom([][]string{nil, nil, {"0-29 * * * *"}, {"* 9-10 * * *", "15-50 11 * * *"}, {"*/2 * * * *"}}).Draw(t, "windows")
	w, err := calendar.ParseWindows(texts, nil)
	if err != nil {
		t.Fatal(err)
	}
	offset := time.Duration(rapid.IntRange(0, int(3*time.Hour/time.Millisecond)).Draw(t, "T")) * time.Millisecond
	if rapid.Bool().Draw(t, "at a slot's start") {
		offset = offset.Truncate(slot)
	}
	base := time.Date(2026, 3, 4, 8, 30, 0, 0, time.UTC).Truncate(slot)
	req := Request{
		T:          base.Add(offset),
		Condition:  rapid.SampledFrom(campaign.Conditions).Draw(t, "condition"),
		Recipients: rapid.Uint32Range(1, 60).Draw(t, "recipients"),
		Messages:   rapid.IntRange(1, min(5, int(capacity))).Draw(t, "messages"),
	}
	// A short horizon, so that it often ends in the middle of things.
	req.Until = req.T.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "horizon"))*slot/2 + 1)
	b := reservedCounts{}
	for n := req.T.UnixNano() / int64(slot); n < req.Until.UnixNano()/int64(slot)+2; n++ {
		b[n] = rapid.Uint32Range(0, capacity+1).Draw(t, "reserved")
	}
	return model{Grid{Slot: slot, Capacity: capacity, Windows: w}, b}, req
}

// TestPlaceIsTheModel holds Place against the model, and what it returns against
// the promises of docs/contract.md 7.
func TestPlaceMatchesTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, req := drawCase(t)
		placed, err := m.grid.Place(m.b, req)
		want := m.place(req)
		noRoom, refused := errors.AsType[*NoRoom](err)
		if refused != (want == nil) || err != nil && !refused {
			t.Fatalf("got %v, %v, the model %v", placed, err, want)
		}
		if refused {
			if noRoom.Room >= req.Recipients {
				t.Fatalf("no room, though room for %d of %d", noRoom.Room, req.Recipients)
			}
			// As many as are said to fit do fit, and not one more.
			req.Recipients = noRoom.Room + 1
			if m.place(req) != nil {
				t.Fatalf("room for more than %d", noRoom.Room)
			}
			if req.Recipients = noRoom.Room; req.Recipients > 0 && m.place(req) == nil {
				t.Fatalf("no room for %d", noRoom.Room)
			}
			return
		}
		got := map[int64]uint32{}
		var everyone uint32
		for i, p := range placed {
			got[p.Slot] += p.Recipients
			everyone += p.Recipients
			if p.Recipients*uint32(req.Messages)+m.b[p.Slot] > m.grid.Capacity {
				t.Errorf("slot %d holds more than its capacity", p.Slot)
			}
			if i > 0 {
				before := placed[i-1].Slot
				if p.Slot <= before {
					t.Errorf("slot %d comes after %d, want a later one", p.Slot, before)
				}
				if req.Condition != campaign.FragmentedSlots && p.Slot != before+1 {
					t.Errorf("slot %d comes after %d, want %d: %s", p.Slot, before, before+1, req.Condition)
				}
			}
			switch {
			case p.Start.Before(req.T):
				t.Errorf("p.Start: got %v, want a time not before %v", p.Start, req.T)
			case !p.Start.Before(req.Until):
				t.Errorf("p.Start: got %v, want a time before %v", p.Start, req.Until)
			case p.End.Sub(p.Start) > m.grid.Slot:
				t.Errorf("p.End.Sub(p.Start): got %v, want at most %v", p.End.Sub(p.Start), m.grid.Slot)
			case !p.End.After(p.Start):
				t.Errorf("p.End: got %v, want a time after %v", p.End, p.Start)
			}
		}
		if everyone != req.Recipients {
			t.Errorf("%d of %d have a place", everyone, req.Recipients)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the model places otherwise (-model +got):\n%s", diff)
		}
	})
}

// TestReplanIsTheModel: as many as fit by the fragmented rule, the rest is left.
func TestReplanMatchesTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, req := drawCase(t)
		req.Condition = campaign.FragmentedSlots
		placed, left, err := m.grid.Replan(m.b, req.T, req.Until, req.Recipients, req.Messages)
		if err != nil {
			t.Fatal(err)
		}
		req.Recipients -= left
		got := map[int64]uint32{}
		for _, p := range placed {
			got[p.Slot] = p.Recipients
		}
		if diff := cmp.Diff(m.place(req), got); diff != "" {
			t.Errorf("the model places otherwise (-model +got):\n%s", diff)
		}
		if req.Recipients++; left > 0 && m.place(req) != nil {
			t.Errorf("%d are left, though there is room for one more", left)
		}
	})
}

// TestSlicesCoverEveryRowOnce: the ranges follow each other from row 0 to the last.
func TestSlicesCoverEveryRowOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, req := drawCase(t)
		placed, err := m.grid.Place(m.b, req)
		if err != nil {
			return
		}
		next := uint32(0)
		for i, s := range Slices(placed) {
			switch {
			case s.First != next:
				t.Fatalf("s.First: got %v, want %v", s.First, next)
			case s.Rows != placed[i].Recipients:
				t.Fatalf("s.Rows: got %v, want %v", s.Rows, placed[i].Recipients)
			case s.Recipients != s.Rows:
				t.Fatalf("s.Recipients: got %v, want %v", s.Recipients, s.Rows)
			case !s.Start.Equal(placed[i].Start):
				t.Fatalf("s.Start: got %v, want %v", s.Start, placed[i].Start)
			case !s.End.Equal(placed[i].End):
				t.Fatalf("s.End: got %v, want %v", s.End, placed[i].End)
			}
			next += s.Rows
		}
		if next != req.Recipients {
			t.Fatalf("%d of %d rows are in a slice", next, req.Recipients)
		}
	})
}

// TestAdviceHolds: placing at the advised T succeeds, and at no earlier slot
// start, nor at an earlier second at which anything changes in the slot before it.
func TestAdviceFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Slots of hours keep the model's 48 hours short.
		slot := rapid.SampledFrom([]time.Duration{time.Hour, 5 * time.Hour, 7 * time.Hour, 50 * time.Hour}).Draw(t, "slot")
		texts := rapid.SampledFrom([][]string{nil, {"* 9-20 * * *"}, {"* * * * MON-WED"}}).Draw(t, "windows")
		w, _ := calendar.ParseWindows(texts, nil)
		capacity := rapid.Uint32Range(1, 4).Draw(t, "capacity")
		m := model{Grid{Slot: slot, Capacity: capacity, Windows: w}, reservedCounts{}}
		req := Request{
			T:          time.Date(2026, 3, 4, 8, rapid.IntRange(0, 59).Draw(t, "minute"), 0, 0, time.UTC),
			Condition:  rapid.SampledFrom(campaign.Conditions).Draw(t, "condition"),
			Recipients: rapid.Uint32Range(1, 40).Draw(t, "recipients"),
			Messages:   rapid.IntRange(1, min(2, int(capacity))).Draw(t, "messages"),
		}
		req.Until = req.T.Add(Horizon)
		req.Latest = req.T.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "latest")) * time.Hour)
		first := m.grid.Number(req.T)
		for n := first; n < m.grid.Number(req.Latest.Add(Horizon)); n++ {
			m.b[n] = rapid.Uint32Range(0, capacity).Draw(t, "reserved")
		}
		if _, err := m.grid.Place(m.b, req); err == nil {
			return
		}
		a, err := m.grid.Advise(m.b, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range campaign.Conditions {
			other := req
			other.Condition = c
			if fits := m.place(other) != nil; fits != slices.Contains(a.Fits, c) {
				t.Errorf("%s fits: %t, advised %v", c, fits, a.Fits)
			}
		}
		var want time.Time
		for n := first + 1; want.IsZero() && !m.grid.Start(n).After(req.Latest); n++ {
			at := req
			at.T, at.Until = m.grid.Start(n), m.grid.Start(n).Add(Horizon)
			if m.place(at) != nil {
				want = at.T
			}
		}
		// Windows open, and the horizon reaches on, at full hours.
		for at := want.Add(-slot); at.Before(want); at = at.Add(time.Hour) {
			for _, at := range []time.Time{at, at.Add(time.Second)} {
				sooner := req
				sooner.T, sooner.Until = at, at.Add(Horizon)
				if at.After(req.T) && at.Before(want) && m.place(sooner) != nil {
					want = at
				}
			}
		}
		if !a.At.Equal(want) {
			t.Fatalf("advised %s, the model %s", a.At, want)
		}
		if want.IsZero() {
			return
		}
		req.T, req.Until = a.At, a.At.Add(Horizon)
		if _, err := m.grid.Place(m.b, req); err != nil {
			t.Errorf("advised %s, and then %v", a.At, err)
		}
	})
}

// TestTwoSendingsNeverShareCapacity books one after the other, as the store does.
func TestTwoSendingsNeverShareCapacity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, req := drawCase(t)
		clear(m.b)
		for range 6 {
			req.Condition = rapid.SampledFrom(campaign.Conditions).Draw(t, "condition")
			req.Messages = rapid.IntRange(1, min(5, int(m.grid.Capacity))).Draw(t, "messages")
			placed, err := m.grid.Place(m.b, req)
			if err != nil {
				continue
			}
			for _, p := range placed {
				m.b[p.Slot] += p.Recipients * uint32(req.Messages)
				if m.b[p.Slot] > m.grid.Capacity {
					t.Fatalf("slot %d holds %d of %d", p.Slot, m.b[p.Slot], m.grid.Capacity)
				}
			}
		}
	})
}

func (m model) String() string { return fmt.Sprintf("%+v with %v reserved", m.grid, m.b) }
