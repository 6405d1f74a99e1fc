package calendar

import (
	"strings"
	"testing"
	"time"
)

func TestParseInstant(t *testing.T) {
	for _, tt := range []struct{ text, zone, want string }{
		{"2026-03-04T09:30:00+01:00", "", "2026-03-04T08:30:00Z"},
		{"2026-03-04T09:30:00Z", "", "2026-03-04T09:30:00Z"},
		{"2026-03-04T09:30Z", "", "2026-03-04T09:30:00Z"},
		{"2026-03-04T09:30:00.25Z", "", "2026-03-04T09:30:00.25Z"},
		{"2026-03-04T09:30:00.123456789-0330", "", "2026-03-04T13:00:00.123456789Z"},
		{"2026-03-04T09:30:00-03", "", "2026-03-04T12:30:00Z"},
		{"2026-03-04T09:30:00-00:00", "", "2026-03-04T09:30:00Z"},
		{"2028-02-29T00:00:00+14:00", "", "2028-02-28T10:00:00Z"},
		{"2026-03-04T09:30:00+05:45", "Europe/Madrid", "2026-03-04T03:45:00Z"}, // the offset decides
		{"2026-03-04T09:30:00", "Europe/Madrid", "2026-03-04T08:30:00Z"},
		{"2026-07-04T09:30:00.5", "Europe/Madrid", "2026-07-04T07:30:00.5Z"},
		{"2026-03-29T01:59:59", "Europe/Madrid", "2026-03-29T00:59:59Z"},
		{"2026-03-29T03:00:00", "Europe/Madrid", "2026-03-29T01:00:00Z"},
		{"2026-10-25T01:59:59", "Europe/Madrid", "2026-10-24T23:59:59Z"},
		{"2026-10-25T03:00:00", "Europe/Madrid", "2026-10-25T02:00:00Z"},
		{"2026-10-25T02:30:00+02:00", "Europe/Madrid", "2026-10-25T00:30:00Z"},
		{"2026-10-25T02:30:00+01:00", "Europe/Madrid", "2026-10-25T01:30:00Z"},
		{"2018-11-04T01:00:00", "America/Sao_Paulo", "2018-11-04T03:00:00Z"},
		{"2019-11-03T00:30:00", "America/Sao_Paulo", "2019-11-03T03:30:00Z"}, // no change any more
		{"2026-10-04T02:30:00", "Australia/Lord_Howe", "2026-10-03T15:30:00Z"},
		{"2026-04-05T01:29:59", "Australia/Lord_Howe", "2026-04-04T14:29:59Z"},
	} {
		var loc *time.Location
		if tt.zone != "" {
			loc = zone(t, tt.zone)
		}
		got, err := ParseInstant(tt.text, loc)
		if err != nil || !got.Equal(at(t, tt.want)) || got.Location() != time.UTC {
			t.Errorf("%q in %s: got %v, %v, want %s", tt.text, tt.zone, got, err, tt.want)
		}
	}
}

