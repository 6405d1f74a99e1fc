package send

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/campaign"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sentMessage is one message as a fake channel got it.
type sentMessage struct {
	Message
	at time.Time
}

// fake is a channel that keeps what it gets and answers by a function.
type fake struct {
	mu     sync.Mutex
	got    []sentMessage
	calls  int
	batch  int
	answer func(ctx context.Context, m *Message) Result
	gate   chan struct{} // if set, a call waits for it
	closed int
	busy   int
	most   int // calls at the same time
}

func (f *fake) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	return campaign.Compile(item, names, nil)
}
func (f *fake) CheckMessage(_, _ []byte) error { return nil }
func (f *fake) Batch() int                     { return max(f.batch, 1) }
func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

func (f *fake) Send(ctx context.Context, msgs []*Message, results []Result) {
	f.mu.Lock()
	f.calls++
	f.busy++
	f.most = max(f.most, f.busy)
	for _, m := range msgs {
		kept := *m
		kept.Content = append(json.RawMessage(nil), m.Content...)
		f.got = append(f.got, sentMessage{kept, time.Now()})
	}
	gate := f.gate
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.busy--
		f.mu.Unlock()
	}()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	for i, m := range msgs {
		if f.answer != nil {
			results[i] = f.answer(ctx, m)
			continue
		}
		results[i] = Result{Verdict: VerdictSent, ProviderID: "p-" + m.Key}
	}
}

// ended counts calls of Close.
func (f *fake) ended() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

func (f *fake) sent() []sentMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]sentMessage(nil), f.got...)
}

// harness is a dispatcher at work on a testStore and one fake channel "c" of application 1.
type harness struct {
	*Dispatcher
	t     *testing.T
	store *testStore
	ch    *fake
	app   Application
	opts  Options
	adopt []Orphan // messages in flight at the start
	end   context.CancelFunc
	done  chan error
}

// newHarness makes one; change, if given, may set it up before it starts. It is stopped at the test's end.
func newHarness(t *testing.T, change ...func(*harness)) *harness {
	t.Helper()
	r := &harness{t: t, store: newTestStore(t), ch: &fake{}, done: make(chan error, 1)}
	r.app = Application{ID: 1, Channels: []ChannelSettings{{Name: "c", Channel: r.ch, Concurrency: 4, OnUnknown: RetryUnknown}}}
	for _, fn := range change {
		fn(r)
	}
	r.opts.Store = r.store
	r.Dispatcher = New(r.opts)
	r.Configure([]Application{r.app})
	r.Adopt(r.adopt)
	ctx, cancel := context.WithCancel(t.Context())
	r.end = cancel
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(func() { r.stop() })
	return r
}

// stop ends the dispatcher and returns Run's error.
func (r *harness) stop() error {
	r.end()
	err := <-r.done
	r.done <- err
	return err
}

// accept adds a sending due at its ScheduledAt (zero: now) and kicks.
func (r *harness) accept(s campaign.Sending, n int, slices ...campaign.Slice) campaign.ID {
	r.t.Helper()
	if s.ScheduledAt.IsZero() {
		s.ScheduledAt = r.now()
	}
	id := r.store.add(s, n, slices...)
	r.Kick()
	return id
}
