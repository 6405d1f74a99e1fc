package relay

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"campaignd/internal/send"
)

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
	until(t, "its record says that it stops, before anything else", func() bool {
		list, err := h.conn.Workers(t.Context())
		return err == nil && len(list) == 1 && list[0].Stopping
	})
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
	until(t, "the stream has the answers", func() bool {
		stream, err := h.conn.js.Stream(t.Context(), h.conn.Names.DoneStream())
		return err == nil && stream.CachedInfo().State.Msgs > 0
	})
}

func TestBatchesAreLimited(t *testing.T) {
	for _, tc := range []struct {
		batch, concurrency, call, want int
	}{
		{64, 256, 1, 64},
		{64, 16, 1, 8},
		{64, 1, 1, 1},
		{64, 1, 100, 64},
		{64, 4, 32, 32},
	} {
		if got := BatchLimit(tc.batch, tc.concurrency, tc.call); got != tc.want {
			t.Errorf("BatchLimit(%d, %d, %d) = %d, want %d", tc.batch, tc.concurrency, tc.call, got, tc.want)
		}
	}
}
