package daemon

import (
	"fmt"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// shopIn configures application 1 with slots of ten minutes in the windows of a zone.
func shopIn(zone, window string, capacity int) string {
	return shop(1, fmt.Sprintf("timezone = %q\nwindows = [%q]", zone, window), fmt.Sprintf(`enabled = true, slot = "10m", capacity = %d`, capacity))
}

// local returns an instant by the clocks of a zone.
func local(t *testing.T, zone, text string) time.Time {
	t.Helper()
	where, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", text, where)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestWindowsOverChangesOfTheClocks: on days with a clock change, a sending fills exactly the
// slots within the windows in local time. The nights and Sundays between have none.
func TestWindowsOverChangesOfTheClocks(t *testing.T) {
	const madrid, howe = "Europe/Madrid", "Australia/Lord_Howe"
	for _, c := range []struct {
		name, zone, window string
		from               string // T, on the zone's clocks
		slots              int    // in the windows on that day, or from T on
		last               string // the last slot's start, with its offset, as it should be
	}{
		// Forth at 02:00 to 03:00: an hour of three is not there.
		{"Madrid in spring", madrid, "* 1-3 * * *", "2026-03-29 00:30", 12, "2026-03-29T03:50:00+02:00"},
		// Back at 03:00 to 02:00: an hour of three comes twice.
		{"Madrid in autumn", madrid, "* 1-3 * * *", "2026-10-25 00:30", 24, "2026-10-25T03:50:00+01:00"},
		// Forth at 02:00 to 02:30, and back at 02:00 to 01:30.
		{"Lord Howe in spring", howe, "* 1-2 * * *", "2026-10-04 00:30", 9, "2026-10-04T02:50:00+11:00"},
		{"Lord Howe in autumn", howe, "* 1-2 * * *", "2026-04-05 00:30", 15, "2026-04-05T02:50:00+10:30"},
		// Saturday evening's last two slots, then Monday morning's: the clocks change on the Sunday between.
		{"Madrid over the weekend in autumn", madrid, "* 9-20 * * MON-SAT", "2026-10-24 20:40", 5, "2026-10-26T09:20:00+01:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := local(t, c.zone, c.from)
			scenario(t, from.Add(-time.Hour), shopIn(c.zone, c.window, 4), func(t *testing.T, w *harness) {
				w.start()
				n := 4 * c.slots
				w.accept("all", n, "scheduleAt", from)
				doc := w.report("all")
				if len(doc.Slices) != c.slots {
					t.Errorf("%d slots, want %d", len(doc.Slices), c.slots)
				}
				last := doc.Slices[len(doc.Slices)-1]
				if got := last.Start.In(from.Location()).Format(time.RFC3339); got != c.last {
					t.Errorf("the last slot begins at %s, want %s", got, c.last)
				}
				w.until(last.End.Add(time.Minute))
				w.sentOf("all", uint64(n), 0)
				for _, s := range w.sentBy("all") {
					here := s.wall.In(from.Location())
					if inside := open(c.window, here); !inside {
						t.Errorf("sent at %s, outside %q", here.Format(time.RFC3339), c.window)
					}
				}
				w.checkInvariants(map[int64]int{1: 4}, map[int64]time.Duration{1: 10 * time.Minute})
			})
		})
	}
}

// open restates the windows of these tests as simply as possible.
func open(window string, local time.Time) bool {
	h := local.Hour()
	switch window {
	case "* 1-3 * * *":
		return h >= 1 && h <= 3
	case "* 1-2 * * *":
		return h == 1 || h == 2
	case "* 9-20 * * MON-SAT":
		return h >= 9 && h <= 20 && local.Weekday() != time.Sunday
	}
	return false
}

// TestImmediateOutsideTheWindows: an immediate sending outside the windows isn't moved; the report gives advice.
func TestImmediateOutsideTheWindows(t *testing.T) {
	scenario(t, at(9, 0), shopIn("Europe/Madrid", "* 9-20 * * *", 100), func(t *testing.T, w *harness) {
		w.start()
		w.accept("evening", 250, "scheduleAt", at(19, 40), "slicingCondition", "immediateConsecutiveSlots")
		w.state("evening", campaign.StateCanceled)
		w.accept("night", 10, "scheduleAt", at(22, 0), "slicingCondition", "immediateConsecutiveSlots")
		w.state("night", campaign.StateCanceled)
		w.accept("morning", 10, "scheduleAt", at(22, 0), "slicingCondition", "deferredConsecutiveSlots")
		w.want("the next opening", plannedBySlot(w.report("morning")), map[string]int{"+1 08:00:00": 10})
	})
}

// TestLocalScheduleAndDelay: a local time is the zone's, and a day is a calendar day,
// also in the night of a clock change.
func TestLocalScheduleAndDelay(t *testing.T) {
	saturday := local(t, "Europe/Madrid", "2026-03-28 12:00")
	scenario(t, saturday, shop(1, `timezone = "Europe/Madrid"`, `enabled = false`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("local", 1, "scheduleAt", "2026-03-29T12:00:00")
		w.accept("day", 1, "delay", "P1D")
		w.accept("hours", 1, "delay", "PT24H")
		w.accept("gap", 1, "scheduleAt", "2026-03-29T02:30:00")
		w.state("gap", campaign.StateRejected)
		w.until(saturday.Add(25 * time.Hour))
		sunday := local(t, "Europe/Madrid", "2026-03-29 12:00") // 23 hours later
		for name, want := range map[string]time.Time{"local": sunday, "day": sunday.Add(50 * time.Second), "hours": sunday.Add(time.Hour + 75*time.Second)} {
			got := w.sentBy(name)
			if len(got) != 1 || got[0].wall.Sub(want).Abs() > time.Minute {
				t.Errorf("%s: %+v, want one at about %s", name, got, want)
			}
		}
	})
}

// TestDaysAhead: sendings wait in the store for days and weeks, over restarts, and are sent on time.
func TestDaysAhead(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes+", activation_recipients = 50"), func(t *testing.T, w *harness) {
		w.start()
		for i, days := range []int{1, 2, 5, 9} {
			w.accept(fmt.Sprint("plain", i), 3, "scheduleAt", at(24*days+12, 0))
			w.accept(fmt.Sprint("sliced", i), 120, "scheduleAt", at(24*days+12, 0), "slicingCondition", "immediateConsecutiveSlots")
		}
		for range 10 {
			w.wait(24 * time.Hour)
			w.shutdown()
			w.start()
		}
		for i, days := range []int{1, 2, 5, 9} {
			for _, name := range []string{fmt.Sprint("plain", i), fmt.Sprint("sliced", i)} {
				list := w.sentBy(name)
				if len(list) == 0 {
					t.Fatalf("%s was not sent", name)
				}
				if late := list[0].wall.Sub(at(24*days+12, 0)); late < 0 || late > 50*time.Millisecond {
					t.Errorf("%s begins %s after its time", name, late)
				}
			}
			w.sentOf(fmt.Sprint("plain", i), 3, 0)
			w.sentOf(fmt.Sprint("sliced", i), 120, 0)
		}
		w.checkInvariants(nil, nil)
	})
}
