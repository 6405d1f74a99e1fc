package intake

import (
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// TestMistakesOfAScript: each report says what the author of the script has to change.
func TestMistakesOfAScript(t *testing.T) {
	const columns = "application = 1\ncampaign = 7\nlayout = \"columns\"\n"
	const csv = "phone,name\n34666777888,Ada\n"
	incomplete := func(h *harness, name string) *campaign.Sending {
		t.Helper()
		h.in.Incomplete(h.watchedDrop(name))
		h.work()
		s := h.newest(name)
		if s == nil || s.State != campaign.StateRejected {
			t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateRejected, h.log)
		}
		return s
	}
	t.Run("the schedule comes after its drop was taken", func(t *testing.T) {
		h := newHarness(t, columns, "")
		h.drop("daily-1", csv, "", "")
		h.put("daily-1", "", "", goodSidecar)
		wantParts(t, h.report(incomplete(h, "daily-1")), "later files are never added to it: upload them before the CSV, or within 30s of it")
	})
	t.Run("a schedule for tomorrow's file", func(t *testing.T) {
		h := newHarness(t, columns, "")
		h.drop("daily-2026-11-28", csv, "", "")
		h.put("daily-2026-11-29", "", "", goodSidecar)
		wantParts(t, h.report(incomplete(h, "daily-2026-11-29")),
			`the drop "daily-2026-11-28", whose name differs only in its digits, was taken in without these files: is the date or number in their names right?`)
	})
	t.Run("the same file every night", func(t *testing.T) {
		h := newHarness(t, columns, "")
		h.drop("daily-2026-11-28", csv, "", "")
		s := h.drop("daily-2026-11-29", csv, "", "")
		wantParts(t, h.report(s), "the same drop was accepted before as 20260302-000001", "If an export wrote the same file once more, check that it ran")
	})
	t.Run("an empty export", func(t *testing.T) {
		h := newHarness(t, columns, "")
		wantParts(t, h.report(h.drop("daily", "phone,name\n", "", "")), "the file has a header and no row", "on a day without recipients upload nothing")
	})
	t.Run("another inbox", func(t *testing.T) {
		h := newHarness(t, "allow_applications = [2]", "")
		wantParts(t, h.report(h.drop("daily", goodCSV, goodLayout, goodSidecar)), "was the drop meant for another inbox?")
	})
}

// A file of no bytes may be an upload that has just begun.
func TestEmptyCSVWaitsLikeAnUpload(t *testing.T) {
	h := newHarness(t, "application = 1\ncampaign = 7\nlayout = \"columns\"", "")
	h.put("daily", "\n", "", "")
	h.write(h.inbox+"/daily.csv", "")
	d := h.watchedDrop("daily")
	h.in.Ready(d)
	h.work()
	if s := h.newest("daily"); s != nil {
		t.Fatalf("it became %+v", s)
	}
	h.clock = h.clock.Add(2 * time.Minute)
	h.in.Ready(d)
	h.work()
	s := h.newest("daily")
	if s == nil || s.State != campaign.StateRejected {
		t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateRejected, h.log)
	}
	wantParts(t, h.report(s), "the file is empty")
}
