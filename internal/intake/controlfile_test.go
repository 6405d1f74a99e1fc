package intake

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/send"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// control drops a control file and has it obeyed.
func (h *harness) control(file, text string) {
	h.t.Helper()
	h.write(filepath.Join(h.inbox, file), text)
	h.in.Control(h.controlSeen(file))
	h.work()
}

// controlSeen returns a control file as the watcher hands it over.
func (h *harness) controlSeen(file string) watch.Control {
	h.t.Helper()
	info, err := os.Lstat(filepath.Join(h.inbox, file))
	if err != nil {
		h.t.Fatal(err)
	}
	n := watch.ParseName(file)
	return watch.Control{Inbox: h.inbox, Name: n.Base, ID: n.ID, Action: n.Action, FirstSeen: h.clock,
		File: watch.File{Name: file, ID: safeio.FileID(info)}}
}

// failedControl returns the report on a control file in failed/, or "".
func (h *harness) failedControl(file string) string {
	h.t.Helper()
	for name, text := range h.tree(folders.Failed) {
		if strings.HasPrefix(name, file+".") && strings.HasSuffix(name, ".report.txt") {
			if _, moved := h.tree(folders.Failed)[strings.TrimSuffix(name, ".report.txt")]; !moved {
				h.t.Errorf("%s has a report and is not beside it", file)
			}
			return text
		}
	}
	return ""
}

func TestControlFiles(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	state := func(want campaign.State) {
		t.Helper()
		now, err := h.store.Header(s.ID)
		if err != nil || now.State != want {
			t.Fatalf("it is %s, want %s, %v\n%s", now.State, want, err, h.log)
		}
	}
	h.control("spring.pause", "")
	state(campaign.StatePaused)
	h.control("spring.pause", "") // once more: nothing to do, and no name is overwritten
	state(campaign.StatePaused)
	h.control("spring.resume", "")
	state(campaign.StateScheduled)
	h.control("spring.resume", "")
	state(campaign.StateScheduled)
	h.control("spring."+string(s.ID)+".PAUSE", "")
	state(campaign.StatePaused)
	h.control("spring."+string(s.ID)+".cancel", "")
	state(campaign.StateCanceled)
	if diff := cmp.Diff([]string{folders.Accepted, folders.Done, folders.Failed}, h.names("")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pause", "resume", "pause", "cancel"}, actions(h.dispatcher.calls)); diff != "" {
		t.Error(diff)
	}
	h.keeper.Changed(s.ID)
	h.updateFolders()
	h.control("spring.cancel", "") // it is canceled already: the file goes to the others
	now := h.newest("spring")
	if !now.Filed {
		t.Fatalf("%+v", now)
	}
	files := h.names("failed/" + now.FolderName())
	for _, want := range []string{"spring.pause", "spring.pause.2", "spring.resume", "spring.resume.2", "spring." + string(s.ID) + ".PAUSE",
		"spring." + string(s.ID) + ".cancel", "spring.cancel"} {
		if !strings.Contains(strings.Join(files, " ")+" ", want+" ") {
			t.Errorf("%s is not in %v", want, files)
		}
	}
	h.control("spring.pause", "")
	wantParts(t, h.failedControl("spring.pause"), "spring.pause was not obeyed: sending "+string(s.ID)+" is canceled already: it can't be changed any more.\n")
	var audit []string
	if err := h.store.EachAudit(time.Time{}, func(e store.AuditEntry) error { audit = append(audit, e.Action); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pause", "resume", "resume", "pause", "cancel"}, audit); diff != "" {
		t.Error(diff)
	}
}

func actions(calls []string) []string {
	var list []string
	for _, c := range calls {
		action, _, _ := strings.Cut(c, " ")
		list = append(list, action)
	}
	return list
}

// A control file acts only on its own inbox's sendings (docs/contract.md 12, promise 4).
func TestControlFilesOfOthers(t *testing.T) {
	h := newHarness(t, "", "")
	other := filepath.Join(h.dir, "other")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	h.config.Inboxes = append(h.config.Inboxes, h.config.Inboxes[0])
	h.config.Inboxes[1].Path = other
	s := h.good("spring")
	mine := h.inbox
	h.inbox = other
	if err := h.in.inboxes.Ensure(other); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"spring.cancel", "spring." + string(s.ID) + ".cancel", "winter." + string(s.ID) + ".cancel"} {
		h.control(file, "")
		wantParts(t, h.failedControl(file), file+" was not obeyed: this inbox has had no drop of that name")
	}
	h.inbox = mine
	h.control("winter."+string(s.ID)+".cancel", "") // the id is right, the name isn't
	wantParts(t, h.failedControl("winter."+string(s.ID)+".cancel"), "this inbox has had no drop of that name (and id)")
	if len(h.dispatcher.calls) > 0 {
		t.Error(h.dispatcher.calls)
	}
}

