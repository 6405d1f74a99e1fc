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
	"github.com/nats-io/nats.go/jetstream"

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
	for deadline := time.Now().Add(20 * time.Second); ; {
		stream, err := h.conn.js.Stream(h.t.Context(), h.conn.Names.WorkStream())
		if err == nil && stream.CachedInfo().State.Msgs == 0 {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("the queue isn't empty: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
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

func TestWorkerSendsWhatTheHubGrants(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, false, func(Claim) Grant { return Grant{Decision: Granted, Refused: []int{1}} })
	d := newDriver()
	startWorker(t, s, d, 8)
	b := h.handOut(3, false)
	parts := h.collect()
	want := []string{b.Messages[0].Key, b.Messages[2].Key}
	if got := keysOf(parts); !slices.Equal(got, want) {
		t.Errorf("answers are of %v, want %v", got, want)
	}
	if got := d.sent(); !slices.Equal(got, want) {
		t.Errorf("the driver got %v, want %v", got, want)
	}
	switch a := parts[0]; {
	case a.ID != b.ID:
		t.Errorf("answers: a.ID = %v, want %v", a.ID, b.ID)
	case a.Claim != 1:
		t.Errorf("answers: a.Claim = %v, want 1", a.Claim)
	case a.Back:
		t.Error("answers: a.Back = true, want false")
	case a.List[0].Result.Verdict != send.VerdictSent:
		t.Errorf("answers: a.List[0].Result.Verdict = %v, want %v", a.List[0].Result.Verdict, send.VerdictSent)
	case a.List[0].Result.ProviderID != "p-"+a.List[0].Key:
		t.Errorf("answers: a.List[0].Result.ProviderID = %q, want %q", a.List[0].Result.ProviderID, "p-"+a.List[0].Key)
	}
	h.empty()
}

func TestWorkerGivesBackWhatGetsNoReply(t *testing.T) {
	for _, hold := range []bool{false, true} {
		s := startServer(t)
		h := newHub(t, s, hold, nil)
		d := newDriver()
		stop := startWorker(t, s, d, 8)
		b := h.handOut(3, hold)
		parts := h.collect()
		if !parts[0].Back {
			t.Errorf("hold %v: parts[0].Back = false, want true", hold)
		}
		if parts[0].ID != b.ID {
			t.Errorf("hold %v: parts[0].ID = %v, want %v", hold, parts[0].ID, b.ID)
		}
		if len(keysOf(parts)) != 3 {
			t.Errorf("hold %v: len(keysOf(parts)) = %v, want 3", hold, len(keysOf(parts)))
		}
		h.empty()
		stop()
		if got := d.sent(); len(got) > 0 {
			t.Errorf("hold %v: the driver got %v without a grant", hold, got)
		}
	}
}

func TestWorkerForgetsAWithdrawnBatch(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, true, func(Claim) Grant { return Grant{Decision: Withdrawn} })
	d := newDriver()
	stop := startWorker(t, s, d, 8)
	h.handOut(3, true)
	<-h.claims
	h.empty()
	stop()
	if got := d.sent(); len(got) > 0 {
		t.Errorf("the driver got %v of a withdrawn batch", got)
	}
	if len(h.answers) > 0 {
		t.Errorf("answers to a withdrawn batch: %+v", <-h.answers)
	}
}

// Where on_unknown is "hold", a batch must not be handed out again after its claim, whatever happens.
func TestWorkerAcknowledgesAHoldBatchBeforeItSends(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, true, grantAll)
	d := newDriver()
	d.open = make(chan struct{})
	startWorker(t, s, d, 8)
	h.handOut(1, true)
	<-d.begun
	h.empty()
	close(d.open)
	h.collect()
}

func TestWorkerShowsThatItLives(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, false, grantAll)
	progress, alive := make(chan struct{}, 100), make(chan Alive, 100)
	h.subscribe("$JS.ACK."+h.conn.Names.WorkStream()+".>", func(m *nats.Msg) {
		if string(m.Data) == "+WPI" {
			progress <- struct{}{}
		}
	})
	h.subscribe(h.conn.Names.Alive(hubEpoch), func(m *nats.Msg) {
		a, err := DecodeAlive(m.Data, OwnVersions())
		if err != nil {
			t.Errorf("sign of life: %v", err)
		}
		alive <- a
	})
	d := newDriver()
	d.open = make(chan struct{})
	startWorker(t, s, d, 8)
	b := h.handOut(1, false)
	<-progress
	if a := <-alive; !slices.Equal(a.Numbers, []uint64{b.ID.Number}) {
		t.Errorf("the sign of life has %v, want %d", a.Numbers, b.ID.Number)
	}
	close(d.open)
	h.collect()
}

