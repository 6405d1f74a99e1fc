package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/store"
)

// Whatever a name contains, the drop, its control files and reports go to the right
// folders and nothing else is touched.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{
		strings.Repeat("é", 100), // 200 bytes
		"a b", "-rf", "$(id)", "`id`", "a;b|c&d", "%s%d%n", "..", "...", "~", "*", "spring.csv", "spring.layout.json", "done",
		"spring.20260302-000001", "\u202eflip", "日本語", `quote"s'`, `back\slash`, "CON", "report.txt",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "", "")
			if strings.HasPrefix(name, ".") {
				t.Skip("the watcher ignores hidden files") // ".." + ".csv" is one
			}
			s := h.good(name)
			h.control(name+".pause", "")
			if now := h.header(s.ID); now.State != campaign.StatePaused {
				t.Errorf("it is %s\n%s", now.State, h.log)
			}
			h.control(name+"."+string(s.ID)+".cancel", "")
			h.keeper.Changed(s.ID)
			h.updateFolders()
			now := h.header(s.ID)
			if now.State != campaign.StateCanceled {
				t.Errorf("now.State = %q, want %q\n%+v\n%s", now.State, campaign.StateCanceled, now, h.log)
			}
			if !now.Filed {
				t.Errorf("now.Filed = false, want true\n%s", h.log)
			}
			if h.tree("failed/" + s.FolderName())[name+".csv"] != goodCSV {
				t.Errorf("h.tree(\"failed/\" + s.FolderName())[name+\".csv\"] = %q, want %q\n%s", h.tree("failed/" + s.FolderName())[name+".csv"], goodCSV, h.log)
			}
			h.control(name+"."+string(s.ID)+".resume", "")
			if text := h.failedControl(name + "." + string(s.ID) + ".resume"); !strings.Contains(text, "is canceled already") {
				t.Errorf("%q", text)
			}
			if diff := cmp.Diff([]string{folders.Accepted, folders.Done, folders.Failed}, h.names("")); diff != "" {
				t.Error(diff)
			}
			if left := h.names(folders.Accepted); len(left) > 0 {
				t.Error("left:", left)
			}
		})
	}
}

// No descriptor stays open, whatever happens to a drop.
func TestNoDescriptorStaysOpen(t *testing.T) {
	h := newHarness(t, "", "")
	open := func() int {
		t.Helper()
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	all := func(i string) {
		h.drop("good"+i, goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "resend": true}`)
		h.drop("bad"+i, goodCSV+",x\n", "{", goodSidecar)
		h.drop("rows"+i, goodCSV+",x\n", goodLayout, goodSidecar)
		h.drop("quote"+i, goodCSV+",x\n\"", goodLayout, `{"applicationId": 1, "campaignId": 7, "bytes": 50}`)
		h.drop("waits"+i, goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "rows": 9}`)
		h.hookCheck(func() { h.write(filepath.Join(folders.Of(h.sendings()[0]), "turned"+i+".csv"), goodCSV+",x\n") })
		h.drop("turned"+i, goodCSV+",x\n", goodLayout, goodSidecar)
		h.in.Configure(h.checker())
		h.control("x"+i+".suppress.csv", "contactCode\n1\n")
	}
	all("first")
	before := open()
	for _, i := range []string{"a", "b", "c", "d", "e"} {
		all(i)
	}
	if after := open(); after > before {
		t.Errorf("%d descriptors are open, and were %d", after, before)
	}
	h.verifyStore()
}

// A store that can't be written to leaves every file where it is.
func TestStoreAway(t *testing.T) {
	h := newHarness(t, "", "")
	if err := h.in.inboxes.Prepare(h.inbox); err != nil {
		t.Fatal(err)
	}
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	h.in.Ready(h.watchedDrop("spring"))
	h.in.Incomplete(h.watchedDrop("spring"))
	h.write(filepath.Join(h.inbox, "spring.cancel"), "")
	h.in.Control(h.controlSeen("spring.cancel"))
	h.write(filepath.Join(h.inbox, "x.suppress.csv"), "contactCode\n1\n")
	h.in.Control(h.controlSeen("x.suppress.csv"))
	h.work()
	if err := h.in.Recover(); err == nil {
		t.Error("recovered without a store")
	}
	if diff := cmp.Diff([]string{"accepted", "done", "failed", "spring.cancel", "spring.csv", "spring.layout.json", "spring.schedule.json", "x.suppress.csv"},
		h.names("")); diff != "" {
		t.Error(diff)
	}
	if left := append(h.names(folders.Failed), h.names(folders.Accepted)...); len(left) > 0 {
		t.Error("left:", left)
	}
	if errs := h.log.lines("level=ERROR"); len(errs) != 3 {
		t.Errorf("%q", errs)
	}
	h.open()
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	if s := h.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("got %+v, want State %q", s, campaign.StateScheduled)
	}
}

// A store that fails during a check leaves a claim that is retried.
func TestStoreAwayWhileChecking(t *testing.T) {
	h := newHarness(t, "", "")
	h.hookCheck(func() {
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	h.clock = h.clock.Add(time.Minute)
	h.retryAll()
	h.open()
	if err := h.in.Recover(); err != nil {
		t.Fatal(err)
	}
	h.work()
	switch all, err := h.store.Sendings(store.Filter{}); {
	case err != nil:
		t.Error(err)
	case len(all) != 1:
		t.Errorf("len(all) = %v, want 1: %+v", len(all), all)
	case all[0].State != campaign.StateScheduled:
		t.Errorf("all[0].State = %q, want %q\n%+v", all[0].State, campaign.StateScheduled, all)
	}
	h.verifyStore()
}
