package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"campaignd/internal/send/null"
)

// memoryRecords are Records in memory.
type memoryRecords struct {
	mu     sync.Mutex // guards the fields below
	values map[string][]byte
	puts   int
	err    error         // of PutRecord
	block  chan struct{} // PutRecord waits until it is closed; nil: it doesn't
}

func (m *memoryRecords) Record(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[name], nil
}

func (m *memoryRecords) PutRecord(name string, value []byte) error {
	m.mu.Lock()
	block := m.block
	m.mu.Unlock()
	if block != nil {
		<-block
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.puts++
	m.values = maps.Clone(m.values)
	if m.values == nil {
		m.values = map[string][]byte{}
	}
	m.values[name] = value
	return nil
}

func newGrantBook(t *testing.T, records Records, tag string, epoch uint64) *grantBook {
	t.Helper()
	g := &grantBook{records: records}
	if err := g.load(tag, epoch); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGrantsAreFoundAfterARestart(t *testing.T) {
	records := &memoryRecords{}
	g := newGrantBook(t, records, "a", 3)
	granted, answered := BatchID{3, 1 << numberBits}, BatchID{3, 2 << numberBits}
	for _, id := range []BatchID{answered, granted} {
		if err := g.add(id, claimant{"w", 7}); err != nil {
			t.Fatal(err)
		}
		g.remove(answered)
	}
	g = newGrantBook(t, records, "a", 4)
	if got, ok := g.holder(granted); !ok || got != (claimant{"w", 7}) {
		t.Errorf("the holder is %v, %v, want claim 7 of w", got, ok)
	}
	never := g.neverGranted()
	for _, test := range []struct {
		id   BatchID
		want bool
	}{
		{granted, false},
		{answered, true},
		{BatchID{3, 3 << numberBits}, true},
		{BatchID{2, 3 << numberBits}, false}, // before the book
	} {
		if got := never(sendNumber(test.id)); got != test.want {
			t.Errorf("batch %s was never granted: %v, want %v", test.id, got, test.want)
		}
	}
	g.removeBefore(4)
	if got, ok := g.holder(granted); ok {
		t.Errorf("after all are settled the holder is %v, want none", got)
	}
}

// A restored store has forgotten the grants since.
func TestGrantsOfARestoredStoreSayNothing(t *testing.T) {
	records := &memoryRecords{}
	newGrantBook(t, records, "a", 3)
	if newGrantBook(t, records, "b", 4).neverGranted()(sendNumber(BatchID{3, 1 << numberBits})) {
		t.Error("a batch of before is called never granted")
	}
}

func TestGrantThatCanNotBeRecordedIsNone(t *testing.T) {
	records := &memoryRecords{}
	g := newGrantBook(t, records, "a", 3)
	records.err = errors.New("the disk is full")
	if err := g.add(BatchID{3, 1}, claimant{}); !errors.Is(err, records.err) {
		t.Errorf("the error is %v, want %v", err, records.err)
	}
}

func TestGrantsOfTheSameMomentAreRecordedTogether(t *testing.T) {
	records := &memoryRecords{}
	g := newGrantBook(t, records, "a", 3)
	records.block = make(chan struct{})
	const grants = 50
	var all sync.WaitGroup
	for n := range uint64(grants) {
		all.Go(func() {
			if err := g.add(BatchID{3, n}, claimant{"w", n}); err != nil {
				t.Error(err)
			}
		})
	}
	for waiting := 0; waiting < grants; {
		g.mu.Lock()
		waiting = len(g.open)
		g.mu.Unlock()
	}
	close(records.block)
	all.Wait()
	if records.puts > 3 { // at the beginning, the first one, and the others
		t.Errorf("%d records for %d grants, want at most 3", records.puts, grants)
	}
	if g := newGrantBook(t, records, "a", 4); len(g.open) != grants {
		t.Errorf("%d grants are found, want %d", len(g.open), grants)
	}
}

// Answers that arrive while the hub asks how many there are don't look like a stream that was cut off.
func TestStreamOfAnswersThatGrowsIsNotCutOff(t *testing.T) {
	s := startServer(t)
	h := NewHub(HubOptions{Records: &memoryRecords{}})
	h.conn = connect(t, s)
	reader := &answerReader{hub: h}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := reader.open(ctx); err != nil {
		t.Fatal(err)
	}
	defer reader.close()
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for n := range 2000 {
			if _, err := h.conn.js.PublishAsync(h.conn.Names.Done(1), fmt.Append(nil, "garbage ", n)); err != nil {
				t.Error(err)
				return
			}
		}
		<-h.conn.js.PublishAsyncComplete()
		cancel()
	})
	defer publishing.Wait()
	for ctx.Err() == nil {
		if err := reader.check(ctx); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
}

// While answers can't be read, workers that have answered must not be taken for dead.
func TestAnswersThatCanNotArriveAreNotWaitedFor(t *testing.T) {
	s := startServer(t)
	h := NewHub(HubOptions{Records: &memoryRecords{}})
	h.conn = connect(t, s)
	h.linked.Store(h.conn)
	h.ready.Store(true)
	channel := h.Channel(ChannelOptions{Application: 1, Name: "sms", Rules: null.New(1)})
	reader := &answerReader{hub: h}
	if err := reader.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer reader.close()
	before := time.Now().Add(-2 * answerStall)
	h.current.Store(&before)
	if got := channel.Workers(); !got.Away || got.Wait != waitsForAnswers {
		t.Errorf("before: %+v, want to wait for answers", got)
	}
	if err := reader.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := channel.Workers(); got.Away || got.Wait != "" {
		t.Errorf("after the stream was read: %+v, want to wait for nothing", got)
	}
}

// A stream that is gone is made again within a second: doctor says that it is missing, and goes on.
func TestAMissingStreamEndsTheCheckOfTheOthers(t *testing.T) {
	s := startServer(t)
	h := NewHub(HubOptions{Config: Config{Replicas: 1}, Records: &memoryRecords{}})
	h.conn = connect(t, s)
	h.linked.Store(h.conn)
	work := h.conn.Names.WorkStream()
	if err := h.conn.js.DeleteStream(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	list, err := h.CheckStreams(t.Context())
	if err != nil {
		t.Errorf("got the error %v, want a finding", err)
	}
	if want := "stream " + work + " is missing"; !slices.ContainsFunc(list, func(s string) bool { return strings.HasPrefix(s, want) }) {
		t.Errorf("got %q, want one that begins with %q", list, want)
	}
}
