package document

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // a machine without zone files runs these tests too

	"pgregory.net/rapid"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

func madrid(t *testing.T) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestWhen(t *testing.T) {
	const grace = 15 * time.Minute
	zone := madrid(t)
	for _, c := range []struct {
		name, now, sidecar string
		loc                *time.Location
		want               string // the instant, or the problem after "error: ", or the instant and the warning after " warning: "
	}{
		{"neither", "2026-01-15T12:00:00.5Z", `{}`, zone, "2026-01-15T12:00:00.5Z"},
		{"neither, in another zone", "2026-01-15T12:00:00+01:00", `{}`, nil, "2026-01-15T11:00:00Z"},
		{"with offset", "2026-01-15T12:00:00Z", `{"scheduleAt":"2026-01-20T10:00:00+02:00"}`, zone, "2026-01-20T08:00:00Z"},
		{"local", "2026-01-15T12:00:00Z", `{"scheduleAt":"2026-01-20T10:00:00"}`, zone, "2026-01-20T09:00:00Z"},
		{"local in summer", "2026-05-15T12:00:00Z", `{"scheduleAt":"2026-07-20T10:00:00"}`, zone, "2026-07-20T08:00:00Z"},
		{"exactly now", "2026-01-15T12:00:00Z", `{"scheduleAt":"2026-01-15T12:00:00Z"}`, zone, "2026-01-15T12:00:00Z"},
		{"just passed", "2026-01-15T12:00:00Z", `{"scheduleAt":"2026-01-15T11:45:00Z"}`, zone,
			`2026-01-15T12:00:00Z warning: f:1:15: scheduleAt: "2026-01-15T11:45:00Z" has just passed; sent at once`},
		{"long passed", "2026-01-15T12:00:00Z", `{"scheduleAt":"2026-01-15T11:44:59Z"}`, zone,
			`error: f:1:15: scheduleAt: "2026-01-15T11:44:59Z" is in the past (it is 2026-01-15T13:00:00+01:00 now), want a time from now to 2026-04-15T13:00:00+02:00`},
		{"three months ahead, local", "2026-01-15T12:00:00Z", `{"scheduleAt":"2026-04-15T13:00:00"}`, zone, "2026-04-15T11:00:00Z"},
		{"a second more", "2026-01-15T12:00:00Z", `{"scheduleAt":"2026-04-15T13:00:01"}`, zone,
			`error: f:1:15: scheduleAt: "2026-04-15T13:00:01" is too far ahead, want a time up to 2026-04-15T13:00:00+02:00 (3 months from now)`},
		{"three months ahead in UTC", "2026-01-15T12:00:00Z", `{"scheduleAt":"2026-04-15T12:00:00Z"}`, nil, "2026-04-15T12:00:00Z"},
		{"delay in seconds", "2026-01-15T12:00:00Z", `{"delay":"PT0.25S"}`, zone, "2026-01-15T12:00:00.25Z"},
		{"delay by the calendar", "2026-03-28T12:00:00Z", `{"delay":"P1D"}`, zone, "2026-03-29T11:00:00Z"},
		{"delay without a zone", "2026-03-28T12:00:00Z", `{"delay":"P1D"}`, nil, "2026-03-29T12:00:00Z"},
		{"31 January plus a month", "2026-01-31T08:00:00Z", `{"delay":"P1M"}`, zone, "2026-02-28T08:00:00Z"},
		{"30 November plus three", "2026-11-30T08:00:00Z", `{"delay":"P3M"}`, zone, "2027-02-28T08:00:00Z"},
		{"the same in days", "2026-11-30T08:00:00Z", `{"delay":"P90D"}`, zone, "2027-02-28T08:00:00Z"},
		{"a day more", "2026-11-30T08:00:00Z", `{"delay":"P91D"}`, zone,
			`error: f:1:10: delay: "P91D" is too long, want at most 3 months (up to 2027-02-28T09:00:00+01:00)`},
		{"a hundred years", "2026-11-30T08:00:00Z", `{"delay":"P100YT876000H52560000M999999999S"}`, nil,
			`error: f:1:10: delay: "P100YT876000H52560000M999999999S" is too long, want at most 3 months (up to 2027-02-28T08:00:00Z)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, problems := ParseSidecar("f", []byte(c.sidecar))
			if problems.Count > 0 {
				t.Fatal(problems.List)
			}
			T, problems, warnings := s.When(at(t, c.now), c.loc, grace)
			got := "error: "
			if !T.IsZero() {
				got = T.Format(time.RFC3339Nano)
				if T.Location() != time.UTC {
					t.Errorf("T is in %v, want UTC", T.Location())
				}
			}
			got += strings.Join(lines(problems.List), " and ")
			for _, w := range warnings {
				got += " warning: " + w.String()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestWhenRefuses holds that every bad time is refused at its place, with T zero.
func TestWhenRefuses(t *testing.T) {
	zone := madrid(t)
	for sidecar, loc := range map[string]*time.Location{
		"{\n\"scheduleAt\": \"2026-01-20T10:00:00\"}":  nil,  // no offset and no zone
		"{\n\"scheduleAt\": \"2026-03-29T02:30:00\"}":  zone, // does not exist
		"{\n\"scheduleAt\": \"2026-10-25T02:30:00\"}":  zone, // exists twice
		"{\n\"scheduleAt\": \"tomorrow\"}":             zone,
		"{\n\"scheduleAt\": \"2026-02-30T10:00:00Z\"}": zone,
	} {
		s, _ := ParseSidecar("f", []byte(sidecar))
		T, problems, _ := s.When(at(t, "2026-01-15T12:00:00Z"), loc, time.Minute)
		if !T.IsZero() {
			t.Errorf("%s: T = %v, want none", sidecar, T)
		}
		if problems.Count != 1 {
			t.Errorf("%s: problems.Count = %v, want 1", sidecar, problems.Count)
		}
		if !strings.HasPrefix(problems.List[0].String(), "f:2:15: scheduleAt: ") {
			t.Errorf("%s: want \"f:2:15: scheduleAt: \" at the start in:\n%s", sidecar, problems.List[0].String())
		}
	}
	s, _ := ParseSidecar("f", []byte(`{"delay":"PT1S","scheduleAt":"2026-01-20T10:00:00Z"}`))
	switch T, problems, _ := s.When(at(t, "2026-01-15T12:00:00Z"), zone, 0); {
	case !T.IsZero():
		t.Errorf("both times: T = %v, want none", T)
	case problems.Count > 0:
		t.Errorf("both times: problems.Count = %v, want 0", problems.Count)
	}
}

// TestDurationsAreStrict: what looser readers take for a duration is refused.
func TestDurationsAreStrict(t *testing.T) {
	for _, delay := range []string{"P", "PT", "P1DT", "P1T2H", "P5T30M", "PP1D", "P1PD", "P1P2D", "PT1S2S", "-PT1S", "P-1D", "PT0S", "P0D", "pt1s", "PT1", "1D", "PT1S "} {
		s, problems := ParseSidecar("f", []byte(`{"delay":"`+delay+`"}`))
		if problems.Count > 0 {
			t.Fatal(problems.List)
		}
		T, problems, _ := s.When(at(t, "2026-01-15T12:00:00Z"), nil, time.Minute)
		switch {
		case !T.IsZero():
			t.Errorf("%q: T: got %v, want none", delay, T)
		case problems.Count != 1:
			t.Errorf("%q: problems.Count: got %v, want 1", delay, problems.Count)
		case problems.List[0].Field != "delay":
			t.Errorf(`%q: problems.List[0].Field: got %q, want "delay"`, delay, problems.List[0].Field)
		case problems.List[0].Column != 10:
			t.Errorf("%q: problems.List[0].Column: got %v, want 10", delay, problems.List[0].Column)
		}
	}
}

// TestWhenIsWithinBounds: whatever is asked for, T is from now to three months ahead.
func TestWhenIsWithinBounds(t *testing.T) {
	zone := madrid(t)
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(1.7e9, 1.9e9).Draw(t, "now"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos"))
		grace := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "grace"))
		s := &Sidecar{File: "f"}
		if rapid.Bool().Draw(t, "delay") {
			s.Delay = rapid.StringMatching(`P([0-9]M)?([0-9]W)?([0-9]{1,2}D)?(T[0-9]{1,4}H([0-9]{1,2}M)?([0-9]{1,2}\.[0-9]{1,9}S)?)?`).Draw(t, "text")
		} else {
			at := now.Add(time.Duration(rapid.Int64Range(-int64(2*time.Hour), int64(100*24*time.Hour)).Draw(t, "ahead")))
			s.ScheduleAt = at.In(zone).Format(rapid.SampledFrom([]string{time.RFC3339Nano, "2006-01-02T15:04:05"}).Draw(t, "format"))
		}
		T, problems, _ := s.When(now, zone, grace)
		if (problems.Count > 0) != T.IsZero() {
			t.Fatalf("T %v with %v", T, problems.List)
		}
		if T.IsZero() {
			return
		}
		if last := now.In(zone).AddDate(0, 3, 1); T.Before(now) || T.After(last) {
			t.Fatalf("%+v: got %v, want it between %v and %v", s, T, now, last)
		}
	})
}
