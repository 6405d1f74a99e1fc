package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"

	"github.com/google/go-cmp/cmp"
)

// noon is the start of a slot of every grid of these tests, a Wednesday.
func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

// draw writes placements as "slot:recipients", slots counted from noon's.
func draw(g Grid, placed []Placement) string {
	var parts []string
	for _, p := range placed {
		parts = append(parts, fmt.Sprintf("%d:%d", p.Slot-g.Number(noon()), p.Recipients))
	}
	return strings.Join(parts, " ")
}

// TestPlace has a case for every rule of docs/contract.md 7. Slots are of 10 minutes
// and 100 messages; reserved counts from noon's slot on.
func TestPlace(t *testing.T) {
	const fragmented, immediate, deferred = campaign.FragmentedSlots, campaign.ImmediateConsecutiveSlots, campaign.DeferredConsecutiveSlots
	minutes := func(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }
	for _, tt := range []struct {
		name       string
		condition  campaign.Condition
		after      time.Duration // T after noon
		recipients uint32
		messages   int
		reserved   []uint32
		windows    string
		horizon    time.Duration // 0: 48 hours
		want       string
		room       uint32 // with no want: how many there is room for
	}{
		// Available in a slot = capacity - reserved.
		{name: "empty slots", condition: fragmented, recipients: 250, want: "0:100 1:100 2:50"},
		{name: "what is reserved is missing", condition: fragmented, recipients: 250, reserved: []uint32{40, 0, 99}, want: "0:60 1:100 2:1 3:89"},
		{name: "more reserved than a lowered capacity", condition: fragmented, recipients: 100, reserved: []uint32{150}, want: "1:100"},

		// The slot that holds T counts only for its remaining share of time, rounded down.
		{name: "half of T's slot", condition: fragmented, after: minutes(5), recipients: 100, want: "0:50 1:50"},
		{name: "rounded down", condition: fragmented, after: minutes(9.89), recipients: 100, want: "0:1 1:99"},
		{name: "half of what is available", condition: fragmented, after: minutes(5), recipients: 100, reserved: []uint32{60}, want: "0:20 1:80"},
		{name: "rounded in messages, then by recipient", condition: fragmented, after: minutes(3.3), messages: 3, recipients: 30, want: "0:22 1:8"}, // 67 messages
		{name: "in a consecutive run too", condition: deferred, after: minutes(5), recipients: 60, want: "0:50 1:10"},
		{name: "T at a slot's start has all of it", condition: immediate, after: minutes(10), recipients: 100, want: "1:100"},
		{name: "a nanosecond in", condition: fragmented, after: 1, recipients: 100, want: "0:99 1:1"},

		// Slots that start before T + 48h count.
		{name: "the last slot starts within 48 h and may end after", condition: fragmented, after: minutes(1), horizon: minutes(20), recipients: 290, want: "0:90 1:100 2:100"},
		{name: "a slot that starts at T + 48h doesn't count", condition: fragmented, horizon: minutes(20), recipients: 201, room: 200},
		{name: "48 hours hold 288 slots", condition: fragmented, recipients: 28801, room: 28800},
		{name: "and with a part of T's slot, a 289th", condition: fragmented, after: minutes(6), recipients: 28841, room: 28840},

		// A recipient's messages stay in one slot.
		{name: "floor(room / messages)", condition: fragmented, messages: 3, recipients: 70, want: "0:33 1:33 2:4"},
		{name: "a slot with room for less than a recipient has none", condition: immediate, messages: 3, recipients: 70, reserved: []uint32{0, 98}, room: 33},

		// fragmentedSlots: every slot with room from T on, in order, gaps allowed.
		{name: "gaps", condition: fragmented, recipients: 150, reserved: []uint32{100, 50, 100, 100, 50}, want: "1:50 4:50 5:50"},

		// immediateConsecutiveSlots: the run that begins at T's slot; each slot of the run has room.
		{name: "from T's slot on", condition: immediate, recipients: 150, reserved: []uint32{99, 99, 0}, want: "0:1 1:1 2:100 3:48"},
		{name: "T's slot is full", condition: immediate, recipients: 1, reserved: []uint32{100}, room: 0},
		{name: "the run meets a full slot", condition: immediate, recipients: 201, reserved: []uint32{0, 0, 100}, room: 200},
		{name: "and just holds everyone", condition: immediate, recipients: 200, reserved: []uint32{0, 0, 100}, want: "0:100 1:100"},
		{name: "T's slot nearly over: from the next", condition: immediate, after: minutes(9.95), recipients: 150, want: "1:100 2:50"},
		{name: "nearly over, and the next is full", condition: immediate, after: minutes(9.95), recipients: 1, reserved: []uint32{0, 100}, room: 0},
		{name: "nearly over, but full anyway", condition: immediate, after: minutes(9.95), recipients: 1, reserved: []uint32{100}, room: 0},
		{name: "nearly over for two messages", condition: immediate, after: minutes(9.85), messages: 2, recipients: 1, want: "1:1"},
		{name: "not nearly over: one fits", condition: immediate, after: minutes(9.85), recipients: 2, want: "0:1 1:1"},

		// deferredConsecutiveSlots: the earliest run of consecutive slots with room that holds everyone.
		{name: "the first run is too short", condition: deferred, recipients: 150, reserved: []uint32{0, 100, 0, 0}, want: "2:100 3:50"},
		{name: "a run is used from its start", condition: deferred, recipients: 150, reserved: []uint32{100, 90, 90, 0, 0, 0}, want: "1:10 2:10 3:100 4:30"},
		{name: "at once if T's run holds everyone", condition: deferred, recipients: 100, want: "0:100"},
		{name: "no run is long enough", condition: deferred, horizon: minutes(60), recipients: 201, reserved: []uint32{0, 0, 100, 0, 100, 0}, room: 200},

		// A consecutive run ends where T + 48h ends; it never reaches beyond.
		{name: "a run at the end", condition: deferred, horizon: minutes(40), recipients: 201, reserved: []uint32{100, 100}, room: 200},
		{name: "an immediate run at the end", condition: immediate, horizon: minutes(20), recipients: 201, room: 200},

		// Slots outside the application's sending windows have no room.
		{name: "closed slots are gaps", condition: fragmented, recipients: 250, windows: "0-9,30-49 * * * *", want: "0:100 3:100 4:50"},
		{name: "a slot closed in part is closed", condition: fragmented, recipients: 150, windows: "0-15,30-59 * * * *", want: "0:100 3:50"},
		{name: "a closed slot breaks a run", condition: immediate, recipients: 101, windows: "0-9,20-59 * * * *", room: 100},
		{name: "and deferred goes past it", condition: deferred, recipients: 101, windows: "0-9,20-59 * * * *", want: "2:100 3:1"},
		{name: "T's slot: the rest from T is open", condition: immediate, after: minutes(5), recipients: 60, windows: "5-59 * * * *", want: "0:50 1:10"},
		{name: "T's slot opens after T", condition: fragmented, after: minutes(5), recipients: 60, windows: "6-59 * * * *", want: "1:60"},
		{name: "T's slot opens after T: no immediate run", condition: immediate, after: minutes(5), recipients: 60, windows: "6-59 * * * *", room: 0},
		{name: "nearly over and closed is closed", condition: immediate, after: minutes(9.95), recipients: 1, windows: "0-8,10-59 * * * *", room: 0},
		{name: "closed all the time", condition: fragmented, recipients: 1, windows: "* * 1 1 *", room: 0},
		{name: "closed at night", condition: fragmented, recipients: 5500, windows: "* 9-20 * * *", horizon: Horizon,
			want: strings.Join(append(full(0, 54), "126:100"), " ")},

		{name: "nobody", condition: immediate, recipients: 0, want: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := Grid{Slot: 10 * time.Minute, Capacity: 100}
			if tt.windows != "" {
				var err error
				if g.Windows, err = calendar.ParseWindows([]string{tt.windows}, nil); err != nil {
					t.Fatal(err)
				}
			}
			b := reservedCounts{}
			for i, n := range tt.reserved {
				b[g.Number(noon())+int64(i)] = n
			}
			req := Request{T: noon().Add(tt.after), Condition: tt.condition, Recipients: tt.recipients, Messages: max(tt.messages, 1)}
			req.Until = req.T.Add(Horizon)
			if tt.horizon != 0 {
				req.Until = req.T.Add(tt.horizon)
			}
			placed, err := g.Place(b, req)
			if tt.want == "" && tt.recipients > 0 {
				noRoom, ok := errors.AsType[*NoRoom](err)
				switch {
				case !ok:
					t.Fatalf("got %s, %v, want room for %d", draw(g, placed), err, tt.room)
				case noRoom.Room != tt.room:
					t.Fatalf("noRoom.Room = %v, want %v\n%s", noRoom.Room, tt.room, draw(g, placed))
				}
				return
			}
			if got := draw(g, placed); err != nil || got != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
			for i, p := range placed {
				start := g.Start(p.Slot)
				if i == 0 && start.Before(req.T) {
					start = req.T
				}
				if !p.Start.Equal(start) {
					t.Errorf("p.Start = %v, want %v", p.Start, start)
				}
				if !p.End.Equal(g.Start(p.Slot + 1)) {
					t.Errorf("p.End = %v, want %v", p.End, g.Start(p.Slot+1))
				}
			}
		})
	}
}

