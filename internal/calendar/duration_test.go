package calendar

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	from := at(t, "2026-01-31T10:00:00Z")
	for text, want := range map[string]string{
		"PT0.25S": "2026-01-31T10:00:00.25Z", "PT20S": "2026-01-31T10:00:20Z", "PT15M": "2026-01-31T10:15:00Z",
		"PT30M50.5S": "2026-01-31T10:30:50.5Z", "PT4H": "2026-01-31T14:00:00Z", "P3D": "2026-02-03T10:00:00Z",
		"P2W": "2026-02-14T10:00:00Z", "P1M": "2026-02-28T10:00:00Z", "P1Y": "2027-01-31T10:00:00Z",
		"P1Y1M1W1DT1H1M1.000000001S": "2027-03-08T11:01:01.000000001Z", "PT36H": "2026-02-01T22:00:00Z",
		"P1W2D": "2026-02-09T10:00:00Z", "P0DT1S": "2026-01-31T10:00:01Z", "PT90M": "2026-01-31T11:30:00Z",
		"PT7776000.123456789S": "2026-05-01T10:00:00.123456789Z", "P01M": "2026-02-28T10:00:00Z",
		"PT00.5S": "2026-01-31T10:00:00.5Z",
	} {
		d, err := ParseDuration(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := d.AddTo(from, nil); !got.Equal(at(t, want)) {
			t.Errorf("%q from %s gives %s, want %s", text, from, got.Format(time.RFC3339Nano), want)
		}
	}
}

// TestLooseDurationsAreRefused refuses what the module reads as something else.
func TestLooseDurationsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"P1T2H": "without a unit", "P5T30M": "without a unit", "PP1D": "not ISO 8601", "P1PD": "not ISO 8601",
		"P": "nothing after the P", "PT": "nothing after the T", "P1DT": "nothing after the T", "P1DT1DT": "unit D after the T",
		"P1P2D": "not ISO 8601", "PT1S2S": "twice or out of order", "P1D1D": "twice or out of order",
		"PT1S1M": "twice or out of order", "P1D1M": "twice or out of order", "PT1M1H": "twice or out of order", "P1D2W": "twice or out of order",
		"-P1D": "sign", "P-1D": "sign", "-PT1S": "sign", "+P1D": "sign", "P+1D": "sign", "P1D/2026-12-01": "an interval is not accepted here", "2026-12-01T10:00:00Z": "write it as scheduleAt",
		"P1H": "H before the T", "PT1D": "D after the T", "P1S": "S before the T", "PT1Y": "Y after the T",
		"P1.5D": "only seconds", "PT1.5H": "only seconds", "PT0.5M": "only seconds", "P0.5W": "only seconds",
		"PT.5S": "has the seconds", "PT1.S": "has the seconds", "PT1.2.3S": "has the seconds", "PT0.1234567890S": "has the seconds",
		"PT0,25S": "comma", "pt15m": `as in "PT15M"`, "Pt15M": "capitals", "15m": "not ISO 8601", "": "not ISO 8601", " PT1S": "not ISO 8601", "PT1S ": "not ISO 8601",
		"P١D": "not ISO 8601", "PT1": "without a unit", "PT1X": "not ISO 8601", "P0D": "is zero", "P0000-00-01T02:00:00": "the form of a date is not accepted here", "PT0S": "is zero", "PT0.000S": "is zero",
		"P101Y": "at most 100 years", "P99999999999999999999D": "at most", "PT9223372036854775807S": "at most", "PT1000000000S": "at most", "P1201M": "at most", "PT876001H": "at most",
		"P" + strings.Repeat("1", 100_000) + "D": "at most",
	} {
		_, err := ParseDuration(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got error %v, want one with %q", text, err, want)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%.60q: the error is %d bytes long", text, len(err.Error()))
		}
	}
}

