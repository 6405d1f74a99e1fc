package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// request is an upload to the harness's inbox.
type request struct {
	key  string
	name string        // of the drop, and in its contacts
	gate chan struct{} // the body ends when it is closed; nil: at once
	cut  bool          // the body breaks off where it would end
}

// uploadEnd holds the answer to an upload and the time that it took.
type uploadEnd struct {
	api.Uploaded
	err  error
	took time.Duration
}

// upload starts an upload. Its end can be received once.
func (w *harness) upload(ctx context.Context, r request) <-chan uploadEnd {
	text := func(name, fileName, content string) *api.UploadPart {
		return &api.UploadPart{Name: name, FileName: fileName, Body: strings.NewReader(content)}
	}
	parts := []*api.UploadPart{
		text("layout", "l.json", `{"contact": {"contactCode": "{{code}}", "channelType": "push"}, "customFields": {"name": "{{name}}"}}`),
		text("file", r.name+".csv", fmt.Sprintf("code,name\n%[1]s-1,Ada\n%[1]s-2,Bob\n", r.name)),
	}
	next := func() (*api.UploadPart, error) {
		if len(parts) > 0 {
			part := parts[0]
			parts = parts[1:]
			return part, nil
		}
		if r.gate != nil {
			<-r.gate
		}
		if r.cut {
			return nil, api.Invalidf("the body ends before its last boundary")
		}
		return nil, io.EOF
	}
	end, began := make(chan uploadEnd, 1), time.Now()
	go func() {
		uploaded, err := w.running.Upload(ctx, api.UploadRequest{Inbox: filepath.Join(w.dir, "in"), ApplicationID: 1, CampaignID: 1, Key: r.key}, next, "test")
		end <- uploadEnd{uploaded, err, time.Since(began)}
	}()
	synctest.Wait()
	return end
}

// holdChecks makes every check wait until the gate is closed.
func (w *harness) holdChecks() (gate chan struct{}) {
	gate = make(chan struct{})
	w.checks = func() { <-gate }
	return gate
}

// sendings returns the number of sendings that aren't void.
func (w *harness) sendings() int {
	w.t.Helper()
	all, err := w.running.Sendings(context.Background(), api.Filter{})
	w.check(err)
	return len(all)
}

// An upload whose check takes longer than 30 s is answered while the check goes on. The same key
// gets that answer again, and nothing is sent twice.
func TestUploadIsAnsweredBeforeALongCheckEnds(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		gate := w.holdChecks()
		w.start()
		first := <-w.upload(t.Context(), request{key: "k", name: "long"})
		if first.err != nil || first.State != campaign.StateChecking || first.took != 30*time.Second {
			t.Fatalf("got %q after %s (%v), want checking after 30s", first.State, first.took, first.err)
		}
		again := <-w.upload(t.Context(), request{key: "k", name: "long"})
		switch {
		case again.err != nil:
			t.Errorf("during the check: again.err: got %+v, want none", again.err)
		case again.ID != first.ID:
			t.Errorf("during the check: again.ID: got %v, want %v", again.ID, first.ID)
		case again.State != campaign.StateChecking:
			t.Errorf("during the check: again.State: got %v, want %v", again.State, campaign.StateChecking)
		case again.took != 0:
			t.Errorf("during the check: again.took: got %v, want 0", again.took)
		}
		close(gate)
		w.wait(time.Minute)
		w.state("long", campaign.StateCompleted)
		if again = <-w.upload(t.Context(), request{key: "k", name: "long"}); again.ID != first.ID || again.State != campaign.StateChecking {
			t.Errorf("after the check: got %s %q, want the same answer", again.ID, again.State)
		}
		w.once("long", 2)
		if n := w.sendings(); n != 1 {
			t.Errorf("%d sendings, want 1", n)
		}
	})
}

// A client that goes away during the check doesn't stop its drop. When it asks again with its key,
// it gets the answer that it missed.
func TestUploaderGoesAway(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		gate := w.holdChecks()
		w.start()
		ctx, leave := context.WithCancel(t.Context())
		gone := w.upload(ctx, request{key: "k", name: "left"})
		w.wait(5 * time.Second)
		leave()
		if end := <-gone; !errors.Is(end.err, context.Canceled) || end.took != 5*time.Second {
			t.Errorf("got %v after %s, want canceled after 5s", end.err, end.took)
		}
		again := w.upload(t.Context(), request{key: "k", name: "left"})
		w.wait(5 * time.Second)
		close(gate)
		switch end := <-again; {
		case end.err != nil:
			t.Errorf("asked again: %v", end.err)
		case end.State == campaign.StateChecking:
			t.Errorf("asked again: end.State = %q, want another one", end.State)
		case end.Recipients.Accepted != 2:
			t.Errorf("asked again: end.Recipients.Accepted = %v, want 2", end.Recipients.Accepted)
		}
		w.wait(time.Minute)
		w.once("left", 2)
		if n := w.sendings(); n != 1 {
			t.Errorf("%d sendings, want 1", n)
		}
	})
}

// A second request with a key waits for the first, whose body is still arriving, and gets its answer;
// with other content it is refused. One that gives up waiting takes nothing with it.
func TestSameKeyWhileTheFirstArrives(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		gate := make(chan struct{})
		first := w.upload(t.Context(), request{key: "k", name: "slow", gate: gate})
		second := w.upload(t.Context(), request{key: "k", name: "slow"})
		other := w.upload(t.Context(), request{key: "k", name: "other"})
		ctx, leave := context.WithCancel(t.Context())
		impatient := w.upload(ctx, request{key: "k", name: "slow"})
		w.wait(time.Minute)
		leave()
		if end := <-impatient; !errors.Is(end.err, context.Canceled) {
			t.Errorf("the one that left: %v", end.err)
		}
		for name, end := range map[string]<-chan uploadEnd{"first": first, "second": second, "other": other} {
			select {
			case got := <-end:
				t.Fatalf("%s was answered before the first body ended: %+v", name, got)
			default:
			}
		}
		close(gate)
		one, two, three := <-first, <-second, <-other
		switch {
		case one.err != nil:
			t.Errorf("one.err: got %+v, want none", one.err)
		case two.err != nil:
			t.Errorf("two.err: got %+v, want none", two.err)
		case one.ID != two.ID:
			t.Errorf("one.ID: got %v, want %v", one.ID, two.ID)
		case !one.ID.Valid():
			t.Error("one.ID.Valid(): got false, want true")
		}
		if api.CodeOf(three.err) != api.CodeKeyReused {
			t.Errorf("other content: %+v", three)
		}
		w.wait(time.Minute)
		w.once("slow", 2)
		if n := w.sendings(); n != 1 {
			t.Errorf("%d sendings, want 1", n)
		}
	})
}

// When the first request with a key breaks off, the second takes its place.
func TestFirstOfAKeyBreaksOff(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		gate := make(chan struct{})
		first := w.upload(t.Context(), request{key: "k", name: "cut", gate: gate, cut: true})
		second := w.upload(t.Context(), request{key: "k", name: "cut"})
		close(gate)
		if end := <-first; api.CodeOf(end.err) != api.CodeInvalid {
			t.Errorf("the first: %+v", end)
		}
		if end := <-second; end.err != nil || !end.ID.Valid() {
			t.Errorf("the second: %+v", end)
		}
		w.wait(time.Minute)
		w.once("cut", 2)
		if n := w.sendings(); n != 1 {
			t.Errorf("%d sendings, want 1", n)
		}
	})
}
