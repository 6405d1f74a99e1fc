package picture

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/plan"
	"campaignd/test/golden"

	"pgregory.net/rapid"
)

func grid(t *testing.T, slot time.Duration, capacity uint32, zone *time.Location, windows ...string) plan.Grid {
	t.Helper()
	w, err := calendar.ParseWindows(windows, zone)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Grid{Slot: slot, Capacity: capacity, Windows: w}
}

// reserve places a sending at from and reserves its slots in the timeline.
func (t *Timeline) reserve(tt *testing.T, from time.Time, c campaign.Condition, recipients uint32) {
	tt.Helper()
	placed, err := t.Grid.Place(bookings(t.Reserved), plan.Request{T: from, Until: from.Add(plan.Horizon), Condition: c, Recipients: recipients, Messages: 1})
	if err != nil {
		tt.Fatal(err)
	}
	var slots []int64
	for _, p := range placed {
		t.Reserved[p.Slot] += p.Recipients
		slots = append(slots, p.Slot)
	}
	t.Sendings = append(t.Sendings, slots)
}

type bookings map[int64]uint32

func (b bookings) Reserved(first int64, counts []uint32) error {
	for i := range counts {
		counts[i] = b[first+int64(i)]
	}
	return nil
}

// TestGolden holds whole pictures against the files in testdata.
func TestGolden(t *testing.T) {
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	wednesday := time.Date(2026, 3, 4, 11, 25, 30, 0, time.UTC)
	timeline := func(g plan.Grid, from time.Time, hours int, zone *time.Location) Timeline {
		return Timeline{From: from, Until: from.Add(time.Duration(hours) * time.Hour), Grid: g, Reserved: map[int64]uint32{}, Zone: zone}
	}

	two := timeline(grid(t, 10*time.Minute, 600, madrid, "* 9-20 * * MON-SAT"), wednesday, 48, madrid)
	two.reserve(t, wednesday, campaign.FragmentedSlots, 5000)
	two.reserve(t, wednesday.Add(2*time.Hour), campaign.DeferredConsecutiveSlots, 9000)
	two.reserve(t, wednesday.Add(24*time.Hour), campaign.ImmediateConsecutiveSlots, 700)

	seconds := timeline(grid(t, time.Second, 10, nil), wednesday, 3, nil)
	seconds.reserve(t, wednesday.Add(time.Hour), campaign.FragmentedSlots, 20_000)

	many := timeline(grid(t, 30*time.Minute, 100, kolkata), wednesday, 12, kolkata)
	for range 60 {
		many.reserve(t, wednesday, campaign.FragmentedSlots, 30)
	}

	autumn := time.Date(2026, 10, 24, 20, 0, 0, 0, time.UTC)
	change := timeline(grid(t, 15*time.Minute, 10, madrid, "* 1-3 * * *"), autumn, 12, madrid)
	change.reserve(t, autumn, campaign.FragmentedSlots, 111)

	dense := timeline(grid(t, time.Second, 1000, nil), wednesday, 48, nil)
	dense.reserve(t, wednesday, campaign.FragmentedSlots, 100_000_000)
	dense.Closed = []Span{{wednesday.Add(30 * time.Hour), wednesday.Add(40 * time.Hour)}}

	lowered := timeline(grid(t, 2*time.Hour, 100, nil, "* 6-20 * * *"), wednesday, 48, nil)
	lowered.Reserved[lowered.Grid.Number(wednesday)+1] = 300
	lowered.Reserved[lowered.Grid.Number(wednesday)+6] = 20 // reserved before the windows were changed

	for name, one := range map[string]struct {
		t     Timeline
		width int
		color bool
	}{
		"two-days":     {two, 80, false},
		"narrow":       {two, 54, false},
		"wide":         {two, 200, false},
		"color":        {two, 80, true},
		"seconds":      {seconds, 100, false},
		"many":         {many, 0, false},
		"repeated":     {change, 80, false},
		"dense":        {dense, 80, false},
		"lowered":      {lowered, 80, false},
		"nothing":      {timeline(grid(t, 5*time.Minute, 600, nil), wednesday, 48, nil), 80, false},
		"days":         {timeline(grid(t, 72*time.Hour, 600, nil), wednesday, 200, nil), 80, false},
		"seven-minute": {timeline(grid(t, 7*time.Minute, 600, nil), wednesday, 24, nil), 80, false},
	} {
		t.Run(name, func(t *testing.T) {
			lines := one.t.Rows(one.width, one.color)
			for _, line := range lines {
				if n := utf8.RuneCountInString(line); one.width > 0 && n > one.width && !one.color {
					t.Errorf("a line is %d wide, want at most %d: %q", n, one.width, line)
				}
			}
			got := strings.Join(lines, "\n") + "\n"
			golden.Compare(t, filepath.Join("testdata", name+".txt"), got)
		})
	}
}

func TestNothingToDraw(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for _, one := range []Timeline{{}, {From: now, Until: now.Add(time.Hour)}, {From: now, Until: now, Grid: plan.Grid{Slot: time.Minute}}} {
		if lines := one.Rows(80, false); lines != nil {
			t.Errorf("drew %q", lines)
		}
	}
}

// TestEveryMessageIsDrawn: the rows' sums add up to what is reserved in the
// slots from From to Until, whatever the grid, the zone and the width.
func TestEveryMessageIsDrawn(t *testing.T) {
	sums := regexp.MustCompile(`\d% ([0-9,]+)`)
	rapid.Check(t, func(t *rapid.T) {
		slot := time.Duration(rapid.SampledFrom([]int{1, 7, 60, 420, 900, 3600, 7200, 100_000}).Draw(t, "slot")) * time.Second
		loc, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "Asia/Kolkata", "Australia/Lord_Howe"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2026, 10, 3, 3, rapid.IntRange(0, 59).Draw(t, "minute"), rapid.IntRange(0, 59).Draw(t, "second"), 0, time.UTC)
		one := Timeline{From: from, Until: from.Add(time.Duration(rapid.IntRange(1, 48).Draw(t, "hours")) * time.Hour),
			Grid: plan.Grid{Slot: slot, Capacity: 10}, Reserved: map[int64]uint32{}, Zone: loc}
		first, last := one.Grid.Number(from), one.Grid.Number(one.Until.Add(-1))
		want := 0
		for range rapid.IntRange(0, 50).Draw(t, "reserved") {
			n := rapid.Int64Range(first-2, last+2).Draw(t, "slot number")
			if n >= first && n <= last && one.Reserved[n] == 0 {
				want += 3
			}
			one.Reserved[n] = 3
		}
		got := 0
		for _, line := range one.Rows(rapid.IntRange(0, 200).Draw(t, "width"), false) {
			if found := sums.FindStringSubmatch(line); found != nil {
				held, err := strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
				if err != nil {
					t.Fatal(err)
				}
				got += held
			}
		}
		if got != want {
			t.Errorf("%d messages are drawn, want %d:\n%s", got, want, strings.Join(one.Rows(80, false), "\n"))
		}
	})
}