func TestWorkerGivesBackWhatItCannotRead(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, true, grantAll)
	d := newDriver()
	startWorker(t, s, d, 8)
	later := Batch{ID: BatchID{hubEpoch, 99}, Application: 1, Channel: "sms"}
	data := AppendBatch(nil, &later)
	data[0] = MaxVersion + 1
	h.publish(data)
	h.publish([]byte("garbage"))
	h.publish(nil)
	if a := h.collect()[0]; !a.Back || a.ID != later.ID || len(a.List) != 0 {
		t.Errorf("answers are %+v, want the batch back", a)
	}
	h.empty()
	h.handOut(1, true)
	for a := h.collect()[0]; a.ID.Number != h.next; a = h.collect()[0] { // "garbage" has an id too
	}
}

func TestWorkerNeverHasMoreUnderWayThanItsConcurrency(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, true, grantAll)
	d := newDriver()
	startWorker(t, s, d, 4)
	const batches = 20
	for i := range batches {
		h.handOut(1+i%2, true)
	}
	for range batches {
		h.collect()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.most > 4 {
		t.Errorf("%d messages were under way, want at most 4", d.most)
	}
}

func TestWorkerSendsABatchInOneCall(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, false, grantAll)
	d := newDriver()
	d.call = 100
	startWorker(t, s, d, 1)
	h.handOut(50, false)
	if got := len(keysOf(h.collect())); got != 50 {
		t.Errorf("%d answers, want 50", got)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.most != 50 {
		t.Errorf("a call had %d messages, want 50", d.most)
	}
}

// After the signal a worker takes nothing new and finishes what its driver has.
func TestWorkerStopsInOrder(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, true, grantAll)
	d := newDriver()
	d.open = make(chan struct{})
	stop := startWorker(t, s, d, 1)
	b := h.handOut(1, true)
	<-d.begun
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop()
	}()
	for { // the record says it before anything else
		list, err := h.conn.Workers(t.Context())
		if err == nil && len(list) == 1 && list[0].Stopping {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	h.handOut(1, true)
	close(d.open)
	if got, want := keysOf(h.collect()), []string{b.Messages[0].Key}; !slices.Equal(got, want) {
		t.Errorf("answers are of %v, want %v", got, want)
	}
	<-ended
	if list, err := h.conn.Workers(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("workers after the end: got %v, %v, want none", list, err)
	}
	if got := d.sent(); len(got) != 1 {
		t.Errorf("the driver got %v after the signal", got)
	}
}

func TestWorkerAnswersUnknownForADriverThatPanics(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, true, grantAll)
	d := newDriver()
	d.fail = func(string) { panic("a fault of the driver") }
	startWorker(t, s, d, 2)
	h.handOut(1, true)
	if v := h.collect()[0].List[0].Result.Verdict; v != send.VerdictUnknown {
		t.Errorf("verdict is %d, want unknown", v)
	}
}

// Answers are published until the stream has them, also if NATS was away and has lost the stream.
func TestWorkerRepeatsAnswersUntilNATSHasThem(t *testing.T) {
	s := startServer(t)
	h := newHub(t, s, true, grantAll)
	d := newDriver()
	d.open = make(chan struct{})
	startWorker(t, s, d, 1)
	h.handOut(1, true)
	<-d.begun
	if err := h.done.Unsubscribe(); err != nil { // it reads what is published, and would look like a stream
		t.Fatal(err)
	}
	if err := h.conn.js.DeleteStream(t.Context(), h.conn.Names.DoneStream()); err != nil {
		t.Fatal(err)
	}
	close(d.open)
	stream := (jetstream.Stream)(nil)
	for stream == nil || stream.CachedInfo().State.Msgs == 0 {
		stream, _ = h.conn.js.Stream(t.Context(), h.conn.Names.DoneStream())
		time.Sleep(5 * time.Millisecond)
	}
}

func TestBatchesAreLimited(t *testing.T) {
	for _, tc := range []struct {
		batch, concurrency, call int
		rate                     float64
		want                     int
	}{
		{64, 256, 1, 0, 64},
		{64, 16, 1, 0, 8},
		{64, 1, 1, 0, 1},
		{64, 256, 1, 80, 1},
		{64, 256, 1, 1000, 10},
		{64, 1, 100, 0, 64},
		{64, 4, 32, 0, 32},
	} {
		if got := BatchLimit(tc.batch, tc.concurrency, tc.call, tc.rate); got != tc.want {
			t.Errorf("BatchLimit(%d, %d, %d, %v) = %d, want %d", tc.batch, tc.concurrency, tc.call, tc.rate, got, tc.want)
		}
	}
}
