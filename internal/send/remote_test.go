package send

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

func TestRemoteChannelSendsEachMessageOnce(t *testing.T) {
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, f := remoteHarness(t, policy)
				id := r.accept(campaign.Sending{Contents: []campaign.Content{{Item: []byte(`{"n":1}`)}, {Item: []byte(`{"n":2}`)}}}, 500)
				time.Sleep(time.Minute)
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 1000)
				first := map[string]time.Time{}
				for _, m := range f.sent() {
					if m.Number == 1 {
						first[m.ContactCode] = m.at
					}
				}
				for _, m := range f.sent() {
					if m.Number == 2 && m.at.Before(first[m.ContactCode].Add(f.took)) {
						t.Errorf("the second message went out %s after the first, before its answer", m.at.Sub(first[m.ContactCode]))
					}
				}
				if n := len(f.sent()); n != 1000 {
					t.Errorf("%d messages went out, want 1000", n)
				}
				if most := slices.Max(f.offered()); most > 16 {
					t.Errorf("a batch of %d messages, want at most the worker's 16 places", most)
				}
			})
		})
	}
}

func TestBatchThatNobodyClaimsIsWithdrawnUncounted(t *testing.T) {
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var late []*HandOut
				r, f := remoteHarness(t, policy, func(_ *harness, f *fakeRemote) {
					f.work = func(h *HandOut) {
						f.state.Lock()
						late = append(late, h)
						f.state.Unlock()
					}
				})
				id := r.accept(campaign.Sending{}, 10)
				time.Sleep(20 * time.Second)
				f.state.Lock()
				again := len(late)
				f.work = nil
				old := late[0]
				f.state.Unlock()
				if again < 4 {
					t.Errorf("offered %d times within 20 s, want again after each 3 s", again)
				}
				for _, yes := range old.Claim() {
					if yes {
						t.Error("a withdrawn batch was granted")
					}
				}
				time.Sleep(time.Minute)
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
				for _, m := range f.sent() {
					if m.Attempt != 1 {
						t.Errorf("attempt %d, want 1: nobody had claimed the ones before", m.Attempt)
					}
				}
				if status := r.Channels()[0]; status.State != ChannelOK {
					t.Errorf("channel is %s: %s", status.State, status.Reason)
				}
			})
		})
	}
}

// A worker takes a batch and is never heard of again.
func TestBatchWithoutAnswerIsDecidedByOnUnknown(t *testing.T) {
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				died := false
				r, f := remoteHarness(t, policy, func(r *harness, f *fakeRemote) {
					r.app.Channels[0].Concurrency = 1
					f.work = func(h *HandOut) {
						f.state.Lock()
						dies := !died
						died = true
						f.state.Unlock()
						if results := f.deliver(h); !dies {
							f.answerAll(h, results)
						}
					}
				})
				id := r.accept(campaign.Sending{}, 100)
				time.Sleep(30 * time.Second)
				if got := r.InFlightOf(id); got != 16 {
					t.Errorf("%d in flight while the worker is silent, want 16", got)
				}
				time.Sleep(31 * time.Second) // answer_wait has passed
				switch status := r.Channels()[0]; {
				case status.State != ChannelOK:
					t.Errorf("channel is %s after a worker's death: status.State = %q, want %q\n%s", status.State, status.State, ChannelOK, status.Reason)
				case status.LastError != "":
					t.Errorf("channel is %s after a worker's death: status.LastError = %q, want none", status.State, status.LastError)
				}
				time.Sleep(time.Hour)
				if policy == HoldUnknown {
					r.store.wantState(t, id, campaign.StateCompleted, campaign.Unknown, 16)
					r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 84)
					return
				}
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
				if n := len(f.sent()); n != 116 {
					t.Errorf("%d attempts, want 16 more than 100", n)
				}
			})
		})
	}
}

func TestNoAnswerIsMissedWhileTheServersAreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready := make(chan struct{})
		r, f := remoteHarness(t, HoldUnknown, func(r *harness, f *fakeRemote) {
			f.work = func(h *HandOut) {
				results := f.deliver(h)
				<-ready
				f.answerAll(h, results)
			}
		})
		id := r.accept(campaign.Sending{}, 10)
		time.Sleep(time.Second)
		f.set(Workers{Places: 16, Batch: 16, Away: true, Wait: "no server answers"})
		time.Sleep(10 * time.Minute)
		r.store.wantState(t, id, campaign.StateSending, campaign.InFlight, 10)
		f.set(Workers{Places: 16, Batch: 16})
		time.Sleep(30 * time.Second)
		close(ready)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
	})
}

func TestBatchIsGrantedAgainOnlyWhereUnknownIsResent(t *testing.T) {
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var second atomic.Int64
				r, _ := remoteHarness(t, policy, func(_ *harness, f *fakeRemote) {
					f.work = func(h *HandOut) {
						h.Claim() // a worker that dies at once
						time.Sleep(5 * time.Second)
						results := f.deliver(h)
						for _, res := range results {
							if res.Verdict != 0 {
								second.Add(1)
							}
						}
						f.answerAll(h, results)
					}
				})
				id := r.accept(campaign.Sending{}, 10)
				time.Sleep(10 * time.Minute)
				want, outcome := int64(10), campaign.Sent
				if policy == HoldUnknown {
					want, outcome = 0, campaign.Unknown
				}
				if got := second.Load(); got != want {
					t.Errorf("the second worker was granted %d messages, want %d", got, want)
				}
				r.store.wantState(t, id, campaign.StateCompleted, outcome, 10)
			})
		})
	}
}

