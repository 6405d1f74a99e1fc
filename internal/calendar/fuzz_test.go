package calendar

import (
	"testing"
	"time"
)

func FuzzDuration(f *testing.F) {
	for _, text := range []string{"PT0.25S", "P1Y2M3W4DT5H6M7.8S", "P1T2H", "PP1D", "PT", "-P1D"} {
		f.Add(text)
	}
	madrid := zone(f, "Europe/Madrid")
	from := time.Date(2028, 2, 29, 23, 59, 59, 999_999_999, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		switch got := d.AddTo(from, madrid); {
		case !got.After(from):
			t.Errorf("%q: got %v, want later than %v", text, got, from)
		case got.Year() > 2800:
			t.Errorf("%q: got.Year() = %v, want at most 2800", text, got.Year())
		}
	})
}

func FuzzInstant(f *testing.F) {
	for _, text := range []string{"2026-03-04T09:30:00.5+01:00", "2026-03-29T02:30:00", "2026-10-25T02:30", "2026-02-30T00:00Z", "0000-01-01T00:00:00-18:00"} {
		f.Add(text)
	}
	madrid := zone(f, "Europe/Madrid")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseInstant(text, madrid)
		if err != nil {
			if len(err.Error()) > 600 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if got.Year() < 0 || got.Year() > 9999 { // years that the format can't write
			return
		}
		again, err := ParseInstant(got.Format("2006-01-02T15:04:05.999999999Z07:00"), nil)
		if err != nil {
			t.Fatalf("%q: got %s, and reading it again %v", text, got, err)
		}
		if !again.Equal(got) {
			t.Errorf("%q: got %s, want %s as before", text, again, got)
		}
	})
}

func FuzzSchedule(f *testing.F) {
	for _, text := range []string{"* 9-20 * * MON-SAT", "TZ=UTC", "CRON_TZ=Europe/Madrid 0 2 * * 7", "@every 10s", "0 0 29 2 *", "*-5 ,/ 1-2-3 * *", "22-6/3 NOV-FEB * * *"} {
		f.Add(text)
	}
	island := zone(f, "Australia/Lord_Howe")
	from := time.Date(2096, 3, 1, 0, 0, 0, 1, time.UTC) // the longest wait for 29 February lies ahead
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text, island)
		if err != nil {
			return
		}
		next := s.Next(from)
		if !next.After(from) {
			t.Errorf("%q after %s fires at %s", text, from, next)
		}
		w, err := ParseWindows([]string{text}, island)
		if err != nil {
			return
		}
		if opening := w.NextOpening(from); !opening.IsZero() && !w.Open(opening) {
			t.Errorf("%q is not open at its opening %s", text, opening)
		}
		if closing := w.NextClosing(from); !closing.IsZero() && w.Open(closing) {
			t.Errorf("%q is open at its closing %s", text, closing)
		}
	})
}

func FuzzLength(f *testing.F) {
	for _, text := range []string{"250ms", "1h30m", "90d", "10", "1.5h", "9223372036854775807ns"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseLength(text)
		if err != nil {
			return
		}
		switch again, err := ParseLength(FormatLength(d)); {
		case d < 0:
			t.Errorf("%q: d = %v, want at least 0", text, d)
		case err != nil:
			t.Errorf("%q: %v", text, err)
		case again != d:
			t.Errorf("%q: again = %v, want %v", text, again, d)
		}
	})
}