func TestParseInstantRefused(t *testing.T) {
	for _, tt := range []struct{ text, zone, want string }{
		{"2026-03-04T09:30:00", "", `no offset and the application has no time zone: write one at its end, as in "2026-03-04T09:30:00Z"`},
		{"2026-03-29T02:30:00", "Europe/Madrid", `doesn't exist in Europe/Madrid: clocks go from 02:00 to 03:00 then; write "2026-03-29T03:30:00"`},
		{"2026-03-29T02:00", "Europe/Madrid", "doesn't exist"},
		{"2026-10-25T02:30:00", "Europe/Madrid", `exists twice in Europe/Madrid, since clocks are set back then: write "2026-10-25T02:30:00+02:00" or "2026-10-25T02:30:00+01:00"`},
		{"2026-10-25T02:00:00", "Europe/Madrid", "exists twice"},
		{"2026-10-25T02:59:59.999999999", "Europe/Madrid", "exists twice"},
		{"2018-11-04T00:00:00", "America/Sao_Paulo", "clocks go from 00:00 to 01:00"},
		{"2019-02-16T23:30:00", "America/Sao_Paulo", "exists twice"},
		{"2026-10-04T02:15:00", "Australia/Lord_Howe", `clocks go from 02:00 to 02:30 then; write "2026-10-04T02:45:00"`},
		{"2026-04-05T01:45:00", "Australia/Lord_Howe", "exists twice"},
		{"2011-12-30T12:00:00", "Pacific/Apia", "doesn't exist"},
		{"2026-03-04", "", "no time of day"},
		{"2026-03-04 09:30:00Z", "", "not ISO 8601"},
		{"2026-03-04t09:30:00z", "", "not ISO 8601"},
		{"20260304T093000Z", "", "is ISO 8601, but the basic form without hyphens is not accepted here"},
		{"2026-W10-3T09:30:00Z", "", "a date by week is not"},
		{"2026W103T093000Z", "", "a date by week is not"},
		{"2026-063T09:30:00Z", "", "a date by the day of the year is not"},
		{"2026-03-04T093000Z", "", "the basic form without colons is not"},
		{"2026-03-04T0930+01:00", "", "the basic form without colons is not"},
		{"2026-03-04T09Z", "", "a time of hours alone is not"},
		{"2026-03-04T09:30.5Z", "", "a fraction of a minute is not"},
		{"2026-03-04T09:30:00Z/PT1H", "", "an interval is not"},
		{"2026-03", "", "no time of day"},
		{"2026-3-4T09:30:00Z", "", "not ISO 8601"},
		{"04/03/2026 09:30", "", "not ISO 8601"},
		{"2026-03-04T09:30:00+01:00[Europe/Madrid]", "", "brackets"},
		{"2026-03-04T09:30:0Z", "", "not ISO 8601"},
		{"2026-03-04T09:30:00.Z", "", "not ISO 8601"},
		{"2026-03-04T09:30:00.1234567890Z", "", "a fraction of more than nine digits is not"},
		{"2026-03-04T09:30:00,5Z", "", "a comma in a fraction is not"},
		{"2026-03-04T09:30:00 Z", "", "not ISO 8601"},
		{"2026-03-04T09:30:00+1:00", "", "not ISO 8601"},
		{"2026-03-04T09:30:00+01:00Z", "", "not ISO 8601"},
		{"2026-03-04T09:30:00+19:00", "", "no place has the offset"},
		{"2026-03-04T09:30:00+01:60", "", "no place has the offset"},
		{"2026-02-29T09:30:00Z", "", "not on the calendar"},
		{"2026-13-01T09:30:00Z", "", "not on the calendar"},
		{"2026-03-04T24:00:00Z", "", "24:00 is not accepted here"},
		{"2026-03-04T24:00:01Z", "", "not on the calendar"},
		{"2026-06-30T23:59:60Z", "", "not on the calendar"},
		{"", "", "not ISO 8601"},
		{"tomorrow", "", "not ISO 8601"},
		{"PT1H", "", "is a duration, not a date-time: write it as the delay"},
		{"2026-03-04T09:30:00Europe/Madrid", "", "not ISO 8601"},
		{"R5/2026-03-04T09:30:00Z", "", "is ISO 8601, but an interval is not accepted here"},
		{"2026-03-04T09:30:00Z/P1D", "", "is ISO 8601, but an interval is not accepted here"},
		{"+002026-03-04T09:30:00Z", "", "is ISO 8601, but a year of more than four digits is not accepted here"},
		{"2026", "", "is ISO 8601, but a year alone is not accepted here"},
		{"2026063", "", "is ISO 8601, but a date by the day of the year is not accepted here"},
		{"20260304", "", "is ISO 8601, but the basic form without hyphens is not accepted here"},
		{"1772614200", "", "not ISO 8601"},
	} {
		var loc *time.Location
		if tt.zone != "" {
			loc = zone(t, tt.zone)
		}
		if got, err := ParseInstant(tt.text, loc); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q in %s: got %v, %v, want an error with %q", tt.text, tt.zone, got, err, tt.want)
		}
	}
}

func TestLoadZone(t *testing.T) {
	for _, name := range []string{"", "Local", "Europe/Madird", "../zone", "/etc/localtime"} {
		if _, err := LoadZone(name); err == nil {
			t.Errorf("zone %q is taken", name)
		}
	}
	if loc, err := LoadZone("Europe/Madrid"); err != nil || loc.String() != "Europe/Madrid" {
		t.Errorf("got %v, %v", loc, err)
	}
}

// TestLastDayOfALeapYear is where package time gives a zone's period an end
// that has passed, once its table has ended and its rule goes on.
func TestLastDayOfALeapYear(t *testing.T) {
	for _, name := range []string{"Europe/Madrid", "Australia/Lord_Howe", "America/New_York", "America/Sao_Paulo"} {
		loc := zone(t, name)
		for day := time.Date(2040, 12, 30, 0, 0, 0, 0, loc); day.Year() < 2041 || day.Day() < 3; day = day.Add(12 * time.Hour) {
			got, err := ParseInstant(day.Format(wallLayout), loc)
			if err != nil || !got.Equal(day) {
				t.Errorf("%s: got %s, %v, want %s", name, got, err, day)
			}
			s, _ := ParseSchedule("0 9 * * *", loc)
			switch next := s.Next(day); {
			case next.Sub(day) > 24*time.Hour:
				t.Errorf("%s: next.Sub(day) = %v, want at most %v", name, next.Sub(day), 24*time.Hour)
			case next.In(loc).Hour() != 9:
				t.Errorf("%s: next.In(loc).Hour() = %v, want 9", name, next.In(loc).Hour())
			}
			if open := windows(t, name, "* 9 * * *").NextOpening(day); open.Sub(day) > 24*time.Hour {
				t.Errorf("%s: after %s opens at %s", name, day, open)
			}
		}
	}
}
