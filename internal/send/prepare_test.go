package send

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// mediaFake is a fake whose items name files.
type mediaFake struct {
	*fake
	mu      sync.Mutex // guards prepare
	prepare func(ctx context.Context) error
	tries   int
}

func (f *mediaFake) Media(json.RawMessage) ([]campaign.MediaFile, error) { return nil, nil }

func (f *mediaFake) Prepare(ctx context.Context, _ json.RawMessage, files []campaign.MediaFile) (json.RawMessage, error) {
	f.mu.Lock()
	prepare := f.prepare
	f.tries++
	f.mu.Unlock()
	if prepare != nil {
		if err := prepare(ctx); err != nil {
			return nil, err
		}
	}
	return json.RawMessage(`{"body": "uploaded ` + files[0].Name + `"}`), nil
}

func (f *mediaFake) set(prepare func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prepare = prepare
}

// withMedia replaces the harness's channel by one with files.
func withMedia(prepare func(context.Context) error) (*mediaFake, func(*harness)) {
	f := &mediaFake{prepare: prepare}
	return f, func(r *harness) {
		f.fake = r.ch
		r.app.Channels[0].Channel = f
	}
}

func springFile() campaign.Sending {
	return campaign.Sending{Media: []campaign.MediaFile{{Name: "spring.jpg"}}}
}

func TestFilesAreUploadedOnceBeforeTheFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, option := withMedia(nil)
		r := newHarness(t, option)
		id := r.accept(springFile(), 100)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
		if f.tries != 1 {
			t.Errorf("prepared %d times; want once", f.tries)
		}
		if got := string(r.ch.sent()[0].Content); !strings.Contains(got, "uploaded spring.jpg") {
			t.Errorf("sent %s; want the prepared item", got)
		}
	})
}

func TestOutageDuringAnUploadCostsNoMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, option := withMedia(func(context.Context) error { return &NotPrepared{Reason: "WhatsApp can't be reached"} })
		r := newHarness(t, option)
		id := r.accept(springFile(), 100)
		began := time.Now()
		time.Sleep(10*time.Minute + time.Second)
		r.store.wantState(t, id, campaign.StateScheduled, campaign.Pending, 100)
		w, ok := r.Wait(id)
		switch {
		case !ok:
			t.Errorf("wait %+v; want the outage as the reason", w)
		case w.Reason != "WhatsApp can't be reached":
			t.Errorf("w.Reason = %q, want \"WhatsApp can't be reached\"", w.Reason)
		}
		if since := w.Since.Sub(began); since < 0 || since > time.Second {
			t.Errorf("waits since %v; want since the first try", since)
		}
		f.set(nil)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
	})
}

func TestRefusedUploadHoldsTheSendingOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, option := withMedia(func(context.Context) error { return &NotPrepared{Reason: "WhatsApp refuses the file", Hold: true} })
		r := newHarness(t, option)
		id, other := r.accept(springFile(), 100), r.accept(campaign.Sending{}, 100)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateHeld, campaign.Pending, 100)
		r.store.wantState(t, other, campaign.StateCompleted, campaign.Sent, 100)
		f.set(nil)
		if _, err := r.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
	})
}

func TestCancelDoesNotWaitForAnUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, option := withMedia(func(ctx context.Context) error {
			<-ctx.Done()
			return &NotPrepared{Reason: "the upload was cut off"}
		})
		r := newHarness(t, option)
		id := r.accept(springFile(), 100)
		time.Sleep(time.Minute)
		switch w, ok := r.Wait(id); {
		case !ok:
			t.Errorf("wait %+v; want the upload as the reason", w)
		case !strings.Contains(w.Reason, "being uploaded to channel"):
			t.Errorf("w.Reason = %q, want \"being uploaded to channel\" in it", w.Reason)
		}
		state, err := r.Cancel(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if state != campaign.StateCanceled {
			t.Errorf("state %s; want canceled at once", state)
		}
		r.store.wantState(t, id, campaign.StateCanceled, campaign.Canceled, 100)
	})
}

func TestExpiryDuringAnOutageOfUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, option := withMedia(func(context.Context) error { return &NotPrepared{Reason: "WhatsApp can't be reached"} })
		r := newHarness(t, option)
		id := r.accept(springFile(), 3)
		time.Sleep(25 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Expired, 3)
	})
}
