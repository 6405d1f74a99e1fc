package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func windows(t testing.TB, zoneName string, texts ...string) *Windows {
	t.Helper()
	w, err := ParseWindows(texts, zone(t, zoneName))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// spans writes the open intervals of [from, to) in the zone, one a line.
func spans(t testing.TB, w *Windows, zoneName, from, to string) string {
	var b strings.Builder
	for start, end := range w.Intervals(at(t, from), at(t, to)) {
		loc := zone(t, zoneName)
		fmt.Fprintf(&b, "%s %s\n", start.In(loc).Format("02T15:04:05-07:00"), end.In(loc).Format("02T15:04:05-07:00"))
	}
	return b.String()
}

func TestWindowsIntervals(t *testing.T) {
	for _, tt := range []struct {
		name, zone string
		texts      []string
		from, to   string
		want       string
	}{
		{"the contract's example over a Sunday", "Europe/Madrid", []string{"* 9-20 * * MON-SAT"}, "2026-03-07T00:00:00+01:00", "2026-03-10T00:00:00+01:00",
			"07T09:00:00+01:00 07T21:00:00+01:00\n09T09:00:00+01:00 09T21:00:00+01:00\n"},
		{"cut at both ends", "UTC", []string{"* 9-20 * * *"}, "2026-03-04T09:30:15Z", "2026-03-04T10:00:01Z", "04T09:30:15+00:00 04T10:00:01+00:00\n"},
		{"a union", "UTC", []string{"* 9-12 * * *", "* 12-14 * * *", "30-40 20 * * *"}, "2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z",
			"04T09:00:00+00:00 04T15:00:00+00:00\n04T20:30:00+00:00 04T20:41:00+00:00\n"},
		{"across midnight", "UTC", []string{"* 22-6 * * *"}, "2026-03-04T12:00:00Z", "2026-03-05T12:00:00Z", "04T22:00:00+00:00 05T07:00:00+00:00\n"},
		{"by the half hour", "UTC", []string{"0-29 9-10 * * *"}, "2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z",
			"04T09:00:00+00:00 04T09:30:00+00:00\n04T10:00:00+00:00 04T10:30:00+00:00\n"},
		{"spring: a gap is no closing", "Europe/Madrid", []string{"* 1-3 * * *"}, "2026-03-29T00:00:00+01:00", "2026-03-29T12:00:00+02:00",
			"29T01:00:00+01:00 29T04:00:00+02:00\n"},
		{"spring: a skipped hour isn't open", "Europe/Madrid", []string{"* 2 * * *"}, "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", ""},
		{"autumn: open both times", "Europe/Madrid", []string{"0-29 2 * * *"}, "2026-10-25T00:00:00+02:00", "2026-10-25T12:00:00+01:00",
			"25T02:00:00+02:00 25T02:30:00+02:00\n25T02:00:00+01:00 25T02:30:00+01:00\n"},
		{"autumn: one long hour", "Europe/Madrid", []string{"* 2 * * *"}, "2026-10-25T00:00:00+02:00", "2026-10-25T12:00:00+01:00",
			"25T02:00:00+02:00 25T03:00:00+01:00\n"},
		{"spring at midnight", "America/Sao_Paulo", []string{"* 0-1 * * *"}, "2018-11-03T12:00:00-03:00", "2018-11-04T12:00:00-02:00",
			"04T01:00:00-02:00 04T02:00:00-02:00\n"},
		{"autumn at midnight: the day before again", "America/Sao_Paulo", []string{"* 23 * * SAT"}, "2019-02-16T12:00:00-02:00", "2019-02-17T12:00:00-03:00",
			"16T23:00:00-02:00 17T00:00:00-03:00\n"},
		{"half an hour forth", "Australia/Lord_Howe", []string{"* 2 * * *"}, "2026-10-04T00:00:00+10:30", "2026-10-04T12:00:00+11:00",
			"04T02:30:00+11:00 04T03:00:00+11:00\n"},
		{"half an hour back", "Australia/Lord_Howe", []string{"40-59 1 * * *"}, "2026-04-05T00:00:00+11:00", "2026-04-05T12:00:00+10:30",
			"05T01:40:00+11:00 05T01:30:00+10:30\n05T01:40:00+10:30 05T02:00:00+10:30\n"},
		{"a zone of its own", "UTC", []string{"TZ=Asia/Kolkata * 9 * * *"}, "2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z", "04T03:30:00+00:00 04T04:30:00+00:00\n"},
		{"nothing between", "UTC", []string{"* 9 * * *"}, "2026-03-04T10:00:00Z", "2026-03-05T09:00:00Z", ""},
		{"an empty question", "UTC", []string{"* 9 * * *"}, "2026-03-04T09:30:00Z", "2026-03-04T09:30:00Z", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := spans(t, windows(t, tt.zone, tt.texts...), tt.zone, tt.from, tt.to); got != tt.want {
				t.Errorf("open\n%swant\n%s", got, tt.want)
			}
		})
	}
}

