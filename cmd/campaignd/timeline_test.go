package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/test/golden"
)

// busy is an application whose slots are held by many, in slots of the length.
func busy(slot time.Duration, sendings int) (api.Timeline, api.ApplicationTimeline) {
	t := api.Timeline{From: noon.Add(7 * time.Minute), Until: noon.Add(7*time.Minute + 48*time.Hour)}
	a := api.ApplicationTimeline{ApplicationID: 1, Name: "Demo shop", Timezone: "Europe/Madrid", Sliced: true, SlotSeconds: int64(slot / time.Second), Capacity: 600,
		Closed: []api.Span{{Start: noon.Add(8 * time.Hour), End: noon.Add(20 * time.Hour)}}}
	for i := range sendings {
		one := api.TimelineSending{ID: campaign.NewID(noon, uint64(i+1)), Name: fmt.Sprintf("a-name-that-is-rather-long-%d", i), State: campaign.StateScheduled,
			Sliced: true, Messages: 1_234_567, Slots: 40, Start: noon.Add(time.Hour), End: noon.Add(30 * time.Hour)}
		a.Sendings = append(a.Sendings, one)
	}
	for at := noon.Add(time.Hour).Truncate(slot); at.Before(noon.Add(6 * time.Hour)); at = at.Add(slot) {
		use := api.SlotUse{Start: at, Reserved: uint32(at.Unix()/int64(slot/time.Second)) % 601}
		for i, s := range a.Sendings {
			if int(at.Sub(noon).Hours())%(i+1) == 0 {
				use.Shares = append(use.Shares, api.Share{ID: s.ID, Messages: 1})
			}
		}
		a.Slots = append(a.Slots, use)
	}
	return t, a
}

// TestTimelineFits: whatever the slots and however many the sendings, no line is
// wider than the terminal, and 48 hours fit on a screen.
func TestTimelineFits(t *testing.T) {
	for _, slot := range []time.Duration{time.Second, 7 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour, 36 * time.Hour} {
		for _, width := range []int{80, 120, 200} {
			timeline, application := busy(slot, 12)
			var out bytes.Buffer
			env := &environment{out: &out, width: width, terminal: true}
			if err := printTimeline(env, timeline, application); err != nil {
				t.Fatal(err)
			}
			picture, _, _ := strings.Cut(out.String(), "\n   id")
			if n := strings.Count(picture, "\n"); n > 24 {
				t.Errorf("slots of %s on %d columns: the picture has %d lines", slot, width, n)
			}
			for line := range strings.Lines(out.String()) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
					t.Errorf("slots of %s: a line of %d on %d columns: %s", slot, n, width, line)
				}
			}
		}
	}
}

// TestTimelineGolden: what terminals of the usual widths show.
func TestTimelineGolden(t *testing.T) {
	for _, c := range []struct {
		name  string
		slot  time.Duration
		width int
	}{{"timeline-80", 5 * time.Minute, 80}, {"timeline-120", 5 * time.Minute, 120}, {"timeline-seconds", time.Second, 80}} {
		timeline, application := busy(c.slot, 3)
		var out bytes.Buffer
		if err := printTimeline(&environment{out: &out, width: c.width, terminal: true}, timeline, application); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, "testdata/golden/"+c.name+".txt", out.String())
	}
}

// TestSliceLines: slots that are alike are one line, and twenty lines are enough.
func TestSliceLines(t *testing.T) {
	slices := func(counts ...uint32) (list []campaign.Slice) {
		for i, n := range counts {
			if start := noon.Add(time.Duration(i) * time.Minute); n > 0 { // 0: a slot left out
				list = append(list, campaign.Slice{Start: start, End: start.Add(time.Minute), Recipients: n})
			}
		}
		return list
	}
	var odd []uint32
	for i := range uint32(2000) {
		odd = append(odd, i+1)
	}
	for _, c := range []struct {
		name string
		list []campaign.Slice
		want []string
	}{
		{"none", nil, nil},
		{"one", slices(7), []string{"Sat 14 Mar 12:00:00 – 12:01:00  7 recipients"}},
		{"alike", slices(600, 600, 600, 250), []string{"Sat 14 Mar 12:00:00 – 12:03:00  600 recipients in each of 3 slots", "Sat 14 Mar 12:03:00 – 12:04:00  250 recipients"}},
		{"a gap", slices(600, 0, 600), []string{"Sat 14 Mar 12:00:00 – 12:01:00  600 recipients", "Sat 14 Mar 12:02:00 – 12:03:00  600 recipients"}},
	} {
		if diff := cmp.Diff(c.want, sliceLines(c.list, time.UTC)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	got := sliceLines(slices(odd...), time.UTC)
	switch {
	case len(got) != 21:
		t.Errorf("%d lines, the last: len(got) = %v, want 21", len(got), len(got))
	case got[20] != "… and 2,000,790 recipients in 1,980 more slots, the last until Sun 15 Mar 21:20:00":
		t.Errorf("%d lines, the last: got[20] = %q, want %q", len(got), got[20], "… and 2,000,790 recipients in 1,980 more slots, the last until Sun 15 Mar 21:20:00")
	}
}
