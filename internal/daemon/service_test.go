package daemon

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/send"
	"campaignd/internal/store"
)

// wantCode fails the test unless err is an api.Error with that code, and says these words.
func wantCode(t *testing.T, err error, code api.Code, words ...string) {
	t.Helper()
	if err == nil || api.CodeOf(err) != code {
		t.Errorf("the error is %v, want %s", err, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in %q", word, err)
		}
	}
}

// TestServiceSteers pauses, resumes and cancels sendings as people do at a terminal.
func TestServiceSteers(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 150, "scheduleAt", at(12, 0), "reference", "order 4711")
		w.accept("winter", 20, "scheduleAt", at(12, 0))
		d, ctx, who := w.running, context.Background(), "user:ada"

		id := w.id("spring")
		for _, text := range []string{"spring", string(id)} {
			if got, err := d.Resolve(ctx, "", text); err != nil || got != id {
				t.Errorf("resolve %q: got %s, %v, want %s", text, got, err, id)
			}
		}
		_, err := d.Resolve(ctx, "", "autumn")
		wantCode(t, err, api.CodeNotFound)

		list, err := d.Sendings(ctx, api.Filter{States: []campaign.State{campaign.StateScheduled}})
		w.check(err)
		switch {
		case len(list) != 2:
			t.Errorf("len(list): got %v, want 2: %+v", len(list), list)
		case list[0].Name != "winter":
			t.Errorf(`list[0].Name: got %q, want "winter"`, list[0].Name)
		case list[1].Reference != "order 4711":
			t.Errorf(`list[1].Reference: got %q, want "order 4711"`, list[1].Reference)
		case list[1].Messages.Planned != 150:
			t.Errorf("list[1].Messages.Planned: got %v, want 150", list[1].Messages.Planned)
		case list[1].Percent != 0:
			t.Errorf("list[1].Percent: got %v, want 0", list[1].Percent)
		}
		details, err := d.Sending(ctx, id)
		w.check(err)
		switch {
		case len(details.Slices) != 2:
			t.Errorf("len(details.Slices): got %v, want 2: %+v", len(details.Slices), details.Slices)
		case !details.Sliced:
			t.Error("details.Sliced: got false, want true")
		case details.Folder != w.folder("spring"):
			t.Errorf("details.Folder: got %v, want %v", details.Folder, w.folder("spring"))
		case details.CSV.SHA256 == "":
			t.Error(`details.CSV.SHA256: got ""`)
		}

		change, err := d.Pause(ctx, id, who)
		w.check(err)
		if diff := cmp.Diff(api.Change{ID: id, Name: "spring", From: campaign.StateScheduled, State: campaign.StatePaused}, change); diff != "" {
			t.Error(diff)
		}
		changes, err := d.ResumeAll(ctx, who)
		w.check(err)
		if len(changes) != 0 {
			t.Errorf("what a person paused was resumed with all: %+v", changes)
		}
		change, err = d.Resume(ctx, id, who)
		w.check(err)
		if change.State != campaign.StateScheduled {
			t.Errorf("%+v", change)
		}
		change, err = d.Cancel(ctx, w.id("winter"), who)
		w.check(err)
		if change.State != campaign.StateCanceled {
			t.Errorf("change.State = %q, want %q\n%+v", change.State, campaign.StateCanceled, change)
		}
		if change.Canceled != 20 {
			t.Errorf("change.Canceled = %v, want 20", change.Canceled)
		}
		audited := auditActions(t, d)
		change, err = d.Cancel(ctx, w.id("winter"), who)
		w.check(err)
		if diff := cmp.Diff(api.Change{ID: change.ID, Name: "winter", From: campaign.StateCanceled, State: campaign.StateCanceled, Canceled: 20}, change); diff != "" {
			t.Errorf("canceled again: %s", diff)
		}
		if diff := cmp.Diff(audited, auditActions(t, d)); diff != "" {
			t.Errorf("the second cancel is in the audit trail: %s", diff)
		}
		w.wait(time.Second)
		_, err = d.Resume(ctx, w.id("winter"), who)
		wantCode(t, err, api.CodeConflict, "can't resume sending", "canceled")

		w.until(at(12, 5))
		details, err = d.Sending(ctx, id)
		w.check(err)
		switch {
		case details.State != campaign.StateSending:
			t.Errorf("details.State: got %v, want %v", details.State, campaign.StateSending)
		case details.Percent <= 0:
			t.Errorf("details.Percent: got %v, want more than 0", details.Percent)
		case details.Percent >= 100:
			t.Errorf("details.Percent: got %v, want less than 100", details.Percent)
		case details.NextSliceAt.IsZero():
			t.Error("details.NextSliceAt: got none")
		case details.EstimatedEnd.IsZero():
			t.Error("details.EstimatedEnd: got none")
		}
		var part bytes.Buffer
		w.check(d.Results(ctx, id, api.ResultsFilter{Outcomes: []campaign.Outcome{campaign.Sent}}, &part))
		if lines := strings.Count(part.String(), "\n"); uint64(lines) != details.Messages.Sent+1 {
			t.Errorf("%d lines for %d sent", lines, details.Messages.Sent)
		}
		w.until(at(13, 0))
		part.Reset()
		w.check(d.Results(ctx, id, api.ResultsFilter{}, &part))
		if lines := strings.Count(part.String(), "\n"); lines != 151 {
			t.Errorf("%d lines", lines)
		}
		details, err = d.Sending(ctx, id)
		w.check(err)
		if details.State != campaign.StateCompleted {
			t.Errorf("details.State = %q, want %q\n%+v", details.State, campaign.StateCompleted, details)
		}
		if details.Percent != 100 {
			t.Errorf("details.Percent = %v, want 100", details.Percent)
		}
		if details.Folder != w.folder("spring") {
			t.Errorf("details.Folder = %q, want %q", details.Folder, w.folder("spring"))
		}

		for _, err := range []error{
			func() error { _, err := d.Sending(ctx, "20260304-000099"); return err }(),
			func() error { _, err := d.Pause(ctx, "20260304-000099", who); return err }(),
			func() error {
				_, err := d.Resend(ctx, "20260304-000099", []api.ResendOutcome{api.ResendFailed}, false, who)
				return err
			}(),
			d.Results(ctx, "20260304-000099", api.ResultsFilter{}, &part),
		} {
			wantCode(t, err, api.CodeNotFound, "there is no sending 20260304-000099")
		}

		entries, err := d.Audit(ctx, api.AuditFilter{Limit: 3})
		w.check(err)
		var did []string
		for _, e := range entries {
			did = append(did, e.Who+" "+e.Action)
		}
		if diff := cmp.Diff([]string{who + " cancel", who + " resume", who + " pause"}, did); diff != "" {
			t.Error(diff)
		}
		if entries, err = d.Audit(ctx, api.AuditFilter{Sending: w.id("winter")}); err != nil || len(entries) != 1 {
			t.Errorf("%+v %v", entries, err)
		}
	})
}