// TestQuietNightsKeepTheirClockTimes measures a quiet window of 21:00 to 08:00 over both
// changes: it lasts 11 hours by the local clock, so 10 and 12 of elapsed time.
func TestQuietNightsKeepTheirClockTimes(t *testing.T) {
	w := windows(t, "Europe/Madrid", "* 8-20 * * *")
	for evening, want := range map[string]time.Duration{
		"2026-03-27T21:00:00+01:00": 11 * time.Hour, "2026-03-28T21:00:00+01:00": 10 * time.Hour,
		"2026-10-23T21:00:00+02:00": 11 * time.Hour, "2026-10-24T21:00:00+02:00": 12 * time.Hour,
	} {
		closing := w.NextClosing(at(t, evening).Add(-time.Hour))
		if !closing.Equal(at(t, evening)) {
			t.Errorf("closes at %s, want %s", closing, evening)
		}
		switch opening := w.NextOpening(closing); {
		case opening.Sub(closing) != want:
			t.Errorf("opening.Sub(closing) = %v, want %v", opening.Sub(closing), want)
		case w.Open(opening.Add(-1)):
			t.Error("w.Open(opening.Add(-1)) = true, want false")
		case !w.Open(opening):
			t.Error("w.Open(opening) = false, want true")
		}
	}
}

func TestOpeningsAndClosings(t *testing.T) {
	w := windows(t, "UTC", "* 9-20 * * MON-SAT")
	saturday, sunday, monday := at(t, "2026-03-07T20:30:00.5Z"), at(t, "2026-03-08T12:00:00Z"), at(t, "2026-03-09T09:00:00Z")
	if got := w.NextOpening(saturday); !got.Equal(saturday) {
		t.Errorf("open, and opens next at %s", got)
	}
	if got := w.NextClosing(saturday); !got.Equal(at(t, "2026-03-07T21:00:00Z")) {
		t.Errorf("closes at %s", got)
	}
	if got := w.NextOpening(sunday); !got.Equal(monday) {
		t.Errorf("opens at %s", got)
	}
	if got := w.NextClosing(sunday); !got.Equal(sunday) {
		t.Errorf("closed, and closes next at %s", got)
	}
	for _, tt := range []struct {
		from, to time.Time
		want     bool
	}{
		{saturday, at(t, "2026-03-07T21:00:00Z"), true}, {saturday, at(t, "2026-03-07T21:00:00.000000001Z"), false},
		{monday, monday.Add(12 * time.Hour), true}, {monday.Add(-1), monday.Add(time.Hour), false},
		{sunday, sunday, true}, {sunday, sunday.Add(1), false}, {saturday, monday.Add(time.Hour), false},
	} {
		if got := w.OpenThrough(tt.from, tt.to); got != tt.want {
			t.Errorf("open through %s to %s: %t", tt.from, tt.to, got)
		}
	}
	leap := windows(t, "UTC", "* * 29 2 *")
	if got := leap.NextOpening(sunday); !got.IsZero() {
		t.Errorf("29 February is not within a year, yet opens at %s", got)
	}
	always := windows(t, "UTC", "* * * * *")
	switch got := always.NextClosing(sunday); {
	case !got.IsZero():
		t.Errorf("got %v, want none", got)
	case !always.Open(sunday):
		t.Error("always.Open(sunday) = false, want true")
	}
	for start, end := range windows(t, "UTC", "* 9 * * *", "* 11 * * *").Intervals(sunday.Add(-12*time.Hour), monday) {
		if start.Hour() != 9 {
			t.Errorf("start.Hour() = %v, want 9", start.Hour())
		}
		if end.Hour() != 10 {
			t.Errorf("end.Hour() = %v, want 10", end.Hour())
		}
		break
	}
}

