package send

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"campaignd/internal/campaign"
)

// taking makes every call of the rig's channel take so long.
func taking(d time.Duration) func(*harness) {
	return func(r *harness) {
		r.ch.answer = func(ctx context.Context, _ *Message) Result {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			return Result{Verdict: VerdictSent}
		}
	}
}

// A rate of 1 must not send 2 in a second; no rate may send more than it says in any second, nor much less.
func TestRateIsNeverExceeded(t *testing.T) {
	for _, rate := range []float64{0.5, 1, 7, 80, 1000} {
		for _, commit := range []time.Duration{0, 5 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, func(r *harness) {
					r.app.Channels[0].Rate, r.app.Channels[0].Concurrency = rate, 16
					r.store.slowCommit = commit
				})
				r.accept(campaign.Sending{}, 3000)
				const seconds = 20
				time.Sleep(seconds * time.Second)
				got := r.ch.sent()
				switch most := int(rate*seconds) + burst(rate) + 1; {
				case len(got) > most:
					t.Errorf("rate %v, commits of %v: len(got) = %v, want at most %v", rate, commit, len(got), most)
				case float64(len(got)) < min(0.9*rate*seconds-1, 2999):
					t.Errorf("rate %v, commits of %v: float64(len(got)) = %v, want at least %v", rate, commit, float64(len(got)), min(0.9*rate*seconds-1, 2999))
				}
				window := time.Second
				allowed := max(int(rate), 1)
				if rate > 1 {
					allowed += burst(rate)
				}
				for first, last := 0, 0; last < len(got); last++ {
					for got[last].at.Sub(got[first].at) >= window {
						first++
					}
					if n := last - first + 1; n > allowed {
						t.Fatalf("rate %v: %d messages in one second", rate, n)
					}
				}
			})
		}
	}
}

func TestConcurrencyAndMarksAreBounded(t *testing.T) {
	for _, tt := range []struct {
		policy Policy
		marks  int
	}{{RetryUnknown, 32}, {HoldUnknown, 16}} {
		synctest.Test(t, func(t *testing.T) {
			r := newHarness(t, taking(50*time.Millisecond), func(r *harness) {
				r.app.Channels[0].Concurrency, r.app.Channels[0].OnUnknown = 16, tt.policy
			})
			id := r.accept(campaign.Sending{}, 2000)
			began := time.Now()
			for range 100 {
				time.Sleep(17 * time.Millisecond)
				if _, counts := r.store.state(id); counts[campaign.InFlight] > uint64(tt.marks) {
					t.Fatalf("%s: %d marked; want at most %d", tt.policy, counts[campaign.InFlight], tt.marks)
				}
			}
			for {
				if state, _ := r.store.state(id); state == campaign.StateCompleted {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			synctest.Wait()
			if r.ch.most != 16 {
				t.Errorf("%d calls at a time; want 16", r.ch.most)
			}
			if rate := 2000 / time.Since(began).Seconds(); rate < 0.9*16/0.05 {
				t.Errorf("%s: %.0f messages a second; want near %v", tt.policy, rate, 16/0.05)
			}
		})
	}
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, taking(time.Millisecond), func(r *harness) { r.ch.batch = 100 })
		id := r.accept(campaign.Sending{}, 10000)
		time.Sleep(10 * time.Second)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10000)
		synctest.Wait()
		if r.ch.calls > 150 {
			t.Errorf("%d calls for 10000 messages in batches of 100", r.ch.calls)
		}
		if r.store.commits > 400 {
			t.Errorf("%d commits", r.store.commits)
		}
	})
}

// Ten recipients never wait behind a million.
func TestTenDontWaitBehindAMillion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, func(r *harness) { r.app.Channels[0].Rate = 10 })
		r.accept(campaign.Sending{CampaignID: 1}, 50000)
		time.Sleep(time.Minute)
		began := time.Now()
		id := r.accept(campaign.Sending{CampaignID: 2}, 10)
		time.Sleep(3 * time.Second)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("ten recipients took %v", took)
		}
	})
}

// Whatever the number of sendings and their sizes, each gets its turn: while all
// have something due, none is more than a turn ahead of another.
func TestFairness(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 100), 2, 6).Draw(rt, "sizes")
		concurrency := rapid.IntRange(1, 32).Draw(rt, "concurrency")
		rate := rapid.SampledFrom([]float64{0, 1, 50, 5000}).Draw(rt, "rate")
		var unfair string // a bubble can't end rapid's check
		synctest.Test(t, func(t *testing.T) {
			r := newHarness(t, taking(10*time.Millisecond), func(r *harness) {
				r.app.Channels[0].Concurrency, r.app.Channels[0].Rate = concurrency, rate
			})
			at := time.Now().Add(time.Minute)
			for i, n := range sizes {
				r.accept(campaign.Sending{CampaignID: int64(i), ScheduledAt: at}, n)
			}
			time.Sleep(2 * time.Hour)
			counts := make([]int, len(sizes))
			total := 0
			for _, m := range r.ch.sent() {
				counts[m.CampaignID]++
				total++
				least, most := 1<<30, 0
				for i, n := range counts {
					if n < sizes[i] {
						least = min(least, n)
					}
					most = max(most, n)
				}
				// A group of marks holds a share for each, and calls of one group end in any order.
				if turn := 2*concurrency + burst(rate); least < 1<<30 && most-least > turn && unfair == "" {
					unfair = fmt.Sprintf("sizes %v, concurrency %d, rate %v: counts %v after %d messages", sizes, concurrency, rate, counts, total)
				}
			}
			want := 0
			for _, n := range sizes {
				want += n
			}
			if total != want {
				unfair = fmt.Sprintf("%d messages went out; want %d", total, want)
			}
		})
		if unfair != "" {
			rt.Fatal(unfair)
		}
	})
}

// More sendings than keep their rows in memory between turns.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, taking(time.Millisecond))
		var ids []campaign.ID
		for i := range manyCursors + 36 {
			ids = append(ids, r.accept(campaign.Sending{CampaignID: int64(i)}, 50))
		}
		time.Sleep(time.Minute)
		for _, id := range ids {
			r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 50)
		}
		if n := len(r.ch.sent()); n != 50*len(ids) {
			t.Errorf("%d messages; want %d", n, 50*len(ids))
		}
	})
}