func TestRefusedControlFileNamesTheClosestDrop(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	want := fmt.Sprintf(`the closest is "spring" (%s).`, s.ID)
	for _, file := range []string{"sprng.cancel", "Spring.cancel", "spring (1).pause", "spring.csv.cancel", "spring.20261124-999999.cancel"} {
		h.control(file, "")
		wantParts(t, h.failedControl(file), want)
	}
	h.control("autumn.cancel", "") // no drop of the inbox is near
	if got := h.failedControl("autumn.cancel"); strings.Contains(got, "closest") {
		t.Errorf("a name that is near to nothing gets %q, want no name offered", got)
	}
}

// A control file that comes before acceptance is obeyed at acceptance, before anything is sent.
func TestControlBeforeItsDropIsAccepted(t *testing.T) {
	t.Run("being checked", func(t *testing.T) {
		h := newHarness(t, "", "")
		h.hookCheck(func() {
			h.write(filepath.Join(h.inbox, "spring.cancel"), "")
			h.in.Control(h.controlSeen("spring.cancel"))
			do, done, ok := h.in.queue.small.pop()
			if !ok {
				t.Error("it isn't queued")
				return
			}
			defer done()
			if err := do(t.Context()); err != nil {
				t.Error(err)
			}
		})
		s := h.drop("spring", goodCSV, goodLayout, goodSidecar)
		if s.State != campaign.StateCanceled {
			t.Fatalf("%+v\n%s", s, h.log)
		} else if _, there := h.tree("failed/" + s.FolderName())["spring.cancel"]; !there || h.accepted[0] != s.ID {
			t.Errorf("%v\n%s", h.names("failed/"+s.FolderName()), h.log)
		}
	})
	t.Run("taken back while it is being checked", func(t *testing.T) {
		h := newHarness(t, "", "")
		h.hookCheck(func() {
			file := filepath.Join(h.inbox, "spring.cancel")
			h.write(file, "")
			h.in.Control(h.controlSeen("spring.cancel"))
			do, done, ok := h.in.queue.small.pop()
			if !ok {
				t.Error("it isn't queued")
				return
			}
			defer done()
			if err := do(t.Context()); err != nil {
				t.Error(err)
			}
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		})
		s := h.drop("spring", goodCSV, goodLayout, goodSidecar)
		if s.State != campaign.StateScheduled {
			t.Errorf("the sending is %s, want %s\n%s", s.State, campaign.StateScheduled, h.log)
		}
	})
	t.Run("in the inbox", func(t *testing.T) {
		h := newHarness(t, "", "")
		ended := h.good("spring") // an ended one of the same name doesn't catch it
		h.sendAll(ended.ID)
		csv := goodCSV + "1,x\n"
		h.put("spring", csv, goodLayout, goodSidecar)
		h.control("spring.pause", "")
		h.control("spring.pause", "")
		switch {
		case len(h.dispatcher.calls) > 0:
			t.Fatalf("len(h.dispatcher.calls) = %v, want 0: %+v\n%s", len(h.dispatcher.calls), h.dispatcher.calls, h.log)
		case h.failedControl("spring.pause") != "":
			t.Fatalf("h.failedControl(\"spring.pause\") = %q, want none\n%s", h.failedControl("spring.pause"), h.log)
		}
		switch s := h.drop("spring", csv, goodLayout, goodSidecar); {
		case s.State != campaign.StatePaused:
			t.Fatalf("s.State = %q, want %q\n%+v\n%s", s.State, campaign.StatePaused, s, h.log)
		case len(h.dispatcher.calls) != 1:
			t.Fatalf("len(h.dispatcher.calls) = %v, want 1\n%s", len(h.dispatcher.calls), h.log)
		}
	})
	t.Run("in the inbox, however its files are spelled", func(t *testing.T) {
		h := newHarness(t, "", "")
		h.write(filepath.Join(h.inbox, "spring.20260302-000009.CSV"), goodCSV)
		for _, file := range []string{"spring.20260302-000009.pause", "winter.pause"} {
			h.write(filepath.Join(h.inbox, file), "")
			c := h.controlSeen(file)
			c.Beside, c.WholeBeside = c.ID == "", c.ID != ""
			h.in.Control(c)
			h.work()
			switch {
			case len(h.dispatcher.calls) > 0:
				t.Fatalf("%s: len(h.dispatcher.calls) = %v, want 0: %+v\n%s", file, len(h.dispatcher.calls), h.dispatcher.calls, h.log)
			case h.failedControl(file) != "":
				t.Fatalf("%s: h.failedControl(file) = %q, want none\n%s", file, h.failedControl(file), h.log)
			}
		}
	})
	t.Run("a drop that never comes", func(t *testing.T) {
		h := newHarness(t, "", "")
		h.put("spring", goodCSV, "", "")
		h.write(filepath.Join(h.inbox, "spring.cancel"), "")
		c := h.controlSeen("spring.cancel")
		h.in.Control(c)
		h.work()
		if h.failedControl("spring.cancel") != "" {
			t.Fatal("refused too early")
		}
		if err := os.Remove(filepath.Join(h.inbox, "spring.csv")); err != nil {
			t.Fatal(err)
		}
		h.in.Control(c)
		h.work()
		wantParts(t, h.failedControl("spring.cancel"), "this inbox has had no drop of that name")
		h.retryAll()
		if _, kept := h.in.drops.inInbox(""); len(kept) > 0 {
			t.Error("it is kept for ever")
		}
	})
}