// A worker that was never granted a batch gives it back while another one sends it.
func TestBatchIsNotRefusedOnceItIsGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := remoteHarness(t, HoldUnknown, func(_ *harness, f *fakeRemote) {
			f.work = func(h *HandOut) {
				results := f.deliver(h)
				h.Refuse()
				f.answerAll(h, results)
			}
		})
		id := r.accept(campaign.Sending{}, 10)
		time.Sleep(10 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
		offered := 0
		for _, size := range f.offered() {
			offered += size
		}
		if offered != 10 {
			t.Errorf("%d messages were offered, want 10", offered)
		}
	})
}

// What was opted out before the second worker claims it may have gone out with the first.
func TestMessageRefusedAtTheSecondClaimMayHaveBeenDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := remoteHarness(t, RetryUnknown, func(r *harness, f *fakeRemote) {
			f.work = func(h *HandOut) {
				h.Claim()
				r.store.optOut("34600000003")
				f.serve(h)
			}
		})
		id := r.accept(campaign.Sending{}, 10)
		time.Sleep(10 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Unknown, 1)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 9)
	})
}

func TestWithoutAWorkerNothingIsMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := remoteHarness(t, HoldUnknown, func(_ *harness, f *fakeRemote) { f.now = Workers{} })
		id := r.accept(campaign.Sending{}, 10)
		time.Sleep(time.Minute)
		w, waits := r.Wait(id)
		if !waits || w.Reason != "channel c: no worker that sends it is running" || w.Since.IsZero() {
			t.Errorf("it waits: %v, %+v; want: for a worker", waits, w)
		}
		switch s := r.Channels()[0]; {
		case s.State != ChannelTrouble:
			t.Errorf("s.State = %q, want %q", s.State, ChannelTrouble)
		case s.Reason != noWorker:
			t.Errorf("channel is %s: s.Reason = %q, want %q", s.State, s.Reason, noWorker)
		}
		r.store.wantState(t, id, campaign.StateScheduled, campaign.Pending, 10)
		f.set(Workers{Wait: "no wire version in common", Held: true})
		time.Sleep(time.Minute)
		switch s := r.Channels()[0]; {
		case s.State != ChannelHeld:
			t.Errorf("s.State = %q, want %q", s.State, ChannelHeld)
		case s.Reason != "no wire version in common":
			t.Errorf("channel is %s: s.Reason = %q, want \"no wire version in common\"", s.State, s.Reason)
		}
		f.set(Workers{Places: 4, Batch: 4})
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
		if w, waits := r.Wait(id); waits {
			t.Errorf("it still waits: %+v", w)
		}
	})
}

// The batch may be with the servers although they didn't say so: nobody may claim it any more.
func TestBatchThatCouldNotBePublishedIsNotGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := remoteHarness(t, HoldUnknown, func(_ *harness, f *fakeRemote) {
			f.down = true
			f.work = func(h *HandOut) {
				time.Sleep(time.Second)
				f.serve(h)
			}
		})
		id := r.accept(campaign.Sending{}, 3)
		time.Sleep(30 * time.Second)
		if n := len(f.sent()); n > 0 {
			t.Errorf("%d messages went out", n)
		}
		f.state.Lock()
		f.down = false
		f.state.Unlock()
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 3)
	})
}

// At a stop, what nobody has claimed is pending again, and what was claimed stays in flight for
// the next start, which finds the answers.
func TestStopLeavesClaimedMessagesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		hang := make(chan struct{})
		r, f := remoteHarness(t, HoldUnknown, func(r *harness, f *fakeRemote) {
			f.now = Workers{Places: 16, Batch: 8}
			f.work = func(h *HandOut) {
				f.state.Lock()
				n++
				first := n == 1
				f.state.Unlock()
				if first {
					f.deliver(h)
				}
				<-hang
			}
		})
		id := r.accept(campaign.Sending{}, 100)
		time.Sleep(time.Second)
		if err := r.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		close(hang)
		f.workers.Wait()
		r.store.wantState(t, id, campaign.StateSending, campaign.InFlight, 8)
		r.store.wantState(t, id, campaign.StateSending, campaign.Pending, 92)
		if got := len(f.sent()); got != 8 {
			t.Errorf("%d messages went out, want 8", got)
		}
	})
}

func TestLargeMessagesGoInSmallerBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := remoteHarness(t, HoldUnknown, func(_ *harness, f *fakeRemote) { f.now = Workers{Places: 64, Batch: 64} })
		text := strings.Repeat("x", 3000)
		id := r.accept(campaign.Sending{Contents: []campaign.Content{{Item: []byte(`{"body":"` + text + ` {{name}}"}`)}}}, 64)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 64)
		if most := slices.Max(f.offered()); most != 10 {
			t.Errorf("the largest batch has %d messages of 3,000 bytes, want 10: 32 KiB", most)
		}
		keys := map[string]bool{}
		for _, m := range f.sent() {
			want := `"body":"` + text + ` n`
			if keys[m.Key] {
				t.Fatal("keys[m.Key] = true, want false")
			}
			if !strings.Contains(string(m.Content), want) {
				t.Fatalf("m.Content = %q, want %q in it", string(m.Content), want)
			}
			keys[m.Key] = true
		}
	})
}

// Every worker that gets the batch dies of it: it isn't sent again and again.
func TestBatchThatKillsWorkersIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f := remoteHarness(t, RetryUnknown, func(_ *harness, f *fakeRemote) {
			f.work = func(h *HandOut) {
				for range 3 { // NATS hands it out three times
					f.deliver(h)
					time.Sleep(5 * time.Second)
				}
			}
		})
		id := r.accept(campaign.Sending{}, 10)
		time.Sleep(time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Unknown, 10)
		if n := len(f.sent()); n != 30 {
			t.Errorf("%d messages went to a worker, want each three times", n)
		}
	})
}
