package send

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

func TestOptOutBetweenPickAndClaimIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := remoteHarness(t, HoldUnknown, func(_ *harness, f *fakeRemote) {
			f.work = func(h *HandOut) {
				time.Sleep(time.Second)
				f.serve(h)
			}
		})
		id := r.accept(campaign.Sending{}, 10)
		time.Sleep(500 * time.Millisecond)
		r.store.optOut("34600000003")
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Suppressed, 1)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 9)
		for _, m := range f.sent() {
			if m.ContactCode == "34600000003" {
				t.Error("a contact got a message after its opt-out")
			}
		}
	})
}

func TestNothingIsClaimedAfterPauseOrCancel(t *testing.T) {
	for _, act := range []string{"pause", "cancel"} {
		t.Run(act, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				r, f := remoteHarness(t, RetryUnknown, func(r *harness, f *fakeRemote) {
					f.now = Workers{Places: 16, Batch: 4}
					f.took = 10 * time.Second
					f.work = func(h *HandOut) {
						f.state.Lock()
						n++
						slow := n > 2
						f.state.Unlock()
						if slow { // all but two batches are claimed late
							time.Sleep(time.Second)
						}
						f.serve(h)
					}
				})
				id := r.accept(campaign.Sending{}, 100)
				time.Sleep(500 * time.Millisecond)
				before := len(f.sent())
				do := r.Pause
				if act == "cancel" {
					do = r.Cancel
				}
				if _, err := do(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				if got := r.InFlightOf(id); got != before {
					t.Errorf("the command says that %d may still arrive, want the %d claimed", got, before)
				}
				time.Sleep(time.Hour)
				if got := len(f.sent()); got != before || before != 8 {
					t.Errorf("%d messages were claimed, %d of them before the command returned; want 8", got, before)
				}
				state, rest := campaign.StatePaused, campaign.Pending
				if act == "cancel" {
					state, rest = campaign.StateCanceled, campaign.Canceled
				}
				r.store.wantState(t, id, state, campaign.Sent, 8)
				r.store.wantState(t, id, state, rest, 92)
			})
		})
	}
}

func TestRateHoldsWhateverWorkersClaimTogether(t *testing.T) {
	for _, rate := range []float64{1, 80, 1000} {
		synctest.Test(t, func(t *testing.T) {
			wake := make(chan struct{})
			r, f := remoteHarness(t, RetryUnknown, func(r *harness, f *fakeRemote) {
				f.now = Workers{Places: 6 * 64, Batch: 64}
				r.app.Channels[0].Rate = rate
				f.work = func(h *HandOut) {
					f.state.Lock()
					w := wake
					f.state.Unlock()
					<-w // workers stall and then claim what they have together
					f.serve(h)
				}
			})
			r.accept(campaign.Sending{}, 2000)
			for range 40 {
				time.Sleep(700 * time.Millisecond)
				f.state.Lock()
				close(wake)
				wake = make(chan struct{})
				f.state.Unlock()
			}
			sent := f.sent()
			slices.SortFunc(sent, func(a, b sentMessage) int { return a.at.Compare(b.at) })
			for i := range sent {
				n := 0
				for _, m := range sent[i:] {
					if m.at.Sub(sent[i].at) >= time.Second {
						break
					}
					n++
				}
				if most := int(rate) + max(1, int(rate/100)); n > most {
					t.Fatalf("rate %v: %d messages in one second, want at most %d", rate, n, most)
				}
			}
			if len(sent) < 10 {
				t.Errorf("rate %v: %d messages in 28 s", rate, len(sent))
			}
			r.stop()
			f.state.Lock()
			close(wake)
			f.state.Unlock()
			f.workers.Wait()
		})
	}
}

func TestRemoteSlotNeverExceedsItsCapacity(t *testing.T) {
	const length, capacity = 10 * time.Second, 10
	synctest.Test(t, func(t *testing.T) {
		stalls := 0
		r, f := remoteHarness(t, RetryUnknown, func(r *harness, f *fakeRemote) {
			grid(length, capacity, nil)(r)
			f.work = func(h *HandOut) {
				f.state.Lock()
				stalls++
				wait := time.Duration(stalls%4) * time.Second
				f.state.Unlock()
				time.Sleep(wait)
				f.serve(h)
			}
		})
		start := r.now().Truncate(length).Add(length)
		var list []campaign.Slice
		for i := range 20 {
			begin := start.Add(time.Duration(i) * length)
			list = append(list, campaign.Slice{Start: begin, End: begin.Add(length), First: uint32(i * capacity), Rows: capacity, Recipients: capacity})
		}
		r.accept(campaign.Sending{ScheduledAt: start}, 20*capacity, list...)
		time.Sleep(time.Hour)
		seen := map[int64]int{}
		for _, m := range f.sent() {
			seen[m.at.Unix()/10]++
		}
		for slot, n := range seen {
			if n > capacity {
				t.Errorf("slot %d delivered %d messages, its capacity is %d", slot, n, capacity)
			}
		}
		if n := len(f.sent()); n < 20*capacity {
			t.Errorf("%d messages went out, want %d", n, 20*capacity)
		}
	})
}

// limited is a driver that admits few messages.
type limited struct {
	*fake
	mu       sync.Mutex // guards the fields below
	left     int
	answered int
}

func (l *limited) Admit(*Message) (Result, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left--
	return Result{Verdict: VerdictHold, Hold: HoldChannel, OwnRule: true, RetryAfter: time.Hour, Detail: "daily_contacts is reached"}, l.left >= 0
}

func (l *limited) Answered(*Message, *Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered++
}

// limitedRemote is a remote channel with such a driver.
type limitedRemote struct {
	*fakeRemote
	rules *limited
}

func (r limitedRemote) Rules() Channel { return r.rules }

func TestRulesOfTheDriverAreAskedBeforeHandOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := &limited{left: 20}
		r, f := remoteHarness(t, HoldUnknown, func(r *harness, f *fakeRemote) {
			rules.fake = &f.fake
			r.app.Channels[0].Channel = limitedRemote{f, rules}
		})
		id := r.accept(campaign.Sending{}, 100)
		time.Sleep(30 * time.Minute)
		r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 20)
		r.store.wantState(t, id, campaign.StateSending, campaign.Pending, 80)
		switch s := r.Channels()[0]; {
		case s.State != ChannelHeld:
			t.Errorf("s.State = %q, want %q", s.State, ChannelHeld)
		case s.Reason != "daily_contacts is reached":
			t.Errorf("channel is %s: s.Reason = %q, want \"daily_contacts is reached\"", s.State, s.Reason)
		}
		rules.mu.Lock()
		defer rules.mu.Unlock()
		if rules.answered != 20 || len(f.sent()) != 20 {
			t.Errorf("%d answers were told and %d messages sent, want 20", rules.answered, len(f.sent()))
		}
	})
}