// TestServiceResends: only recipients whose message failed get it again; the folder
// moves back from done/ meanwhile.
func TestServiceResends(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		broken := true
		w.answer = func(m *send.Message) send.Result {
			if broken && strings.HasSuffix(m.ContactCode, "7") {
				return send.Result{Verdict: send.VerdictPermanent, Code: "400", Detail: "no such number"}
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		w.start()
		w.accept("spring", 20, "scheduleAt", at(10, 0))
		w.until(at(11, 0))
		w.state("spring", campaign.StateCompleted)
		d, ctx, id, failed := w.running, context.Background(), w.id("spring"), []api.ResendOutcome{api.ResendFailed}

		resent, err := d.Resend(ctx, id, failed, true, "user:ada")
		w.check(err)
		if diff := cmp.Diff(api.Resent{ID: id, Name: "spring", State: campaign.StateCompleted, DryRun: true, Failed: 2, Messages: 2}, resent); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(w.folder("spring"), "/done/") {
			t.Error("a dry run moves the folder")
		}
		broken = false
		switch resent, err = d.Resend(ctx, id, failed, false, "user:ada"); {
		case err != nil:
			t.Error(err)
		case resent.Messages != 2:
			t.Errorf("resent.Messages = %v, want 2", resent.Messages)
		case resent.State.Final():
			t.Error("resent.State.Final() = true, want false")
		}
		w.wait(time.Minute)
		w.state("spring", campaign.StateCompleted)
		switch text := w.text("spring"); {
		case !strings.HasPrefix(text, "Done: all 20 messages were sent."):
			t.Errorf("want \"Done: all 20 messages were sent.\" at the start in:\n%s", text)
		case !strings.Contains(w.folder("spring"), "/done/"):
			t.Errorf("w.folder(\"spring\") = %q, want \"/done/\" in it", w.folder("spring"))
		}
		if n := len(w.sentBy("spring")); n != 22 {
			t.Errorf("%d attempts", n)
		}
		if resent, err = d.Resend(ctx, id, failed, false, "user:ada"); err != nil || resent.Messages != 0 {
			t.Errorf("%+v %v", resent, err)
		}
		w.wait(time.Minute)
		if !strings.Contains(w.folder("spring"), "/done/") {
			t.Errorf("a resend of nothing leaves it in %s", w.folder("spring"))
		}
		w.accept("bad", 0, "scheduleAt", at(12, 0))
		_, err = d.Resend(ctx, w.id("bad"), failed, false, "user:ada")
		wantCode(t, err, api.CodeConflict, "rejected")
		wantCode(t, d.Results(ctx, w.id("bad"), api.ResultsFilter{}, &bytes.Buffer{}), api.CodeConflict, "has no results")
	})
}