// full writes n full slots from first on as draw does.
func full(first, n int) []string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf("%d:100", first+i))
	}
	return parts
}

func TestPlaceRefuses(t *testing.T) {
	g := Grid{Slot: time.Minute, Capacity: 2}
	req := Request{T: noon(), Until: noon().Add(Horizon), Recipients: 1, Messages: 3}
	if _, err := g.Place(reservedCounts{}, req); !errors.Is(err, ErrTooManyMessages) || !strings.Contains(err.Error(), "3 messages") {
		t.Errorf("more messages than a slot holds: %v", err)
	}
	if _, err := g.Advise(reservedCounts{}, req); !errors.Is(err, ErrTooManyMessages) {
		t.Errorf("more messages than a slot holds: %v", err)
	}
	switch placed, left, err := g.Replan(reservedCounts{}, noon(), req.Until, 5, 3); {
	case placed != nil:
		t.Errorf("planned again: placed = %v, want nil", placed)
	case left != 5:
		t.Errorf("planned again: left = %v, want 5", left)
	case err != nil:
		t.Errorf("planned again: %v", err)
	}
	switch placed, left, err := g.Replan(reservedCounts{}, req.Until, req.Until, 5, 1); {
	case placed != nil:
		t.Errorf("planned again at its end: placed = %v, want nil", placed)
	case left != 5:
		t.Errorf("planned again at its end: left = %v, want 5", left)
	case err != nil:
		t.Errorf("planned again at its end: %v", err)
	}
	for _, bad := range []Grid{{}, {Slot: time.Millisecond, Capacity: 1}} {
		if _, err := bad.Place(reservedCounts{}, req); err == nil {
			t.Errorf("%+v is taken for a grid", bad)
		}
	}
	req.Messages = 0
	if _, err := g.Place(reservedCounts{}, req); err == nil {
		t.Error("no messages are placed")
	}
}

