package send

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// syncing is a flat book whose commits take as long as a sync, one after another,
// and who come while one is under way share the next, as in the store.
type syncing struct {
	*benchStore
	mu      sync.Mutex
	queue   []chan struct{}
	leading bool
	took    time.Duration
	syncs   int
}

func (s *syncing) Commit(ctx context.Context, entries []campaign.Entry) error {
	done := make(chan struct{})
	s.mu.Lock()
	s.queue = append(s.queue, done)
	lead := !s.leading
	s.leading = true
	s.mu.Unlock()
	if lead {
		go s.lead()
	}
	<-done
	return s.benchStore.Commit(ctx, entries)
}

func (s *syncing) lead() {
	for {
		s.mu.Lock()
		group := s.queue
		s.queue = nil
		if len(group) == 0 {
			s.leading = false
			s.mu.Unlock()
			return
		}
		s.syncs++
		s.mu.Unlock()
		time.Sleep(s.took) // virtual time
		for _, done := range group {
			close(done)
		}
	}
}

// How near sending comes to what the receiver can take, in virtual time: with
// answers of a given length, syncs of a given length and nothing else that takes
// any. With on_unknown: hold a worker waits for each sync, so less is asked. What
// falls together at one instant is taken in any order, so each bound has room for that.
func TestKeepsUpWithTheReceiver(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		policy         Policy
		concurrency, n int
		answer, sync   time.Duration
		share          float64 // of concurrency / answer
		perSync        float64 // messages
	}{
		{RetryUnknown, 64, 50_000, ms, ms / 3, 0.95, 30},
		{RetryUnknown, 64, 50_000, ms, ms, 0.95, 30},
		{RetryUnknown, 64, 20_000, ms, 3 * ms, 0.9, 30},
		{RetryUnknown, 1000, 100_000, 50 * ms, ms, 0.95, 50},
		{RetryUnknown, 16, 5_000, 20 * ms, ms, 0.95, 8},
		{RetryUnknown, 1, 500, 20 * ms, ms, 0.95, 0.9},
		{HoldUnknown, 64, 20_000, ms, ms, 0.45, 30},
		{HoldUnknown, 1000, 50_000, 50 * ms, ms, 0.9, 50},
		{HoldUnknown, 16, 5_000, 20 * ms, ms, 0.85, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			book := &syncing{benchStore: newBenchStore(tt.n), took: tt.sync}
			ch := &fake{answer: func(context.Context, *Message) Result {
				time.Sleep(tt.answer)
				return Result{Verdict: VerdictSent}
			}}
			d := New(Options{Store: book})
			d.Configure([]Application{{ID: 1, Channels: []ChannelSettings{{Name: "c", Channel: ch, Concurrency: tt.concurrency, OnUnknown: tt.policy}}}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			began := time.Now()
			go func() { done <- d.Run(ctx) }()
			<-book.ended
			share := float64(tt.n) / time.Since(began).Seconds() / (float64(tt.concurrency) / tt.answer.Seconds())
			perSync := float64(tt.n) / float64(book.syncs)
			if share < tt.share || perSync < tt.perSync {
				t.Errorf("%s, %d at a time, answers in %v, syncs of %v: %.2f of what the receiver takes, %.1f messages a sync; want %v and %v",
					tt.policy, tt.concurrency, tt.answer, tt.sync, share, perSync, tt.share, tt.perSync)
			}
			cancel()
			<-done
		})
	}
}

// Due one by one, under load or not, messages go out at their time.
func TestLatenessUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, taking(10*time.Millisecond), func(r *harness) {
			r.app.Channels[0].Concurrency, r.app.Channels[0].Rate = 64, 5000
			r.store.slowCommit = time.Millisecond
		})
		big := r.accept(campaign.Sending{CampaignID: 1, ScheduledAt: time.Now().Add(time.Second)}, 20_000)
		var singles []campaign.ID
		for i := range 100 {
			singles = append(singles, r.accept(campaign.Sending{CampaignID: 2, ScheduledAt: time.Now().Add(time.Second + time.Duration(i*37)*time.Millisecond)}, 1))
		}
		time.Sleep(time.Minute)
		r.store.wantState(t, big, campaign.StateCompleted, campaign.Sent, 20_000)
		for _, id := range singles {
			r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 1)
		}
		for _, m := range r.ch.sent() {
			late := m.at.Sub(m.DueAt)
			if late < 0 {
				t.Errorf("a message of campaign %d went out %v before its time", m.CampaignID, -late)
			}
			if m.CampaignID == 2 && late > 50*time.Millisecond {
				t.Errorf("a single message went out %v after its time, want at most 50ms", late)
			}
		}
	})
}
