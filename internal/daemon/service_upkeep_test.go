package daemon

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/service"
)

// TestServiceLooksAfterItself covers status, readiness, doctor, timeline and backup.
func TestServiceLooksAfterItself(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "windows = [\"* 8-19 * * *\"]\ntimezone = \"UTC\"\nname = \"Shop\"", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 150, "scheduleAt", at(12, 0))
		w.drop("waits", 10, "rows", 11)
		w.wait(time.Minute)
		d, ctx := w.running, context.Background()

		status, err := d.Status(ctx)
		w.check(err)
		inbox := status.Inboxes[0]
		switch {
		case status.Version != "test":
			t.Errorf(`status.Version: got %q, want "test"`, status.Version)
		case status.Sendings[campaign.StateScheduled] != 1:
			t.Errorf("status.Sendings[campaign.StateScheduled]: got %v, want 1", status.Sendings[campaign.StateScheduled])
		case status.Queue.Pending != 150:
			t.Errorf("status.Queue.Pending: got %v, want 150", status.Queue.Pending)
		case !status.Queue.NextAt.Equal(at(12, 0)):
			t.Errorf("status.Queue.NextAt: got %v, want %v", status.Queue.NextAt, at(12, 0))
		case len(inbox.Waits) != 1:
			t.Errorf("len(inbox.Waits): got %v, want 1: %+v", len(inbox.Waits), inbox.Waits)
		case !strings.HasPrefix(inbox.Waits[0].Reason, "the CSV has 10 data rows, the schedule says 11"):
			t.Errorf("inbox.Waits[0].Reason: got %q, want the prefix %q", inbox.Waits[0].Reason, "the CSV has 10 data rows, the schedule says 11")
		case inbox.Waiting != 1:
			t.Errorf("inbox.Waiting: got %v, want 1", inbox.Waiting)
		case inbox.Problem != "":
			t.Errorf("inbox.Problem: got %q, want none", inbox.Problem)
		case len(status.Channels) != 1:
			t.Errorf("len(status.Channels): got %v, want 1: %+v", len(status.Channels), status.Channels)
		case status.Channels[0].Driver != "webhook":
			t.Errorf(`status.Channels[0].Driver: got %q, want "webhook"`, status.Channels[0].Driver)
		case status.Store.DiskFree == 0:
			t.Error("status.Store.DiskFree: got 0")
		case status.Slots[0].Capacity != 100:
			t.Errorf("status.Slots[0].Capacity: got %v, want 100", status.Slots[0].Capacity)
		}
		for _, c := range d.Ready(ctx) {
			if !c.OK {
				t.Errorf("%+v", c)
			}
		}
		findings, err := d.Doctor(ctx, true)
		w.check(err)
		for _, f := range findings {
			if f.Level == api.LevelFail {
				t.Errorf("%+v", f)
			}
		}
		w.write("campaigns/broken.json", "{")
		w.check(os.Rename(filepath.Join(w.dir, "in"), filepath.Join(w.dir, "away")))
		w.wait(time.Minute)
		findings, err = d.Doctor(ctx, false)
		w.check(err)
		var wrong []string
		for _, f := range findings {
			if f.Level == api.LevelFail {
				wrong = append(wrong, f.Check)
			}
			if want := "make the folder "; f.Check == "inbox" && !strings.HasPrefix(f.Advice, want) {
				t.Errorf("the advice on a missing inbox is %q, want it to begin with %q", f.Advice, want)
			}
		}
		if diff := cmp.Diff([]string{"inbox", "campaigns"}, wrong); diff != "" {
			t.Errorf("%s\n%+v", diff, findings)
		}
		if ready := d.Ready(ctx); !slices.ContainsFunc(ready, func(c api.Check) bool { return !c.OK && strings.HasPrefix(c.Name, "inbox") }) {
			t.Errorf("%+v", ready)
		}
		w.check(os.Rename(filepath.Join(w.dir, "away"), filepath.Join(w.dir, "in")))

		line, err := d.Timeline(ctx, 0, 0)
		w.check(err)
		one := line.Applications[0]
		switch {
		case one.Name != "Shop":
			t.Errorf(`one.Name: got %q, want "Shop"`, one.Name)
		case len(one.Slots) != 2:
			t.Errorf("len(one.Slots): got %v, want 2: %+v", len(one.Slots), one.Slots)
		case one.Slots[0].Reserved != 100:
			t.Errorf("one.Slots[0].Reserved: got %v, want 100", one.Slots[0].Reserved)
		case one.Slots[0].Shares[0].ID != w.id("spring"):
			t.Errorf("one.Slots[0].Shares[0].ID: got %v, want %v", one.Slots[0].Shares[0].ID, w.id("spring"))
		case len(one.Sendings) != 1:
			t.Errorf("len(one.Sendings): got %v, want 1: %+v", len(one.Sendings), one.Sendings)
		case one.Sendings[0].Messages != 150:
			t.Errorf("one.Sendings[0].Messages: got %v, want 150", one.Sendings[0].Messages)
		case one.Sendings[0].Slots != 2:
			t.Errorf("one.Sendings[0].Slots: got %v, want 2", one.Sendings[0].Slots)
		case len(one.Closed) == 0:
			t.Error("len(one.Closed): got 0")
		case !one.Closed[0].Start.Equal(at(20, 0)):
			t.Errorf("one.Closed[0].Start: got %v, want %v", one.Closed[0].Start, at(20, 0))
		}
		_, err = d.Timeline(ctx, 9, 0)
		wantCode(t, err, api.CodeNotFound, "there is no application 9")
		booked, err := d.Reserved(ctx, 1, at(12, 0), at(13, 0))
		w.check(err)
		switch {
		case booked.SlotSeconds != 600:
			t.Errorf("booked.SlotSeconds = %v, want 600", booked.SlotSeconds)
		case len(booked.Slots) != 2:
			t.Errorf("len(booked.Slots) = %v, want 2", len(booked.Slots))
		case booked.Slots[1].Reserved != 50:
			t.Errorf("booked.Slots[1].Reserved = %v, want 50", booked.Slots[1].Reserved)
		}
		_, err = d.Reserved(ctx, 9, at(12, 0), at(13, 0))
		wantCode(t, err, api.CodeNotFound)

		var copied bytes.Buffer
		w.check(d.Backup(ctx, &copied))
		if copied.Len() == 0 {
			t.Error("the backup is empty")
		}
	})
}

