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
	if first.State != campaign.StateScheduled || second.State != campaign.StateScheduled {
		t.Fatal(first, second)
	}
	if third := h.drop("c", goodCSV, goodLayout, later); third != nil {
		t.Fatalf("%+v", third)
	}
	waits := h.in.Waits(h.inbox)
	if len(waits) != 1 || waits[0].Name != "c" || !strings.Contains(waits[0].Reason, "max_drops is 2") {
		t.Errorf("%+v", waits)
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
		t.Errorf("there is room: %+v\n%s", third, h.log)
	}
	// A drop that has waited too long gets a report.
	d := h.watchedDrop("d")
	h.clock = h.clock.Add(time.Hour + time.Second)
	h.in.Ready(d)
	h.work()
	fourth := h.newest("d")
	if fourth == nil || fourth.State != campaign.StateRejected || !strings.Contains(h.report(fourth), "max_drops is 2") {
		t.Errorf("%+v\n%s", fourth, h.log)
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
	if large == nil || large.State != campaign.StateRejected || !strings.Contains(large.Reason, "max_pending_bytes is") {
		t.Errorf("%+v", large)
	}
	if other := h.drop("c", goodCSV, goodLayout, later); other == nil || other.State != campaign.StateScheduled {
		t.Errorf("a smaller one fits: %+v\n%s", other, h.log)
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
			t.Fatalf("%s: %+v\n%s", name, s, h.log)
		}
	}
	h.put("x", goodCSV, goodLayout, later)
	d := h.watchedDrop("x")
	h.put("x", goodCSV, goodLayout+" ", later) // no longer what was seen
	h.in.Ready(d)
	h.work()
	if s := h.drop("y", goodCSV, goodLayout, later); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("%+v\n%s", s, h.log)
	}
	if got := h.in.drops.inboxes[h.inbox].drops; len(h.in.drops.ids) != 1 || got != 1 {
		t.Errorf("got %d drops in the table and %d counted in the inbox, want 1 of both", len(h.in.drops.ids), got)
	}
}