// TestDurationByCalendar adds years to days in local time and the rest exactly.
func TestDurationByCalendar(t *testing.T) {
	for _, tt := range []struct{ name, zone, from, add, want string }{
		{"31 January", "UTC", "2026-01-31T09:00:00Z", "P1M", "2026-02-28T09:00:00Z"},
		{"31 January of a leap year", "UTC", "2028-01-31T09:00:00Z", "P1M", "2028-02-29T09:00:00Z"},
		{"30 November", "UTC", "2026-11-30T09:00:00Z", "P3M", "2027-02-28T09:00:00Z"},
		{"30 November before a leap year", "UTC", "2027-11-30T09:00:00Z", "P3M", "2028-02-29T09:00:00Z"},
		{"29 February", "UTC", "2028-02-29T09:00:00Z", "P1Y", "2029-02-28T09:00:00Z"},
		{"29 February to the next", "UTC", "2028-02-29T09:00:00Z", "P4Y", "2032-02-29T09:00:00Z"},
		{"29 February plus 13 months", "UTC", "2028-02-29T09:00:00Z", "P1Y1M", "2029-03-29T09:00:00Z"},
		{"months before days", "UTC", "2026-01-31T09:00:00Z", "P1M1D", "2026-03-01T09:00:00Z"},
		{"the local date counts", "America/Sao_Paulo", "2026-02-01T01:00:00Z", "P1M", "2026-03-01T01:00:00Z"},
		{"a day of 23 hours", "Europe/Madrid", "2026-03-28T10:00:00+01:00", "P1D", "2026-03-29T10:00:00+02:00"},
		{"a day of 25 hours", "Europe/Madrid", "2026-10-24T10:00:00+02:00", "P1D", "2026-10-25T10:00:00+01:00"},
		{"24 hours are exact", "Europe/Madrid", "2026-03-28T10:00:00+01:00", "PT24H", "2026-03-29T11:00:00+02:00"},
		{"day, then hours", "Europe/Madrid", "2026-03-28T01:00:00+01:00", "P1DT1H", "2026-03-29T03:00:00+02:00"},
		{"into the gap", "Europe/Madrid", "2026-03-28T02:30:00+01:00", "P1D", "2026-03-29T03:30:00+02:00"},
		{"into the repeated hour", "Europe/Madrid", "2026-10-24T02:30:00+02:00", "P1D", "2026-10-25T02:30:00+02:00"},
		{"back into the repeated hour", "Europe/Madrid", "2025-10-26T02:30:00+01:00", "PT0.5S", "2025-10-26T02:30:00.5+01:00"},
		{"a year onto the repeated hour keeps winter", "Europe/Madrid", "2026-01-25T02:30:00+01:00", "P9M", "2026-10-25T02:30:00+01:00"},
		{"midnight that is skipped", "America/Sao_Paulo", "2018-10-04T00:00:00-03:00", "P1M", "2018-11-04T01:00:00-02:00"},
		{"half an hour", "Australia/Lord_Howe", "2026-10-03T02:15:00+10:30", "P1D", "2026-10-04T02:45:00+11:00"},
		{"half an hour back", "Australia/Lord_Howe", "2026-04-04T01:45:00+11:00", "P1D", "2026-04-05T01:45:00+11:00"},
		{"a day that a zone left out", "Pacific/Apia", "2011-12-29T12:00:00-10:00", "P1D", "2011-12-31T12:00:00+14:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := ParseDuration(tt.add)
			if err != nil {
				t.Fatal(err)
			}
			got := d.AddTo(at(t, tt.from), zone(t, tt.zone))
			if !got.Equal(at(t, tt.want)) {
				t.Errorf("%s plus %s is %s, want %s", tt.from, tt.add, got.In(zone(t, tt.zone)).Format(time.RFC3339Nano), tt.want)
			}
		})
	}
}

func TestAddMonths(t *testing.T) {
	for _, tt := range []struct {
		from string
		n    int
		want string
	}{
		{"2026-11-30T12:00:00Z", 3, "2027-02-28T12:00:00Z"},
		{"2026-05-31T12:00:00.5Z", -3, "2026-02-28T12:00:00.5Z"},
		{"2026-05-31T12:00:00Z", 0, "2026-05-31T12:00:00Z"},
		{"1968-03-31T12:00:00Z", -1, "1968-02-29T12:00:00Z"},
	} {
		if got := AddMonths(at(t, tt.from), tt.n, nil); !got.Equal(at(t, tt.want)) {
			t.Errorf("%s plus %d months is %s, want %s", tt.from, tt.n, got, tt.want)
		}
	}
}
