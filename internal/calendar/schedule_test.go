package calendar

import (
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatalf("load %s: %v", name, err)
	}
	return loc
}

// at reads an RFC 3339 instant of a test's table.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScheduleNext(t *testing.T) {
	const after = "2026-03-04T10:07:30.5Z" // a Wednesday
	for _, tt := range []struct{ text, want string }{
		{"@every 10s", "2026-03-04T10:07:40Z"},
		{"10s", "2026-03-04T10:07:40Z"},
		{"@every 1h30m", "2026-03-04T11:37:30Z"},
		{"* * * * *", "2026-03-04T10:08:00Z"},
		{"@hourly", "2026-03-04T11:00:00Z"},
		{"@daily", "2026-03-05T00:00:00Z"},
		{"@midnight", "2026-03-05T00:00:00Z"},
		{"@weekly", "2026-03-08T00:00:00Z"},
		{"@monthly", "2026-04-01T00:00:00Z"},
		{"@yearly", "2027-01-01T00:00:00Z"},
		{"7 10 * * *", "2026-03-05T10:07:00Z"},
		{"8 10 * * *", "2026-03-04T10:08:00Z"},
		{"*/15 * * * *", "2026-03-04T10:15:00Z"},
		{"5/20 * * * *", "2026-03-04T10:25:00Z"},
		{"0 22-6 * * *", "2026-03-04T22:00:00Z"},
		{"0 3 * * 7", "2026-03-08T03:00:00Z"},
		{"0 3 * * SUN", "2026-03-08T03:00:00Z"},
		{"0 3 * * sat-mon", "2026-03-07T03:00:00Z"},
		{"0 3 * * 5-7", "2026-03-06T03:00:00Z"},
		{"0 3 1 NOV-FEB *", "2026-11-01T03:00:00Z"},
		{"0 3 29 2 *", "2028-02-29T03:00:00Z"},
		{"0 3 5 * MON", "2026-03-05T03:00:00Z"}, // either day, as in cron
		{"0 3 20 * FRI", "2026-03-06T03:00:00Z"},
		{"0 3 1-31 * FRI", "2026-03-06T03:00:00Z"}, // every day of the month restricts nothing
		{"0 3 ? * ?", "2026-03-05T03:00:00Z"},
		{"TZ=Europe/Madrid 0 12 * * *", "2026-03-04T11:00:00Z"},
		{"CRON_TZ=Asia/Kolkata 0 16 * * *", "2026-03-04T10:30:00Z"},
		{"TZ=Asia/Tokyo @daily", "2026-03-04T15:00:00Z"},
	} {
		s, err := ParseSchedule(tt.text, nil)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := s.Next(at(t, after)); !got.Equal(at(t, tt.want)) {
			t.Errorf("%q after %s fires at %s, want %s", tt.text, after, got.Format(time.RFC3339Nano), tt.want)
		}
	}
}

func TestScheduleRefused(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "0 fields"},
		{"TZ=UTC", "names a time zone and nothing else"}, // panics in robfig/cron
		{"CRON_TZ=UTC ", "names a time zone and nothing else"},
		{"TZ= * * * * *", "is not a name"},
		{"TZ=Local * * * * *", "is not a name"},
		{"TZ=Europe/Madird * * * * *", "unknown"},
		{"TZ=../../etc/passwd * * * * *", "unknown"},
		{"0 * * * * *", "no field for seconds"},
		{"* * * *", "4 fields"},
		{"60 * * * *", "write 0 to 59"},
		{"* 24 * * *", "write 0 to 23"},
		{"* * 0 * *", "write 1 to 31"},
		{"* * * 13 *", "JAN to DEC"},
		{"* * * * 8", "0 to 7 or SUN to SAT"},
		{"* * * * MONDAY", "SUN to SAT"},
		{"-1 * * * *", "minute"},
		{"+1 * * * *", "minute"},
		{"1,,2 * * * *", "empty element"},
		{", * * * *", "empty element"}, // parses as nothing in robfig/cron
		{"*-5 * * * *", "minute"},      // parses as * in robfig/cron
		{"1-2-3 * * * *", "minute"},
		{"*/0 * * * *", "step"},
		{"*/60 * * * *", "step"},
		{"*/2/3 * * * *", "step"},
		{"*/ * * * *", "step"},
		{"*/99999999999999999999 * * * *", "step"},
		{"0 0 30 2 *", "never happens"},
		{"0 0 31 4,6,9,11 *", "never happens"},
		{"@reboot", "unknown"},
		{"@every", "unknown"},
		{"@every 0s", "whole number of seconds"},
		{"@every 100ms", "whole number of seconds"},
		{"@every -10s", "write one like"},
		{"1500ms", "whole number of seconds"},
		{"10", "no unit"},
	} {
		_, err := ParseSchedule(tt.text, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got error %v, want one with %q", tt.text, err, tt.want)
		}
	}
}

// TestJobsRunOnceAtClockChanges walks schedules over both changes of three zones:
// none is skipped, none doubled.
func TestJobsRunOnceAtClockChanges(t *testing.T) {
	for _, tt := range []struct {
		name, zone, text, from, to string
		want                       []string
	}{
		{"spring, in the gap: at its end", "Europe/Madrid", "30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-31T00:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"spring, all of the gap once", "Europe/Madrid", "*/15 2 * * *", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00"}},
		{"spring, gap and its end once", "Europe/Madrid", "0 2,3 * * *", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z",
			[]string{"2026-03-29T03:00:00+02:00"}},
		{"spring, every hour", "Europe/Madrid", "30 * * * *", "2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z",
			[]string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", "2026-03-29T04:30:00+02:00"}},
		{"autumn, at the first of two", "Europe/Madrid", "30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-27T00:00:00Z",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"autumn, every hour both times", "Europe/Madrid", "30 * * * *", "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"}},
		{"spring at midnight", "America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00Z", "2018-11-06T00:00:00Z",
			[]string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
		{"autumn at midnight", "America/Sao_Paulo", "30 23 * * *", "2019-02-16T12:00:00Z", "2019-02-18T12:00:00Z",
			[]string{"2019-02-16T23:30:00-02:00", "2019-02-17T23:30:00-03:00"}},
		{"half an hour forth", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z", "2026-10-05T00:00:00Z",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"half an hour back", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00:00Z", "2026-04-05T23:00:00Z",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseSchedule(tt.text, zone(t, tt.zone))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for next := s.Next(at(t, tt.from)); next.Before(at(t, tt.to)); next = s.Next(next) {
				got = append(got, next.In(zone(t, tt.zone)).Format(time.RFC3339))
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("fires at %v, want %v", got, tt.want)
			}
		})
	}
}

func TestZeroSchedule(t *testing.T) {
	var s Schedule
	if next := s.Next(at(t, "2026-01-01T00:00:00Z")); !next.IsZero() {
		t.Errorf("the zero schedule fires at %s", next)
	}
}
