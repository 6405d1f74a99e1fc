package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/campaign"
	"campaignd/internal/relay"
	"campaignd/internal/send"
	"campaignd/internal/service"
	"campaignd/internal/store"
)

// jetStream returns the server's JetStream as another program sees it.
func (w *standbyWorld) jetStream() jetstream.JetStream {
	w.t.Helper()
	nc, err := nats.Connect(w.server.ClientURL())
	w.must(err)
	w.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	w.must(err)
	return js
}

func (w *standbyWorld) leadOnce(o Options, log *lines) {
	w.t.Helper()
	stop := w.run(o)
	log.await(w.t, "msg=leads")
	w.must(stop())
}

// A NATS that lost its newest writes may have lost those of another hub, too.
func TestALogOfAnEarlierEpochRefusesItsHub(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	o, log := w.machine("one", "t", false)
	w.leadOnce(o, log)
	stream, err := w.jetStream().Stream(t.Context(), relay.NewNames("t").LogStream())
	w.must(err)
	before := stream.CachedInfo().State.LastSeq
	again, log := w.machine("one", "t", false)
	w.leadOnce(again, log)
	info, err := stream.Info(t.Context())
	w.must(err)
	for seq := before + 1; seq <= info.State.LastSeq; seq++ {
		w.must(stream.DeleteMsg(t.Context(), seq))
	}

	third, log := w.machine("one", "t", false)
	stop := w.run(third)
	log.await(t, "everything is held")
	log.await(t, "msg=leads")
	w.must(stop())
}

func TestATakeoverThatFailsForGoodKeepsTheLease(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	o, _ := w.machine("one", "t", false)
	o.Config.Standby.Lease = 300 * time.Millisecond
	_, err := w.jetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "inTheWay", Subjects: []string{relay.NewNames("t").LogAll()}})
	w.must(err)
	if err := Run(t.Context(), o); err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "gives it up: create stream") {
		t.Errorf("got %v, want that it gives the lease up because it can't create the stream", err)
	}
	conn := w.connect(o)
	defer conn.Close()
	if h, _, ok, err := conn.LeaseHolder(t.Context(), relay.LeaseLead); ok || err != nil {
		t.Errorf("the lease is held by %q, %v, want by nobody", h.ID, err)
	}
}

func TestAnErrorOfNATSEndsAStandby(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	o, log := w.machine("one", "t", true)
	p, err := newPlace(o)
	w.must(err)
	defer p.conn.Close()
	tries := 0
	err = p.retry(t.Context(), toFollow, func() error {
		if tries++; tries < 3 {
			return nats.ErrTimeout
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("got %v after %d tries, want success after 3", err, tries)
	}
	log.await(t, "cannot follow yet")
	if line := p.line(); line != "waits to lead" {
		t.Errorf("afterwards it says %q", line)
	}
}

func TestATakeoverGoesOnWithoutItsLease(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	o, _ := w.machine("one", "t", true)
	p, err := newPlace(o)
	w.must(err)
	defer p.conn.Close()
	tried := false
	try := func() error { tried = true; return nil }
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.retry(ctx, toLead, try); !errors.Is(err, context.DeadlineExceeded) || tried {
		t.Errorf("without the lease: got %v, tried %t, want that it waits", err, tried)
	}
	close(p.changed)
	if err := p.retry(t.Context(), toLead, try); !errors.Is(err, relay.ErrLeaseLost) || tried {
		t.Errorf("after another process has taken the lease: got %v, tried %t, want %v", err, tried, relay.ErrLeaseLost)
	}
}

// accepted drops a campaign for later and returns the key of its first message once it is accepted.
func (w *standbyWorld) accepted(log *lines, stop func() error, state string) (key string) {
	w.t.Helper()
	w.drop(3)
	w.write("inbox/a.schedule.json", `{"applicationId":1,"campaignId":7,"delay":"P1M"}`)
	log.await(w.t, "drop accepted")
	w.must(stop())
	data, err := os.ReadFile(filepath.Join(w.dir, state, service.StoreName))
	w.must(err)
	path := filepath.Join(w.t.TempDir(), "copy.db")
	w.must(os.WriteFile(path, data, 0o600))
	s, err := store.Open(path, store.Options{Checked: true})
	w.must(err)
	defer s.Close()
	heads, err := s.Sendings(store.Filter{})
	w.must(err)
	return campaign.Key(heads[0].ID, heads[0].Tag, 2, 1)
}

// Log and hub were lost at once, and what the hub did last is only in the answers of its workers.
func TestAStandbySendsAgainWhatItsCopyLacks(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	first, firstLog := w.machine("one", "t", false)
	stopFirst := w.run(first)
	firstLog.await(t, "msg=leads")
	second, log := w.machine("two", "t", true)
	stopSecond := w.run(second)
	log.await(t, "msg=follows")
	key := w.accepted(firstLog, stopFirst, "one")
	log.await(t, "msg=leads")
	w.must(stopSecond())

	conn := w.connect(first)
	defer conn.Close()
	answers := relay.Answers{ID: relay.BatchID{Epoch: 1, Number: 1}, Application: 1, Channel: "push", Worker: "w", Claim: 1,
		List: []relay.Answer{{Key: key, Attempt: 1, Result: send.Result{Verdict: send.VerdictSent}}}}
	_, err := w.jetStream().Publish(t.Context(), conn.Names.Done(1), relay.AppendAnswers(nil, &answers))
	w.must(err)
	for _, held := range []bool{true, false} { // once is enough: a person has compared since
		again, log := w.machine("two", "t", true)
		stop := w.run(again)
		log.await(t, "msg=leads")
		if got := log.contains("workers have answered for messages that this store calls unsent"); got != held {
			t.Errorf("it says that it holds everything: %t, want %t", got, held)
		}
		log.await(t, "msg=ready")
		w.must(stop())
	}
	s, err := store.Open(filepath.Join(w.dir, "two", service.StoreName), store.Options{Checked: true})
	w.must(err)
	defer s.Close()
	heads, err := s.Sendings(store.Filter{})
	w.must(err)
	if len(heads) != 1 {
		t.Fatalf("got %d sendings, want 1", len(heads))
	}
	if got := heads[0].State; got != campaign.StateHeld {
		t.Errorf("got state %s, want %s", got, campaign.StateHeld)
	}
}
