package send

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// faults makes operations of the store fail by name or by the beginning of a name.
type faultyStore struct {
	mu sync.Mutex
	on map[string]bool
}

var errDisk = errors.New("no space left on device")

func (f *faultyStore) set(op string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on == nil {
		f.on = map[string]bool{}
	}
	f.on[op] = on
}

func (f *faultyStore) fail(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, on := range f.on {
		if on && strings.HasPrefix(op, name) {
			return errDisk
		}
	}
	return nil
}

func TestNeverSendsWhatItCouldNotRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := &faultyStore{}
		r := newHarness(t, func(r *harness) {
			r.store.fail = f.fail
			r.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		f.set("attempts", true)
		id := r.accept(campaign.Sending{Contents: []campaign.Content{{Item: []byte(`{"n":1}`)}, {Item: []byte(`{"n":2}`)}}}, 100)
		time.Sleep(time.Hour)
		synctest.Wait() // the log is read below
		if n := len(r.ch.sent()); n > 0 {
			t.Errorf("%d messages went out that were not recorded", n)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "no space left") {
			t.Errorf("log has %d lines, want one that says why:\n%s", n, log.String())
		}
		f.set("attempts", false)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 200)
	})
}

func TestResultsAreRecordedOnceTheStoreWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faultyStore{}
		r := newHarness(t, func(r *harness) { r.store.fail = f.fail })
		f.set("results", true)
		id := r.accept(campaign.Sending{}, 1000)
		time.Sleep(time.Hour)
		if n := len(r.ch.sent()); n == 0 || n > 8 {
			t.Errorf("%d messages went out without a result recorded; want at most 8", n)
		}
		f.set("results", false)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 1000)
		if n := len(r.ch.sent()); n != 1000 {
			t.Errorf("%d messages went out; want 1000", n)
		}
	})
}

// After the store was abandoned, a stop doesn't wait for results that can't be recorded, nor for drivers.
func TestAbandonedStoreDelaysNoStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faultyStore{}
		r := newHarness(t, func(r *harness) { r.store.fail = f.fail; r.opts.StopTimeout = time.Minute })
		f.set("results", true)
		r.accept(campaign.Sending{}, 1000)
		time.Sleep(time.Hour)
		began := time.Now()
		r.Abandon()
		err := r.stop()
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("the stop took %s", took)
		}
		if err == nil || !strings.Contains(err.Error(), "count as in flight") {
			t.Errorf("got %v, want that messages count as in flight", err)
		}
	})
}

func TestEveryFaultPasses(t *testing.T) {
	for _, op := range []string{"due", "load", "rows", "retries", "finish", "suppressed", "state", "attempts", "results", ""} {
		t.Run("op "+op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &faultyStore{}
				once := map[string]bool{}
				r := newHarness(t, func(r *harness) { r.store.fail = f.fail }, answering(func(m *Message) Result {
					if m.Attempt == 1 {
						return Result{Verdict: VerdictRetry, Detail: "busy"}
					}
					if !once["hold"] {
						once["hold"] = true
						return Result{Verdict: VerdictHold, Hold: HoldSending, Detail: "paused"}
					}
					return Result{Verdict: VerdictSent}
				}))
				r.app.Channels[0].Concurrency = 1
				id := r.accept(campaign.Sending{}, 100)
				for range 20 {
					f.set(op, true)
					time.Sleep(1500 * time.Millisecond)
					f.set(op, false)
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(time.Hour)
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
			})
		})
	}
}

// What is wrong with one sending's rows keeps no other from going out.
func TestOneSendingsFaultIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faultyStore{}
		r := newHarness(t, func(r *harness) { r.store.fail = f.fail })
		bad := r.accept(campaign.Sending{ScheduledAt: time.Now().Add(time.Millisecond)}, 10)
		f.set("rows "+string(bad), true)
		good := r.accept(campaign.Sending{}, 10)
		time.Sleep(time.Second)
		r.store.wantState(t, good, campaign.StateCompleted, campaign.Sent, 10)
		f.set("rows "+string(bad), false)
		time.Sleep(2 * time.Minute)
		r.store.wantState(t, bad, campaign.StateCompleted, campaign.Sent, 10)
	})
}