// A pause is obeyed before the resume that came after it, whatever the workers do.
func TestControlFilesInOrder(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	for _, file := range []string{"spring.pause", "spring.resume"} {
		h.write(filepath.Join(h.inbox, file), "")
		h.in.Control(h.controlSeen(file))
	}
	h.work()
	if now, _ := h.store.Header(s.ID); now.State != campaign.StatePaused {
		t.Errorf("it is %s", now.State)
	}
	h.in.Control(h.controlSeen("spring.resume")) // the next scan
	h.work()
	if now, _ := h.store.Header(s.ID); now.State != campaign.StateScheduled {
		t.Errorf("it is %s", now.State)
	}
}

// A fault of the machine leaves the control file in the inbox, to be obeyed later.
func TestControlFileWhileTheMachineFails(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	h.dispatcher.err = errors.New("disk full")
	h.control("spring.cancel", "")
	if h.failedControl("spring.cancel") != "" {
		t.Errorf("h.failedControl(\"spring.cancel\") = %q, want none", h.failedControl("spring.cancel"))
	}
	if h.tree("")["spring.cancel"] != "" {
		t.Errorf("h.tree(\"\")[\"spring.cancel\"] = %q, want none", h.tree("")["spring.cancel"])
	}
	if len(h.log.lines("disk full")) != 1 {
		t.Errorf("len(h.log.lines(\"disk full\")) = %v, want 1", len(h.log.lines("disk full")))
	}
	h.dispatcher.err = send.ErrState // it has ended at this very moment
	h.in.Control(h.controlSeen("spring.cancel"))
	h.work()
	wantParts(t, h.failedControl("spring.cancel"), "spring.cancel was not obeyed: not possible in this state.")
	if now, _ := h.store.Header(s.ID); now.State != campaign.StateScheduled {
		t.Errorf("it is %s", now.State)
	}
}

// Two refused control files of one name within a second both stay.
func TestRefusedControlFilesKeepTheirNames(t *testing.T) {
	h := newHarness(t, "", "")
	h.control("x.cancel", "first")
	h.control("x.cancel", "second")
	kept := 0
	for name, text := range h.tree(folders.Failed) {
		if !strings.HasSuffix(name, ".report.txt") && (text == "first" || text == "second") {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%v", h.names(folders.Failed))
	}
	// The first has its own name, as the partner looks for it.
	if h.tree(folders.Failed)["x.cancel"] != "first" {
		t.Errorf("h.tree(folders.Failed)[\"x.cancel\"] = %q, want \"first\"", h.tree(folders.Failed)["x.cancel"])
	}
	if h.tree(folders.Failed)["x.cancel.report.txt"] == "" {
		t.Error("h.tree(folders.Failed)[\"x.cancel.report.txt\"] is empty")
	}
}

// An empty NAME.results writes the results so far. It is no state, so it can be repeated.
func TestResultsSoFarByFile(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	for _, outcome := range []campaign.Outcome{campaign.InFlight, campaign.Sent} {
		e := campaign.Entry{Sending: s.ID, Message: 1, Outcome: outcome, Attempts: 1, At: h.clock}
		if err := h.store.Commit(t.Context(), []campaign.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		h.control("spring.results", "")
	}
	files := h.tree(folders.Accepted + "/" + s.FolderName())
	wantParts(t, files["results.partial.csv"], "2,34666777888,cloud_api,1,sent,", "3,34666555666,cloud_api,1,pending,")
	for _, file := range []string{"spring.results", "spring.results.2"} {
		if _, moved := files[file]; !moved {
			t.Errorf("%s isn't in the sending's folder", file)
		}
	}
	h.control("spring.cancel", "")
	if _, _, err := h.store.Finalize(s.ID, campaign.Canceled); err != nil {
		t.Fatal(err)
	}
	h.keeper.Changed(s.ID)
	h.updateFolders()
	h.control("spring.results", "")
	for name := range h.tree("") {
		if strings.HasSuffix(name, "results.partial.csv") {
			t.Errorf("%s is left beside results.csv", name)
		}
	}
	if text := h.failedControl("spring.results"); text != "" {
		t.Errorf("after the end: %s", text)
	}

	rejected := h.drop("bad", "phone,first\n1\n", goodLayout, goodSidecar)
	h.control("bad.results", "")
	wantParts(t, h.failedControl("bad.results"), "sending "+string(rejected.ID)+" is rejected and has no results")
}
