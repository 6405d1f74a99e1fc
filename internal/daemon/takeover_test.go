package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/relay"
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