func TestNilWindowsAreAlwaysOpen(t *testing.T) {
	w, err := ParseWindows(nil, nil)
	if w != nil || err != nil {
		t.Fatalf("no texts give %v, %v", w, err)
	}
	now := at(t, "2026-03-04T10:00:00Z")
	switch {
	case !w.Open(now):
		t.Error("w.Open(now): got false, want true")
	case !w.OpenThrough(now, now.Add(time.Hour)):
		t.Error("w.OpenThrough(now, now.Add(time.Hour)): got false, want true")
	case !w.NextOpening(now).Equal(now):
		t.Errorf("w.NextOpening(now): got %v, want %v", w.NextOpening(now), now)
	case !w.NextClosing(now).IsZero():
		t.Errorf("w.NextClosing(now): got %v, want none", w.NextClosing(now))
	}
}

func TestWindowsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"@daily": "one moment", "": "0 fields", "* * 1-7 * MON": "write two windows", "* 9-25 * * *": "hour field",
		"* * 30 2 *": "never happens", "TZ=UTC": "nothing else", "@every 10s": "one moment",
	} {
		if _, err := ParseWindows([]string{"* 9 * * *", text}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one with %q", text, err, want)
		}
	}
}

// drawExpression draws cron fields and says which minutes they match, in words of its own.
func drawExpression(t *rapid.T) (text string, match func(time.Time) bool) {
	hour1, hour2 := rapid.IntRange(0, 23).Draw(t, "hour1"), rapid.IntRange(0, 23).Draw(t, "hour2")
	min1, min2 := rapid.IntRange(0, 59).Draw(t, "min1"), rapid.IntRange(0, 59).Draw(t, "min2")
	day1, day2 := rapid.IntRange(0, 7).Draw(t, "day1"), rapid.IntRange(0, 7).Draw(t, "day2")
	between := func(v, a, b int) bool {
		if a <= b {
			return v >= a && v <= b
		}
		return v >= a || v <= b
	}
	return fmt.Sprintf("%d-%d %d-%d * * %d-%d", min1, min2, hour1, hour2, day1, day2), func(local time.Time) bool {
		day := int(local.Weekday())
		weekday := between(day, day1, day2) || day == 0 && between(7, day1, day2)
		return weekday && between(local.Hour(), hour1, hour2) && between(local.Minute(), min1, min2)
	}
}

// changes are moments around which local time is odd, and some where it isn't.
func changes() []struct{ zone, around string } {
	return []struct{ zone, around string }{
		{"Europe/Madrid", "2026-03-29T01:00:00Z"}, {"Europe/Madrid", "2026-10-25T01:00:00Z"}, {"America/Sao_Paulo", "2018-11-04T03:00:00Z"},
		{"America/Sao_Paulo", "2019-02-17T02:00:00Z"}, {"Australia/Lord_Howe", "2026-10-03T15:30:00Z"}, {"Australia/Lord_Howe", "2026-04-04T15:00:00Z"},
		{"UTC", "2026-03-04T00:00:00Z"}, {"Asia/Kolkata", "2026-12-31T18:30:00Z"}, {"Pacific/Apia", "2011-12-30T10:00:00Z"},
	}
}

