package intake

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// later is the sidecar of a drop that stays unfinished.
const later = `{"applicationId": 1, "campaignId": 7, "delay": "P1D", "resend": true}`

// The unfinished drops of an inbox are bounded; further ones wait untouched.
func TestMaxDrops(t *testing.T) {
	h := newHarness(t, "max_drops = 2", "")
	first, second := h.drop("a", goodCSV, goodLayout, later), h.drop("b", goodCSV, goodLayout, later)
	if first.State != campaign.StateScheduled {
		t.Fatalf("first.State = %q, want %q", first.State, campaign.StateScheduled)
	}
	if second.State != campaign.StateScheduled {
		t.Fatalf("second.State = %q, want %q", second.State, campaign.StateScheduled)
	}
	if third := h.drop("c", goodCSV, goodLayout, later); third != nil {
		t.Fatalf("%+v", third)
	}
	waits := h.in.Waits(h.inbox)
	switch {
	case len(waits) != 1:
		t.Errorf("len(waits) = %v, want 1: %+v", len(waits), waits)
	case waits[0].Name != "c":
		t.Errorf("waits[0].Name = %q, want \"c\"", waits[0].Name)
	case !strings.Contains(waits[0].Reason, "max_drops is 2"):
		t.Errorf("waits[0].Reason = %q, want \"max_drops is 2\" in it", waits[0].Reason)
	}
	h.drop("d", goodCSV, goodLayout, later)
	if n := strings.Count(h.log.String(), "drops wait for others"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	h.crash() // they count after a restart as well
	if third := h.drop("c", goodCSV, goodLayout, later); third != nil {
		t.Fatalf("after a restart: %+v", third)
	}
	h.control("a.cancel", "")
	h.keeper.Changed(first.ID)
	h.updateFolders()
	h.clock = h.clock.Add(roomRetry)
	h.in.Ready(h.watchedDrop("c"))
	h.work()
	if third := h.newest("c"); third == nil || third.State != campaign.StateScheduled {
		t.Errorf("there is room: got %+v, want State %q\n%s", third, campaign.StateScheduled, h.log)
	}
	// A drop that has waited too long gets a report.
	d := h.watchedDrop("d")
	h.clock = h.clock.Add(time.Hour + time.Second)
	h.in.Ready(d)
	h.work()
	fourth := h.newest("d")
	switch {
	case fourth == nil:
		t.Errorf("fourth is nil\n%s", h.log)
	case fourth.State != campaign.StateRejected:
		t.Errorf("fourth.State = %q, want %q\n%s", fourth.State, campaign.StateRejected, h.log)
	case !strings.Contains(h.report(fourth), "max_drops is 2"):
		t.Errorf("want \"max_drops is 2\" in:\n%s\n%s", h.report(fourth), h.log)
	}
	if h.tree("failed/" + fourth.FolderName())["d.csv"] != goodCSV {
		t.Error("its files are not kept")
	}
	h.verifyStore()
}

func TestMaxPendingBytes(t *testing.T) {
	size := len(goodCSV) + len(goodLayout) + len(later)
	h := newHarness(t, fmt.Sprintf("max_pending_bytes = %d", 2*size+1), "")
	s := h.drop("a", goodCSV, goodLayout, later)
	if waits := h.drop("b", goodCSV+"34600000001,Ada\n34600000002,Ada\n34600000003,Ada\n", goodLayout, later); waits != nil {
		t.Errorf("%+v", waits)
	}
	large := h.drop("large", goodCSV+strings.Repeat("34600000001,Ada\n", size), goodLayout, later)
	switch {
	case large == nil:
		t.Error("large is nil")
	case large.State != campaign.StateRejected:
		t.Errorf("large.State = %q, want %q", large.State, campaign.StateRejected)
	case !strings.Contains(large.Reason, "max_pending_bytes is"):
		t.Errorf("large.Reason = %q, want \"max_pending_bytes is\" in it", large.Reason)
	}
	if other := h.drop("c", goodCSV, goodLayout, later); other == nil || other.State != campaign.StateScheduled {
		t.Errorf("a smaller one fits: got %+v, want State %q\n%s", other, campaign.StateScheduled, h.log)
	}
	h.sendAll(s.ID)
	h.clock = h.clock.Add(roomRetry)
	h.in.Ready(h.watchedDrop("b"))
	h.work()
	if b := h.newest("b"); b != nil {
		t.Errorf("still too many bytes: %+v", b)
	}
}

// Void claims and refusals return their room.
func TestRoomComesBack(t *testing.T) {
	h := newHarness(t, "max_drops = 1", "")
	for i := range 3 {
		name := fmt.Sprint("bad", i)
		if s := h.drop(name, goodCSV, "{", later); s == nil || s.State != campaign.StateRejected {
			t.Fatalf("%s: got %+v, want State %q\n%s", name, s, campaign.StateRejected, h.log)
		}
	}
	h.put("x", goodCSV, goodLayout, later)
	d := h.watchedDrop("x")
	h.put("x", goodCSV, goodLayout+" ", later) // no longer what was seen
	h.in.Ready(d)
	h.work()
	if s := h.drop("y", goodCSV, goodLayout, later); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("got %+v, want State %q\n%s", s, campaign.StateScheduled, h.log)
	}
	if got := h.in.drops.inboxes[h.inbox].drops; len(h.in.drops.ids) != 1 || got != 1 {
		t.Errorf("got %d drops in the table and %d counted in the inbox, want 1 of both", len(h.in.drops.ids), got)
	}
}