// TestNotReadyWithoutItsStore: readiness reports a store that can't be written, until it can be written again.
func TestNotReadyWithoutItsStore(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = false`), func(t *testing.T, w *harness) {
		w.start()
		ctx, file := context.Background(), filepath.Join(w.dir, "var", service.StoreName)
		ready := func() string {
			for _, c := range w.running.Ready(ctx) {
				if c.Name == "store" {
					return c.Message
				}
			}
			return "not checked"
		}
		list := []api.OptOut{{ApplicationID: 1, ContactCode: "34666777888"}}
		w.check(os.Rename(file, file+".away"))
		if _, err := w.running.AddOptOuts(ctx, list, "user:ada"); err == nil {
			t.Error("it wrote into a store that isn't there")
		}
		if got := ready(); !strings.Contains(got, service.StoreName) {
			t.Errorf("ready says %q of its store", got)
		}
		w.check(os.Rename(file+".away", file))
		if _, err := w.running.AddOptOuts(ctx, list, "user:ada"); err != nil {
			t.Error(err)
		}
		if got := ready(); got != "" {
			t.Errorf("ready still says %q", got)
		}
	})
}

// TestReloadChangesWhatRuns: a good configuration is in force at once, a bad one never.
func TestReloadChangesWhatRuns(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = false`), func(t *testing.T, w *harness) {
		w.start()
		d, ctx := w.running, context.Background()
		file := filepath.Join(w.dir, "campaignd.toml")
		text, err := os.ReadFile(file)
		w.check(err)
		w.check(os.Mkdir(filepath.Join(w.dir, "second"), 0o755))
		w.write("campaignd.toml", string(text)+shop(2, "", `enabled = false`)+"[[inboxes]]\npath = \""+filepath.Join(w.dir, "second")+"/\"\n")
		w.check(d.Reload(ctx, "user:ada"))
		w.drop("spring", 5, "applicationId", 2, "campaignId", 1)
		w.wait(time.Minute)
		w.state("spring", campaign.StateCompleted)
		status, err := d.Status(ctx)
		w.check(err)
		switch {
		case len(status.Inboxes) != 2:
			t.Errorf("len(status.Inboxes) = %v, want 2: %+v", len(status.Inboxes), status.Inboxes)
		case status.Inboxes[1].LastScan.IsZero():
			t.Error("status.Inboxes[1].LastScan is zero")
		}

		trail, err := d.Audit(ctx, api.AuditFilter{Limit: 1})
		w.check(err)
		switch {
		case len(trail) != 1:
			t.Errorf("len(trail): got %v, want 1: %+v", len(trail), trail)
		case trail[0].Who != "user:ada":
			t.Errorf(`trail[0].Who: got %q, want "user:ada"`, trail[0].Who)
		case trail[0].Action != "reload":
			t.Errorf(`trail[0].Action: got %q, want "reload"`, trail[0].Action)
		case trail[0].Detail != file:
			t.Errorf("trail[0].Detail: got %v, want %v", trail[0].Detail, file)
		}

		w.write("campaignd.toml", string(text)+"nonsense = 1\n")
		err = d.Reload(ctx, "user:ada")
		wantCode(t, err, api.CodeInvalid, "the old one stays in force")
		switch e, ok := errors.AsType[*api.Error](err); {
		case !ok:
			t.Error("ok = false, want true")
		case len(e.Problems) != 1:
			t.Errorf("len(e.Problems) = %v, want 1", len(e.Problems))
		}
		if status, err = d.Status(ctx); err != nil || !strings.Contains(status.ConfigProblem, "nonsense") {
			t.Errorf("%q %v", status.ConfigProblem, err)
		}
		w.drop("still", 5, "applicationId", 2, "campaignId", 1)
		w.wait(time.Minute)
		w.state("still", campaign.StateCompleted)

		w.write("campaignd.toml", string(text)) // the second inbox and application go away
		w.check(d.Reload(ctx, "user:ada"))
		switch status, err = d.Status(ctx); {
		case err != nil:
			t.Error(err)
		case len(status.Inboxes) != 1:
			t.Errorf("len(status.Inboxes) = %v, want 1", len(status.Inboxes))
		case status.ConfigProblem != "":
			t.Errorf("status.ConfigProblem = %q, want none", status.ConfigProblem)
		}
		w.drop("gone", 5, "applicationId", 2, "campaignId", 1)
		w.wait(time.Minute)
		w.state("gone", campaign.StateRejected)
		if text := w.text("gone"); !strings.Contains(text, "there is no application 2; this inbox may send for: 1") {
			t.Error(text)
		}
	})
}
