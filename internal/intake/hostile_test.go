package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// Names are the partner's: whatever they hold, the drop, its control files and its reports
// find their places and nothing else is touched.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		strings.Repeat("é", 100), // 200 bytes
		"a b", "-rf", "$(id)", "`id`", "a;b|c&d", "%s%d%n", "..", "...", "~", "*", "spring.csv", "spring.layout.json", "done",
		"spring.20260302-000001", "\u202eflip", "日本語", `quote"s'`, `back\slash`, "CON", "report.txt",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "", "")
			if strings.HasPrefix(name, ".") {
				t.Skip("the watcher ignores hidden files") // ".." + ".csv" is one
			}
			s := r.good(name)
			r.control(name+".pause", "")
			if now := r.header(s.ID); now.State != campaign.StatePaused {
				t.Errorf("it is %s\n%s", now.State, r.log)
			}
			r.control(name+"."+string(s.ID)+".cancel", "")
			r.in.Changed(s.ID)
			r.clerk()
			now := r.header(s.ID)
			if now.State != campaign.StateCanceled || !now.Filed || r.tree("failed/" + s.FolderName())[name+".csv"] != goodCSV {
				t.Errorf("%+v\n%s", now, r.log)
			}
			r.control(name+"."+string(s.ID)+".resume", "")
			if text := r.failedControl(name + "." + string(s.ID) + ".resume"); !strings.Contains(text, "is canceled already") {
				t.Errorf("%q", text)
			}
			if diff := cmp.Diff([]string{acceptedFolder, doneFolder, failedFolder}, r.names("")); diff != "" {
				t.Error(diff)
			}
			if left := r.names(acceptedFolder); len(left) > 0 {
				t.Error("left:", left)
			}
		})
	}
}

// No descriptor stays open, whatever becomes of a drop.
func TestNoDescriptorStaysOpen(t *testing.T) {
	r := newRig(t, "", "")
	open := func() int {
		t.Helper()
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	all := func(i string) {
		r.drop("good"+i, goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "resend": true}`)
		r.drop("bad"+i, goodCSV+",x\n", "{", goodSidecar)
		r.drop("rows"+i, goodCSV+",x\n", goodLayout, goodSidecar)
		r.drop("quote"+i, goodCSV+",x\n\"", goodLayout, `{"applicationId": 1, "campaignId": 7, "bytes": 50}`)
		r.drop("waits"+i, goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "rows": 9}`)
		r.meddle(func() { r.write(filepath.Join(folder(r.sendings()[0]), "turned"+i+".csv"), goodCSV+",x\n") })
		r.drop("turned"+i, goodCSV+",x\n", goodLayout, goodSidecar)
		r.in.Configure(r.checker())
		r.control("x"+i+".suppress.csv", "contactCode\n1\n")
	}
	all("first")
	before := open()
	for _, i := range []string{"a", "b", "c", "d", "e"} {
		all(i)
	}
	if after := open(); after > before {
		t.Errorf("%d descriptors are open, and were %d", after, before)
	}
	r.balanced()
}

// A store that can't be written to leaves every file where it is.
func TestStoreAway(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	r.in.Ready(r.seen("spring"))
	r.in.Incomplete(r.seen("spring"))
	r.write(filepath.Join(r.inbox, "spring.cancel"), "")
	r.in.Control(r.controlSeen("spring.cancel"))
	r.write(filepath.Join(r.inbox, "x.suppress.csv"), "contactCode\n1\n")
	r.in.Control(r.controlSeen("x.suppress.csv"))
	r.work()
	if err := r.in.Recover(); err == nil {
		t.Error("recovered without a store")
	}
	if diff := cmp.Diff([]string{"accepted", "done", "failed", "spring.cancel", "spring.csv", "spring.layout.json", "spring.schedule.json", "x.suppress.csv"},
		r.names("")); diff != "" {
		t.Error(diff)
	}
	if left := append(r.names(failedFolder), r.names(acceptedFolder)...); len(left) > 0 {
		t.Error("left:", left)
	}
	if errs := r.log.lines("level=ERROR"); len(errs) != 3 {
		t.Errorf("%q", errs)
	}
	r.open()
	r.in.Ready(r.seen("spring"))
	r.work()
	if s := r.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
}

// A store that goes away in the midst of a check leaves a claim that is tried again.
func TestStoreAwayWhileChecking(t *testing.T) {
	r := newRig(t, "", "")
	r.meddle(func() {
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	r.in.Ready(r.seen("spring"))
	r.work()
	r.clock = r.clock.Add(time.Minute)
	r.again()
	r.open()
	if err := r.in.Recover(); err != nil {
		t.Fatal(err)
	}
	r.work()
	if all, err := r.store.Sendings(store.Filter{}); err != nil || len(all) != 1 || all[0].State != campaign.StateScheduled {
		t.Errorf("%+v %v", all, err)
	}
	r.balanced()
}
