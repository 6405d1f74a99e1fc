package intake

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
	"campaignd/internal/send"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// control drops a control file and has it obeyed.
func (r *rig) control(file, text string) {
	r.t.Helper()
	r.write(filepath.Join(r.inbox, file), text)
	r.in.Control(r.controlSeen(file))
	r.work()
}

// controlSeen is a control file as the watcher would hand it over.
func (r *rig) controlSeen(file string) watch.Control {
	r.t.Helper()
	info, err := os.Lstat(filepath.Join(r.inbox, file))
	if err != nil {
		r.t.Fatal(err)
	}
	n := watch.ParseName(file)
	return watch.Control{Inbox: r.inbox, Name: n.Base, ID: n.ID, Action: n.Action, FirstSeen: r.clock,
		File: watch.File{Name: file, ID: safeio.FileID(info)}}
}

// failedControl is the report beside a control file in failed/; "" if there is none.
func (r *rig) failedControl(file string) string {
	r.t.Helper()
	for name, text := range r.tree(failedFolder) {
		if strings.HasPrefix(name, file+".") && strings.HasSuffix(name, ".report.txt") {
			if _, moved := r.tree(failedFolder)[strings.TrimSuffix(name, ".report.txt")]; !moved {
				r.t.Errorf("%s has a report and is not beside it", file)
			}
			return text
		}
	}
	return ""
}