// TestServiceOptOuts: an opt-out by command is honoured at the moment of sending.
func TestServiceOptOuts(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes)+shop(2, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 10, "scheduleAt", at(12, 0))
		d, ctx := w.running, context.Background()
		one := []api.OptOut{{ApplicationID: 1, ContactCode: "spring-3"}}
		for _, want := range []int{1, 0} {
			if n, err := d.AddOptOuts(ctx, one, "user:ada"); err != nil || n != want {
				t.Errorf("%d new, want %d, %v", n, want, err)
			}
		}
		if n, err := d.AddOptOuts(ctx, []api.OptOut{{ContactCode: "spring-4", ChannelType: "push"}}, "user:ada"); err != nil || n != 2 {
			t.Errorf("%d new for all applications, %v", n, err)
		}
		_, err := d.AddOptOuts(ctx, []api.OptOut{{ApplicationID: 9, ContactCode: "x"}}, "user:ada")
		wantCode(t, err, api.CodeNotFound, "there is no application 9")
		imported, err := d.ImportOptOuts(ctx, 1, strings.NewReader("contactCode\nspring-5\n\"\"\n3.4E+10\n"), "user:ada")
		w.check(err)
		switch {
		case imported.Rows != 1:
			t.Errorf("imported.Rows: got %v, want 1", imported.Rows)
		case imported.Added != 1:
			t.Errorf("imported.Added: got %v, want 1", imported.Added)
		case imported.Rejected != 1:
			t.Errorf("imported.Rejected: got %v, want 1", imported.Rejected)
		case len(imported.Problems) != 1:
			t.Errorf("len(imported.Problems): got %v, want 1: %+v", len(imported.Problems), imported.Problems)
		}
		_, err = d.ImportOptOuts(ctx, 9, strings.NewReader(""), "user:ada")
		wantCode(t, err, api.CodeNotFound)
		var known []string
		w.check(d.OptOuts(ctx, 1, func(s api.OptOut) error {
			known = append(known, s.ChannelType+"/"+s.ContactCode)
			return nil
		}))
		if diff := cmp.Diff([]string{"/spring-3", "/spring-5", "push/spring-4"}, known); diff != "" {
			t.Error(diff)
		}
		if n, err := d.RemoveOptOuts(ctx, []api.OptOut{{ApplicationID: 1, ContactCode: "spring-5"}, {ApplicationID: 2, ContactCode: "nobody"}}, "user:ada"); err != nil || n != 1 {
			t.Errorf("%d removed, %v", n, err)
		}
		_, err = d.RemoveOptOuts(ctx, []api.OptOut{{ApplicationID: 9, ContactCode: "x"}}, "user:ada")
		wantCode(t, err, api.CodeNotFound)
		w.until(at(13, 0))
		switch doc := w.report("spring"); {
		case doc.Messages.Sent != 8:
			t.Errorf("doc.Messages.Sent = %v, want 8", doc.Messages.Sent)
		case doc.Messages.Suppressed != 2:
			t.Errorf("doc.Messages.Suppressed = %v, want 2", doc.Messages.Suppressed)
		}
	})
}

// auditActions lists the actions in the audit trail.
func auditActions(t *testing.T, d *Daemon) (actions []string) {
	t.Helper()
	if err := d.store.EachAudit(time.Time{}, func(e store.AuditEntry) error {
		actions = append(actions, e.Action)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return actions
}
