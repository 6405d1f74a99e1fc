package send

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// fakeRemote is a remote channel whose workers are goroutines of the test. A worker sends what
// it was granted through the fake, which keeps it.
type fakeRemote struct {
	fake
	state sync.Mutex // guards the fields below
	now   Workers
	last  uint64
	sizes []int // of the batches offered
	down  bool  // Publish fails, although the batch was offered

	// work is called for every batch in its own goroutine; nil: claim and answer at once.
	work func(*HandOut)
	took time.Duration // that the receiver takes to answer

	workers sync.WaitGroup
}

func (f *fakeRemote) Rules() Channel { return &f.fake }

func (f *fakeRemote) Workers() Workers {
	f.state.Lock()
	defer f.state.Unlock()
	return f.now
}

func (f *fakeRemote) set(w Workers) {
	f.state.Lock()
	defer f.state.Unlock()
	f.now = w
}

func (f *fakeRemote) NextNumber() uint64 {
	f.state.Lock()
	defer f.state.Unlock()
	f.last++
	return f.last
}

func (f *fakeRemote) Publish(_ context.Context, h *HandOut) error {
	f.state.Lock()
	defer f.state.Unlock()
	f.sizes = append(f.sizes, len(h.Messages))
	work := f.work
	if work == nil {
		work = f.serve
	}
	f.workers.Go(func() { work(h) })
	if f.down {
		return errors.New("no answer from the server")
	}
	return nil
}

// Withdraw comes after all that a silent worker has read of the batch, which is used again: for the race
// detector a lock says so, since there is no wire between the two.
func (f *fakeRemote) Withdraw(*HandOut) { f.sent() }

// offered returns the sizes of the batches that were offered.
func (f *fakeRemote) offered() []int {
	f.state.Lock()
	defer f.state.Unlock()
	return slices.Clone(f.sizes)
}

// serve claims a batch, sends what it may and answers.
func (f *fakeRemote) serve(h *HandOut) { f.answerAll(h, f.deliver(h)) }

// deliver claims a batch and sends what it may.
func (f *fakeRemote) deliver(h *HandOut) []Result {
	allowed := h.Claim()
	results := make([]Result, len(allowed))
	for k, yes := range allowed {
		if yes {
			f.Send(context.Background(), h.Messages[k:k+1], results[k:k+1])
		}
	}
	time.Sleep(f.took)
	return results
}

func (f *fakeRemote) answerAll(h *HandOut, results []Result) {
	for k := range results {
		if results[k].Verdict != 0 {
			h.Answer(k, results[k])
		}
	}
}

// remoteHarness is a harness with a remote channel of one worker with 16 places.
func remoteHarness(t *testing.T, policy Policy, change ...func(*harness, *fakeRemote)) (*harness, *fakeRemote) {
	f := &fakeRemote{fake: fake{batch: 64}, now: Workers{Places: 16, Batch: 16}, took: 100 * time.Millisecond}
	r := newHarness(t, func(r *harness) {
		r.app.Channels[0].Channel, r.app.Channels[0].OnUnknown = f, policy
		for _, fn := range change {
			fn(r, f)
		}
	})
	t.Cleanup(func() {
		r.stop()
		f.workers.Wait()
	})
	return r, f
}

var policies = []Policy{RetryUnknown, HoldUnknown}
