package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// fakeHub stands in for the hub: it publishes batches, decides claims and reads answers.
type fakeHub struct {
	t       *testing.T
	conn    *Conn
	answers chan Answers
	claims  chan Claim
	done    *nats.Subscription
	next    uint64
}

const hubEpoch = 7

// newHub returns a hub that answers claims with decide; nil: it doesn't answer.
func newHub(t *testing.T, s *server.Server, hold bool, decide func(Claim) Grant) *fakeHub {
	t.Helper()
	h := &fakeHub{t: t, conn: connect(t, s), answers: make(chan Answers, 1000), claims: make(chan Claim, 1000)}
	if err := h.conn.DeclareChannel(t.Context(), 1, "sms", hold); err != nil {
		t.Fatal(err)
	}
	h.subscribe(h.conn.Names.Claim(hubEpoch), func(m *nats.Msg) {
		claim, err := DecodeClaim(m.Data, OwnVersions())
		if err != nil {
			t.Errorf("claim: %v", err)
			return
		}
		h.claims <- claim
		if decide == nil {
			return
		}
		grant := decide(claim)
		grant.ID = claim.ID
		if err := m.Respond(AppendGrant(nil, &grant)); err != nil {
			t.Errorf("reply to a claim: %v", err)
		}
	})
	h.done = h.subscribe(h.conn.Names.DoneAll(), func(m *nats.Msg) {
		a, err := DecodeAnswers(m.Data, OwnVersions())
		if err != nil {
			t.Errorf("answers: %v", err)
			return
		}
		h.answers <- a
	})
	return h
}

func (h *fakeHub) subscribe(subject string, do func(*nats.Msg)) *nats.Subscription {
	h.t.Helper()
	sub, err := h.conn.nc.Subscribe(subject, do)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.conn.nc.Flush(); err != nil {
		h.t.Fatal(err)
	}
	return sub
}

// handOut publishes a batch of n messages.
func (h *fakeHub) handOut(n int, hold bool) Batch {
	h.t.Helper()
	h.next++
	b := Batch{ID: BatchID{hubEpoch, h.next}, Application: 1, Channel: "sms", Hold: hold}
	for i := range n {
		b.Messages = append(b.Messages, send.Message{Key: fmt.Sprintf("k-%d-%d", h.next, i), SendingID: "20260301-000001", Number: 1, Attempt: 1,
			ContactCode: "x", Content: json.RawMessage(`{}`), DueAt: time.Unix(1, 0).UTC()})
	}
	h.publish(AppendBatch(nil, &b))
	return b
}

func (h *fakeHub) publish(data []byte) {
	h.t.Helper()
	if _, err := h.conn.js.Publish(h.t.Context(), h.conn.Names.Work(1, "sms"), data); err != nil {
		h.t.Fatal(err)
	}
}

// collect waits for the answers to a batch up to the last part.
func (h *fakeHub) collect() (parts []Answers) {
	h.t.Helper()
	for {
		select {
		case a := <-h.answers:
			parts = append(parts, a)
			if a.Last {
				return parts
			}
		case <-time.After(20 * time.Second):
			h.t.Fatal("no answers")
		}
	}
}

// empty waits until no batch is in the queue.
func (h *fakeHub) empty() {
	h.t.Helper()
	until(h.t, "the queue is empty", func() bool {
		stream, err := h.conn.js.Stream(h.t.Context(), h.conn.Names.WorkStream())
		return err == nil && stream.CachedInfo().State.Msgs == 0
	})
}

func keysOf(parts []Answers) (keys []string) {
	for _, a := range parts {
		for _, one := range a.List {
			keys = append(keys, one.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

func grantAll(Claim) Grant { return Grant{Decision: Granted} }

// fakeDriver records what it is handed. It waits for open, if that isn't nil.
type fakeDriver struct {
	open  chan struct{}
	begun chan string
	call  int
	fail  func(key string)

	mu      sync.Mutex // guards the fields below
	keys    []string
	running int
	most    int
}

func newDriver() *fakeDriver { return &fakeDriver{begun: make(chan string, 1000), call: 1} }

func (*fakeDriver) Compile(json.RawMessage, []string) (*campaign.Template, error) { return nil, nil }
func (*fakeDriver) CheckMessage(_, _ []byte) error                                { return nil }
func (d *fakeDriver) Batch() int                                                  { return d.call }
func (*fakeDriver) Close() error                                                  { return nil }

func (d *fakeDriver) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	d.mu.Lock()
	d.running += len(msgs)
	d.most = max(d.most, d.running)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running -= len(msgs)
	}()
	for i, m := range msgs {
		d.mu.Lock()
		d.keys = append(d.keys, m.Key)
		d.mu.Unlock()
		d.begun <- m.Key
		if d.fail != nil {
			d.fail(m.Key)
		}
		results[i] = send.Result{Verdict: send.VerdictSent, ProviderID: "p-" + m.Key}
	}
	if d.open != nil {
		select {
		case <-d.open:
		case <-ctx.Done():
			for i := range results {
				results[i] = send.Result{Verdict: send.VerdictUnknown}
			}
		}
	}
}

func (d *fakeDriver) sent() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(slices.Values(d.keys))
}

// startWorker runs a worker for the channel sms of application 1. The returned function stops it and waits for its end.
func startWorker(t *testing.T, s *server.Server, d *fakeDriver, concurrency int) (stop func()) {
	t.Helper()
	w := NewWorker(WorkerOptions{Conn: connect(t, s), Host: "w", Version: "test", StopTimeout: 10 * time.Second,
		Channels: []WorkerDriver{{Application: 1, Name: "sms", Channel: d, Concurrency: concurrency, Batch: 64}}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}
