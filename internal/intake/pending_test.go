package intake

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// later is a sidecar of a drop that is not over soon.
const later = `{"applicationId": 1, "campaignId": 7, "delay": "P1D", "resend": true}`

// What an inbox may have under way is bounded; what comes on top waits for room, untouched.
func TestMaxDrops(t *testing.T) {
	r := newRig(t, "max_drops = 2", "")
	first, second := r.drop("a", goodCSV, goodLayout, later), r.drop("b", goodCSV, goodLayout, later)
	if first.State != campaign.StateScheduled || second.State != campaign.StateScheduled {
		t.Fatal(first, second)
	}
	if third := r.drop("c", goodCSV, goodLayout, later); third != nil {
		t.Fatalf("%+v", third)
	}
	waits := r.in.Waits(r.inbox)
	if len(waits) != 1 || waits[0].Name != "c" || !strings.Contains(waits[0].Reason, "max_drops is 2") {
		t.Errorf("%+v", waits)
	}
	r.drop("d", goodCSV, goodLayout, later)
	if n := strings.Count(r.log.String(), "drops wait for others"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	r.crash() // they count after a restart as well
	if third := r.drop("c", goodCSV, goodLayout, later); third != nil {
		t.Fatalf("after a restart: %+v", third)
	}
	r.control("a.cancel", "")
	r.in.Changed(first.ID)
	r.clerk()
	r.clock = r.clock.Add(roomEvery)
	r.in.Ready(r.seen("c"))
	r.work()
	if third := r.newest("c"); third == nil || third.State != campaign.StateScheduled {
		t.Errorf("there is room: %+v\n%s", third, r.log)
	}
	// What has waited too long is told so, in a file.
	d := r.seen("d")
	r.clock = r.clock.Add(time.Hour + time.Second)
	r.in.Ready(d)
	r.work()
	fourth := r.newest("d")
	if fourth == nil || fourth.State != campaign.StateRejected || !strings.Contains(r.report(fourth), "max_drops is 2") {
		t.Errorf("%+v\n%s", fourth, r.log)
	}
	if r.tree("failed/" + fourth.FolderName())["d.csv"] != goodCSV {
		t.Error("its files are not kept")
	}
	r.balanced()
}

func TestMaxPendingBytes(t *testing.T) {
	size := len(goodCSV) + len(goodLayout) + len(later)
	r := newRig(t, fmt.Sprintf("max_pending_bytes = %d", 2*size+1), "")
	s := r.drop("a", goodCSV, goodLayout, later)
	if waits := r.drop("b", goodCSV+"34600000001,Ada\n34600000002,Ada\n34600000003,Ada\n", goodLayout, later); waits != nil {
		t.Errorf("%+v", waits)
	}
	large := r.drop("large", goodCSV+strings.Repeat("34600000001,Ada\n", size), goodLayout, later)
	if large == nil || large.State != campaign.StateRejected || !strings.Contains(large.Reason, "max_pending_bytes is") {
		t.Errorf("%+v", large)
	}
	if other := r.drop("c", goodCSV, goodLayout, later); other == nil || other.State != campaign.StateScheduled {
		t.Errorf("a smaller one fits: %+v\n%s", other, r.log)
	}
	r.sendAll(s.ID)
	r.clock = r.clock.Add(roomEvery)
	r.in.Ready(r.seen("b"))
	r.work()
	if b := r.newest("b"); b != nil {
		t.Errorf("still too many bytes: %+v", b)
	}
}

// Claims that come to nothing and refusals give their room back.
func TestRoomComesBack(t *testing.T) {
	r := newRig(t, "max_drops = 1", "")
	for i := range 3 {
		name := fmt.Sprint("bad", i)
		if s := r.drop(name, goodCSV, "{", later); s == nil || s.State != campaign.StateRejected {
			t.Fatalf("%s: %+v\n%s", name, s, r.log)
		}
	}
	r.put("x", goodCSV, goodLayout, later)
	d := r.seen("x")
	r.put("x", goodCSV, goodLayout+" ", later) // no longer what was seen
	r.in.Ready(d)
	r.work()
	if s := r.drop("y", goodCSV, goodLayout, later); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("%+v\n%s", s, r.log)
	}
	if len(r.in.pending.of) != 1 || r.in.pending.sums[r.inbox].drops != 1 {
		t.Errorf("%+v", r.in.pending)
	}
}