func TestFailedSteering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faultyStore{}
		r := newHarness(t, func(r *harness) { r.store.fail = f.fail; r.app.Channels[0].Rate = 1 })
		id := r.accept(campaign.Sending{}, 60)
		time.Sleep(5 * time.Second)
		f.set("state", true)
		f.set("close", true)
		if _, err := r.Pause(t.Context(), id); !errors.Is(err, errDisk) {
			t.Errorf("pause: %v", err)
		}
		time.Sleep(5 * time.Second)
		if _, err := r.Cancel(t.Context(), id); !errors.Is(err, errDisk) {
			t.Errorf("cancel: %v", err)
		}
		f.set("state", false)
		f.set("close", false)
		time.Sleep(2 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 60) // what couldn't be done was not done
		f.set("load", true)
		for _, act := range []func(context.Context, campaign.ID) (campaign.State, error){r.Resume, r.Cancel} {
			if _, err := act(t.Context(), id); !errors.Is(err, errDisk) {
				t.Errorf("steering: %v", err)
			}
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated)
		id := r.accept(campaign.Sending{}, 100)
		synctest.Wait()
		time.AfterFunc(5*time.Second, r.openGate)
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the stop took %v; what was in flight ended after 5s", took)
		}
		r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 4)
		r.store.wantState(t, id, campaign.StateSending, campaign.Pending, 96)
		if r.ch.ended() != 1 {
			t.Errorf("driver closed %d times", r.ch.ended())
		}
	})
}

func TestStopCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated, func(r *harness) {
			r.app.Channels[0].OnUnknown = HoldUnknown
			r.ch.answer = func(ctx context.Context, _ *Message) Result {
				return Result{Verdict: VerdictUnknown, Detail: "cut off"}
			}
		})
		id := r.accept(campaign.Sending{}, 100)
		synctest.Wait()
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("the stop took %v; want 10s", took)
		}
		r.store.wantState(t, id, campaign.StateSending, campaign.Unknown, 4)
		r.store.wantState(t, id, campaign.StateSending, campaign.Pending, 96)
	})
}

func TestStopWithAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faultyStore{}
		r := newHarness(t, func(r *harness) { r.store.fail = f.fail })
		f.set("results", true)
		r.accept(campaign.Sending{}, 100)
		time.Sleep(time.Second)
		began := time.Now()
		if err := r.stop(); err == nil {
			t.Error("no error, though results were lost")
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated, func(r *harness) { r.app.Channels[0].Concurrency = 2 })
		id := r.accept(campaign.Sending{}, 100)
		synctest.Wait()
		second := &fake{}
		app := r.app
		app.Channels = []ChannelSettings{{Name: "c", Channel: second, Concurrency: 3}}
		r.Configure([]Application{app})
		r.Configure([]Application{app}) // the same again closes nothing
		time.Sleep(time.Minute)
		if r.ch.ended() != 0 {
			t.Error("the old driver was closed with messages in flight")
		}
		r.openGate()
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
		if a, b := len(r.ch.sent()), len(second.sent()); a != 2 || b != 98 {
			t.Errorf("%d by the old driver, %d by the new one; want 2 and 98", a, b)
		}
		if r.ch.ended() != 1 || second.ended() != 0 {
			t.Errorf("closed %d and %d times; want the old driver once", r.ch.ended(), second.ended())
		}

		// Without its channel a sending is held and says why; with it, it goes on by itself.
		id = r.accept(campaign.Sending{ScheduledAt: time.Now().Add(time.Hour)}, 10)
		r.Configure([]Application{{ID: 1}})
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		r.store.wantState(t, id, campaign.StateHeld, campaign.Pending, 10)
		if second.ended() != 1 {
			t.Errorf("second.ended() = %v, want 1", second.ended())
		}
		if reason := r.store.header(id).Reason; !strings.Contains(reason, `"c"`) {
			t.Errorf("it is held for the reason %q, want \"c\" in it", reason)
		}
		third := &fake{}
		app.Channels = []ChannelSettings{{Name: "c", Channel: third}}
		r.Configure([]Application{app})
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
		if held := r.HeldChannels(); len(held) > 0 {
			t.Errorf("got held channels %v, want none", held)
		}
		if n := len(r.Channels()); n != 1 {
			t.Errorf("got %d channels, want 1", n)
		}
	})
}

func TestUnknownApplicationAndBadContentAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		a := r.accept(campaign.Sending{ApplicationID: 9}, 1)
		b := r.accept(campaign.Sending{Contents: []campaign.Content{{Item: []byte(`{"n":"{{gone}}"}`)}}}, 1)
		time.Sleep(time.Minute)
		r.store.wantState(t, a, campaign.StateHeld, campaign.Pending, 1)
		r.store.wantState(t, b, campaign.StateHeld, campaign.Pending, 1)
	})
}