// broken are reservations whose n-th read fails.
type failingReservations int

var errBroken = errors.New("broken")

func (b *failingReservations) Reserved(int64, []uint32) error {
	if *b--; *b < 0 {
		return errBroken
	}
	return nil
}

func TestReservationErrorsAreReturned(t *testing.T) {
	g := Grid{Slot: time.Minute, Capacity: 2}
	req := Request{Condition: campaign.FragmentedSlots, T: noon().Add(time.Second), Until: noon().Add(Horizon), Recipients: 5000, Messages: 1}
	for _, reads := range []failingReservations{0, 1} {
		b := reads
		if _, err := g.Advise(&b, req); !errors.Is(err, errBroken) {
			t.Errorf("advice with reservations broken after %d reads: %v", reads, err)
		}
	}
	b := failingReservations(0)
	if _, err := g.Place(&b, req); !errors.Is(err, errBroken) {
		t.Errorf("placed with broken reservations: %v", err)
	}
	if _, _, err := g.Replan(&b, req.T, req.Until, 1, 1); !errors.Is(err, errBroken) {
		t.Errorf("planned again with broken reservations: %v", err)
	}
}

func TestAdviceInWords(t *testing.T) {
	g := Grid{Slot: 10 * time.Minute, Capacity: 100}
	windows, err := calendar.ParseWindows([]string{"* 9-20 * * *"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := g.Number(noon())
	reserve := func(slots int, messages uint32) reservedCounts {
		b := reservedCounts{}
		for i := range slots {
			b[now+int64(i)] = messages
		}
		return b
	}
	gap := reserve(3, 20)
	gap[now+1] = 100
	for _, tt := range []struct {
		name string
		grid Grid
		b    reservedCounts
		req  Request
		want string
	}{
		{"all is full", g, reserve(288, 100), Request{Recipients: 120, Messages: 2},
			"no room: 120 recipients of 2 messages, room for 0 before 2026-03-06T12:00:00Z; " +
				"the earliest scheduleAt with room for all as fragmentedSlots is 2026-03-04T12:20:01Z"},
		{"a gap in the run", g, gap, Request{Condition: campaign.ImmediateConsecutiveSlots, Recipients: 150, Messages: 1},
			"no room: 150 recipients of 1 message, room for 80 in consecutive slots from 2026-03-04T12:00:00Z; all of them would fit as fragmentedSlots or deferredConsecutiveSlots; " +
				"the earliest scheduleAt with room for all as immediateConsecutiveSlots is 2026-03-04T12:20:00Z"},
		{"T is closed", Grid{Slot: g.Slot, Capacity: 100, Windows: windows}, reservedCounts{},
			Request{T: noon().Add(10 * time.Hour), Condition: campaign.ImmediateConsecutiveSlots, Recipients: 1, Messages: 1},
			"no room: 1 recipient of 1 message, room for 0 in consecutive slots from 2026-03-04T22:00:00Z, whose slot is not completely within the sending windows; " +
				"all of them would fit as fragmentedSlots or deferredConsecutiveSlots; the earliest scheduleAt with room for all as immediateConsecutiveSlots is 2026-03-05T09:00:00Z"},
		{"a night breaks every run", Grid{Slot: g.Slot, Capacity: 100, Windows: windows}, reservedCounts{},
			Request{Condition: campaign.DeferredConsecutiveSlots, Recipients: 7201, Messages: 1},
			"no room: 7,201 recipients of 1 message, room for 7,200 in any run of consecutive slots before 2026-03-06T12:00:00Z; all of them would fit as fragmentedSlots; " +
				"no scheduleAt within 3 months has room for all as deferredConsecutiveSlots"},
		{"more than two days hold", g, reservedCounts{}, Request{Recipients: 28801, Messages: 1},
			"no room: 28,801 recipients of 1 message, room for 28,800 before 2026-03-06T12:00:00Z; 48 hours of empty slots hold no more than 28,800: split the drop"},
		{"latest has come", g, reserve(288, 100), Request{Recipients: 1, Messages: 1, Latest: noon()},
			"no room: 1 recipient of 1 message, room for 0 before 2026-03-06T12:00:00Z; no scheduleAt within 3 months has room for all as fragmentedSlots"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.req.T.IsZero() {
				tt.req.T = noon()
			}
			if tt.req.Condition == "" {
				tt.req.Condition = campaign.FragmentedSlots
			}
			tt.req.Until = tt.req.T.Add(Horizon)
			a, err := tt.grid.Advise(tt.b, tt.req)
			if diff := cmp.Diff(tt.want, a.Reason); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestGridNumbers(t *testing.T) {
	g := Grid{Slot: time.Minute, Capacity: 1}
	for _, tt := range []struct {
		at   time.Time
		want int64
	}{
		{time.Unix(0, 0), 0}, {time.Unix(59, 999_999_999), 0}, {time.Unix(60, 0), 1}, {time.Unix(-1, 0), -1}, {time.Unix(-60, 0), -1}, {time.Unix(-61, 0), -2},
	} {
		switch got := g.Number(tt.at); {
		case got != tt.want:
			t.Errorf("got %v, want %v", got, tt.want)
		case g.Start(got).After(tt.at):
			t.Errorf("g.Start(got) = %v, want at most %v", g.Start(got), tt.at)
		case !g.Start(got + 1).After(tt.at):
			t.Errorf("g.Start(got + 1) = %v, want later than %v", g.Start(got+1), tt.at)
		}
	}
}

// TestUnknownConditionIsAnError: it must not send by another rule than was asked for.
func TestUnknownConditionIsAnError(t *testing.T) {
	g := Grid{Slot: 10 * time.Minute, Capacity: 100}
	for _, c := range []campaign.Condition{"", "fragmentedslots", "immediateSlots"} {
		req := Request{T: noon(), Until: noon().Add(Horizon), Condition: c, Recipients: 1, Messages: 1}
		if placed, err := g.Place(reservedCounts{}, req); !errors.Is(err, ErrUnknownCondition) {
			t.Errorf("Place as %q: got %v, %v, want ErrUnknownCondition", c, placed, err)
		}
		if advice, err := g.Advise(reservedCounts{}, req); !errors.Is(err, ErrUnknownCondition) {
			t.Errorf("Advise as %q: got %+v, %v, want ErrUnknownCondition", c, advice, err)
		}
	}
	for _, c := range campaign.Conditions {
		if _, err := ruleOf(c); err != nil {
			t.Errorf("%s has no rule: %v", c, err)
		}
	}
}