func TestControlFiles(t *testing.T) {
	r := newRig(t, "", "")
	s := r.good("spring")
	state := func(want campaign.State) {
		t.Helper()
		now, err := r.store.Header(s.ID)
		if err != nil || now.State != want {
			t.Fatalf("it is %s, want %s, %v\n%s", now.State, want, err, r.log)
		}
	}
	r.control("spring.pause", "")
	state(campaign.StatePaused)
	r.control("spring.pause", "") // once more: nothing to do, and no name is overwritten
	state(campaign.StatePaused)
	r.control("spring.resume", "")
	state(campaign.StateScheduled)
	r.control("spring.resume", "")
	state(campaign.StateScheduled)
	r.control("spring."+string(s.ID)+".PAUSE", "")
	state(campaign.StatePaused)
	r.control("spring."+string(s.ID)+".cancel", "")
	state(campaign.StateCanceled)
	if diff := cmp.Diff([]string{acceptedFolder, doneFolder, failedFolder}, r.names("")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pause", "resume", "pause", "cancel"}, actions(r.steering.calls)); diff != "" {
		t.Error(diff)
	}
	r.in.Changed(s.ID)
	r.clerk()
	r.control("spring.cancel", "") // it is canceled already: the file goes to the others
	now := r.newest("spring")
	if !now.Filed {
		t.Fatalf("%+v", now)
	}
	files := r.names("failed/" + now.FolderName())
	for _, want := range []string{"spring.pause", "spring.pause.2", "spring.resume", "spring.resume.2", "spring." + string(s.ID) + ".PAUSE",
		"spring." + string(s.ID) + ".cancel", "spring.cancel"} {
		if !strings.Contains(strings.Join(files, " ")+" ", want+" ") {
			t.Errorf("%s is not in %v", want, files)
		}
	}
	r.control("spring.pause", "")
	has(t, r.failedControl("spring.pause"), "spring.pause was not obeyed: sending "+string(s.ID)+" is canceled already: it can't be changed any more.\n")
	var audit []string
	if err := r.store.EachAudit(time.Time{}, func(e store.AuditEntry) error { audit = append(audit, e.Action); return nil }); err != nil {
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

// A control file acts on its own inbox's sendings alone (SPEC 12, promise 4).
func TestControlFilesOfOthers(t *testing.T) {
	r := newRig(t, "", "")
	other := filepath.Join(r.dir, "other")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	r.config.Inboxes = append(r.config.Inboxes, r.config.Inboxes[0])
	r.config.Inboxes[1].Path = other
	s := r.good("spring")
	mine := r.inbox
	r.inbox = other
	if err := MakeFolders(other); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"spring.cancel", "spring." + string(s.ID) + ".cancel", "winter." + string(s.ID) + ".cancel"} {
		r.control(file, "")
		has(t, r.failedControl(file), file+" was not obeyed: this inbox has had no drop of that name")
	}
	r.inbox = mine
	r.control("winter."+string(s.ID)+".cancel", "") // the id is right, the name isn't
	has(t, r.failedControl("winter."+string(s.ID)+".cancel"), "this inbox has had no drop of that name (and id)")
	if len(r.steering.calls) > 0 {
		t.Error(r.steering.calls)
	}
}

// What is asked of a drop before it is accepted is done at that moment: nothing of it
// goes out until the next scan.
func TestControlBeforeItsDropIsAccepted(t *testing.T) {
	t.Run("being checked", func(t *testing.T) {
		r := newRig(t, "", "")
		r.meddle(func() {
			r.write(filepath.Join(r.inbox, "spring.cancel"), "")
			r.in.Control(r.controlSeen("spring.cancel"))
			do, done, ok := r.in.small.pop()
			if !ok {
				t.Error("it isn't queued")
				return
			}
			defer done()
			if err := do(t.Context()); err != nil {
				t.Error(err)
			}
		})
		s := r.drop("spring", goodCSV, goodLayout, goodSidecar)
		if s.State != campaign.StateCanceled {
			t.Fatalf("%+v\n%s", s, r.log)
		} else if _, there := r.tree("failed/" + s.FolderName())["spring.cancel"]; !there || r.accepted[0] != s.ID {
			t.Errorf("%v\n%s", r.names("failed/"+s.FolderName()), r.log)
		}
	})
	t.Run("in the inbox", func(t *testing.T) {
		r := newRig(t, "", "")
		ended := r.good("spring") // an ended one of the same name doesn't catch it
		r.sendAll(ended.ID)
		csv := goodCSV + "1,x\n"
		r.put("spring", csv, goodLayout, goodSidecar)
		r.control("spring.pause", "")
		r.control("spring.pause", "")
		if len(r.steering.calls) > 0 || r.failedControl("spring.pause") != "" {
			t.Fatalf("%v\n%s", r.steering.calls, r.log)
		}
		if s := r.drop("spring", csv, goodLayout, goodSidecar); s.State != campaign.StatePaused || len(r.steering.calls) != 1 {
			t.Fatalf("%+v\n%s", s, r.log)
		}
	})
	t.Run("in the inbox, however its files are spelled", func(t *testing.T) {
		r := newRig(t, "", "")
		r.write(filepath.Join(r.inbox, "spring.20260302-000009.CSV"), goodCSV)
		for _, file := range []string{"spring.20260302-000009.pause", "winter.pause"} {
			r.write(filepath.Join(r.inbox, file), "")
			c := r.controlSeen(file)
			c.Beside, c.WholeBeside = c.ID == "", c.ID != ""
			r.in.Control(c)
			r.work()
			if len(r.steering.calls) > 0 || r.failedControl(file) != "" {
				t.Fatalf("%s: %v\n%s", file, r.steering.calls, r.log)
			}
		}
	})
	t.Run("a drop that never comes", func(t *testing.T) {
		r := newRig(t, "", "")
		r.put("spring", goodCSV, "", "")
		r.write(filepath.Join(r.inbox, "spring.cancel"), "")
		c := r.controlSeen("spring.cancel")
		r.in.Control(c)
		r.work()
		if r.failedControl("spring.cancel") != "" {
			t.Fatal("refused too early")
		}
		if err := os.Remove(filepath.Join(r.inbox, "spring.csv")); err != nil {
			t.Fatal(err)
		}
		r.in.Control(c)
		r.work()
		has(t, r.failedControl("spring.cancel"), "this inbox has had no drop of that name")
		r.again()
		if len(r.in.controls) > 0 {
			t.Error("it is kept for ever")
		}
	})
}

// A pause is obeyed before the resume that came after it, whatever the workers do.
func TestControlFilesInOrder(t *testing.T) {
	r := newRig(t, "", "")
	s := r.good("spring")
	for _, file := range []string{"spring.pause", "spring.resume"} {
		r.write(filepath.Join(r.inbox, file), "")
		r.in.Control(r.controlSeen(file))
	}
	r.work()
	if now, _ := r.store.Header(s.ID); now.State != campaign.StatePaused {
		t.Errorf("it is %s", now.State)
	}
	r.in.Control(r.controlSeen("spring.resume")) // the next scan
	r.work()
	if now, _ := r.store.Header(s.ID); now.State != campaign.StateScheduled {
		t.Errorf("it is %s", now.State)
	}
}

// What fails for the machine's reasons is not the partner's fault: the file stays and
// is met again.
func TestControlFileWhileTheMachineFails(t *testing.T) {
	r := newRig(t, "", "")
	s := r.good("spring")
	r.steering.err = errors.New("disk full")
	r.control("spring.cancel", "")
	if r.failedControl("spring.cancel") != "" || r.tree("")["spring.cancel"] != "" || len(r.log.lines("disk full")) != 1 {
		t.Errorf("%v\n%s", r.names(""), r.log)
	}
	r.steering.err = send.ErrState // it has ended at this very moment
	r.in.Control(r.controlSeen("spring.cancel"))
	r.work()
	has(t, r.failedControl("spring.cancel"), "spring.cancel was not obeyed: not possible in this state.")
	if now, _ := r.store.Header(s.ID); now.State != campaign.StateScheduled {
		t.Errorf("it is %s", now.State)
	}
}

// Two refused control files of one name within a second both stay.
func TestRefusedControlFilesKeepTheirNames(t *testing.T) {
	r := newRig(t, "", "")
	r.control("x.cancel", "first")
	r.control("x.cancel", "second")
	kept := 0
	for name, text := range r.tree(failedFolder) {
		if !strings.HasSuffix(name, ".report.txt") && (text == "first" || text == "second") {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%v", r.names(failedFolder))
	}
	// The first has its own name, as the partner looks for it.
	if r.tree(failedFolder)["x.cancel"] != "first" || r.tree(failedFolder)["x.cancel.report.txt"] == "" {
		t.Errorf("%v", r.names(failedFolder))
	}
}