// TestWindowsAgainstEveryMinute holds the intervals against a walk over every minute.
func TestWindowsAgainstEveryMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		change := rapid.SampledFrom(changes()).Draw(t, "change")
		loc, _ := time.LoadLocation(change.zone)
		around, _ := time.Parse(time.RFC3339, change.around)
		text1, match1 := drawExpression(t)
		text2, match2 := drawExpression(t)
		w, err := ParseWindows([]string{text1, text2}, loc)
		if err != nil {
			t.Fatal(err)
		}
		from, to := around.Add(-30*time.Hour), around.Add(30*time.Hour)
		open := map[int64]bool{}
		last := from.Add(-time.Hour)
		for start, end := range w.Intervals(from, to) {
			if !start.After(last) || !start.Before(end) {
				t.Fatalf("interval %s to %s after %s", start, end, last)
			}
			for m := start; m.Before(end); m = m.Add(time.Minute) {
				open[m.Unix()] = true
			}
			last = end
		}
		for m := from; m.Before(to); m = m.Add(time.Minute) {
			want := match1(m.In(loc)) || match2(m.In(loc))
			if open[m.Unix()] != want {
				t.Fatalf("open[m.Unix()] = %v, want %v", open[m.Unix()], want)
			}
			if w.Open(m) != want {
				t.Fatalf("w.Open(m) = %v, want %v", w.Open(m), want)
			}
			if w.Open(m.Add(59*time.Second)) != want {
				t.Fatalf("w.Open(m.Add(59 * time.Second)) = %v, want %v", w.Open(m.Add(59*time.Second)), want)
			}
		}
	})
}

// TestScheduleAgainstEveryMinute holds Next against a walk over every minute:
// each local minute that the schedule names and that exists fires once.
func TestScheduleAgainstEveryMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		change := rapid.SampledFrom(changes()).Draw(t, "change")
		loc, _ := time.LoadLocation(change.zone)
		around, _ := time.Parse(time.RFC3339, change.around)
		text, match := drawExpression(t)
		s, err := ParseSchedule(text, loc)
		if err != nil {
			t.Fatal(err)
		}
		byHour := s.cron.hour != allHours
		from, to := around.Add(-30*time.Hour), around.Add(30*time.Hour)
		fired := map[int64]bool{}
		for next := s.Next(from.Add(-1)); next.Before(to); next = s.Next(next) {
			fired[next.Unix()] = true
		}
		seen := map[string]bool{} // local minutes that have been
		before := from.Add(-3 * time.Hour)
		for m := before; m.Before(to); m = m.Add(time.Minute) {
			local := m.In(loc)
			name := local.Format("02T15:04")
			want := match(local) && (!byHour || !seen[name])
			seen[name] = true
			// What the clock jumped over since the minute before fires now.
			wall := func(t time.Time) time.Time { _, o := t.Zone(); return t.UTC().Add(time.Duration(o) * time.Second) }
			for skipped := wall(m.Add(-time.Minute).In(loc)).Add(time.Minute); byHour && skipped.Before(wall(local)); skipped = skipped.Add(time.Minute) {
				want = want || match(skipped)
			}
			if !m.Before(from) && fired[m.Unix()] != want {
				t.Fatalf("%q fires at %s: %t, want %t", text, local, fired[m.Unix()], want)
			}
		}
	})
}

func BenchmarkIntervals48h(b *testing.B) {
	w := windows(b, "Europe/Madrid", "* 9-20 * * MON-SAT")
	from := at(b, "2026-03-28T00:00:00Z")
	for b.Loop() {
		for range w.Intervals(from, from.Add(48*time.Hour)) {
		}
	}
}

func BenchmarkNextClosingOfAlways(b *testing.B) {
	w := windows(b, "Europe/Madrid", "* * * * *")
	from := at(b, "2026-03-28T00:00:00Z")
	for b.Loop() {
		w.NextClosing(from)
	}
}
