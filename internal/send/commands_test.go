package send

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// gated makes every call of the rig's channel wait until open is called.
func gated(r *harness) { r.ch.gate = make(chan struct{}) }

func (r *harness) openGate() { close(r.ch.gate) }

// Nothing new goes out after the command has returned; what is in flight ends and is recorded.
// After HoldAll nothing new of the held sendings goes out until somebody resumes them.
func TestHoldAllStopsEveryQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated)
		ids := []campaign.ID{r.accept(campaign.Sending{}, 100), r.accept(campaign.Sending{}, 100)}
		synctest.Wait()
		err := r.HoldAll(func() error {
			for _, id := range ids {
				if _, _, err := r.store.SetState(id, pausable, campaign.StateHeld, "restored"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		before := len(r.ch.sent())
		r.openGate()
		time.Sleep(time.Hour)
		if n := len(r.ch.sent()); n != before {
			t.Errorf("%d messages went out after everything was held", n-before)
		}
		for _, id := range ids {
			if _, err := r.Resume(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		for _, id := range ids {
			r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
		}
		if n := len(r.ch.sent()); n != 200 {
			t.Errorf("%d messages went out, want 200", n)
		}
	})
}

func TestPauseStopsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated)
		id := r.accept(campaign.Sending{}, 100)
		synctest.Wait()
		if n := r.InFlightOf(id); n != 8 {
			t.Errorf("%d in flight; want 8", n)
		}
		state, err := r.Pause(t.Context(), id)
		if state != campaign.StatePaused || err != nil {
			t.Fatalf("pause: %s, %v", state, err)
		}
		synctest.Wait()
		before := len(r.ch.sent())
		if before != 4 || r.InFlightOf(id) != 4 {
			t.Errorf("%d under way, %d in flight; want the 4 that the channel got", before, r.InFlightOf(id))
		}
		r.openGate()
		time.Sleep(time.Hour)
		if n := len(r.ch.sent()); n != before {
			t.Errorf("%d messages went out after the pause", n-before)
		}
		r.store.wantState(t, id, campaign.StatePaused, campaign.Sent, 4)
		r.store.wantState(t, id, campaign.StatePaused, campaign.Pending, 96)
		if state, err := r.Pause(t.Context(), id); state != campaign.StatePaused || err != nil {
			t.Errorf("pause again: %s, %v", state, err)
		}
		state, err = r.Resume(t.Context(), id)
		if state != campaign.StateSending || err != nil {
			t.Fatalf("resume: %s, %v", state, err)
		}
		time.Sleep(time.Second)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
		for _, m := range r.ch.sent() {
			if m.Attempt != 1 {
				t.Errorf("attempt %d: what was given back was not attempted", m.Attempt)
			}
		}
		for _, act := range []func(context.Context, campaign.ID) (campaign.State, error){r.Pause, r.Resume, r.Cancel} {
			if state, err := act(t.Context(), id); state != campaign.StateCompleted || !errors.Is(err, ErrState) {
				t.Errorf("acting on what is completed: %s, %v; want ErrState", state, err)
			}
		}
	})
}

// A resume while the pause's last messages are still on their way sends none of them twice.
func TestResumeBeforeInFlightEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated)
		id := r.accept(campaign.Sending{}, 20)
		synctest.Wait()
		if _, err := r.Pause(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(r.ch.sent()); n != 4 {
			t.Errorf("%d under way; want the 4 from before the pause", n)
		}
		r.openGate()
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 20)
		if n := len(r.ch.sent()); n != 20 {
			t.Errorf("%d messages went out; want 20", n)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated)
		id := r.accept(campaign.Sending{}, 100)
		synctest.Wait()
		began := time.Now()
		state, err := r.Cancel(t.Context(), id)
		if state != campaign.StateSending || err != nil || time.Since(began) != cancelWait {
			t.Errorf("cancel with messages in flight: %s, %v after %v; want sending after the wait", state, err, time.Since(began))
		}
		if _, counts := r.store.state(id); counts[campaign.Canceled] < 92 {
			t.Errorf("counts %v; want the rest canceled at once", counts)
		}
		r.openGate()
		time.Sleep(time.Second)
		state, counts := r.store.state(id)
		if state != campaign.StateCanceled || counts[campaign.Sent] != 4 || counts[campaign.Canceled] != 96 {
			t.Errorf("state %s, counts %v; want canceled with 4 sent and 96 canceled", state, counts)
		}
		if n := len(r.ch.sent()); n != 4 {
			t.Errorf("%d messages went out; want 4", n)
		}
		if state, err := r.Cancel(t.Context(), id); state != campaign.StateCanceled || err != nil {
			t.Errorf("cancel again: %s, %v", state, err)
		}
	})
}

func TestCancelBeforeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		for _, before := range []func(campaign.ID){
			func(campaign.ID) {},
			func(id campaign.ID) { _, _ = r.Pause(t.Context(), id) },
		} {
			id := r.accept(campaign.Sending{ScheduledAt: time.Now().Add(time.Hour)}, 10)
			before(id)
			state, err := r.Cancel(t.Context(), id)
			if state != campaign.StateCanceled || err != nil {
				t.Errorf("cancel: %s, %v", state, err)
			}
			r.store.wantState(t, id, campaign.StateCanceled, campaign.Canceled, 10)
		}
		time.Sleep(2 * time.Hour)
		if n := len(r.ch.sent()); n > 0 {
			t.Errorf("%d messages of canceled sendings went out", n)
		}
	})
}

// A retry that comes back after the cancel is not made.
func TestCancelEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated, answering(func(*Message) Result { return Result{Verdict: VerdictRetry, Detail: "busy"} }))
		id := r.accept(campaign.Sending{}, 3)
		synctest.Wait()
		if _, err := r.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		r.openGate()
		time.Sleep(time.Hour)
		r.store.wantState(t, id, campaign.StateCanceled, campaign.Canceled, 3)
		if n := len(r.ch.sent()); n != 3 {
			t.Errorf("%d attempts; want 3", n)
		}
	})
}

// A message comes back to be retried while the cancel can't be recorded.
func TestAFailedCancelCancelsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated, answering(func(m *Message) Result {
			if m.Attempt == 1 {
				return Result{Verdict: VerdictRetry, Detail: "busy"}
			}
			return Result{Verdict: VerdictSent}
		}))
		id := r.accept(campaign.Sending{}, 3)
		synctest.Wait()
		r.store.setFail(func(op string) error {
			if op != "close" {
				return nil
			}
			r.openGate()
			time.Sleep(time.Second)
			return errDisk
		})
		if _, err := r.Cancel(t.Context(), id); !errors.Is(err, errDisk) {
			t.Errorf("cancel: %v, want %v", err, errDisk)
		}
		r.store.setFail(nil)
		time.Sleep(time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 3)
	})
}

// A cancel that a crash cut off is brought to its end, and nothing of it goes out.
func TestCancelIsBroughtToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id campaign.ID
		r := newHarness(t, func(r *harness) {
			id = r.store.add(campaign.Sending{ScheduledAt: time.Now()}, 10)
			_, _, err := r.store.Finalize(id, campaign.Canceled)
			r.store.must(err)
		})
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCanceled, campaign.Canceled, 10)
		if n := len(r.ch.sent()); n > 0 {
			t.Errorf("%d messages of it went out", n)
		}
	})
}

// Messages that someone else has settled or stopped in the store are not sent.
func TestRefusedAttemptsAreNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, gated)
		id := r.accept(campaign.Sending{}, 50)
		synctest.Wait()
		r.store.move(id, campaign.StatePaused) // behind the dispatcher's back
		r.store.must(r.store.Commit(t.Context(), []campaign.Entry{{Sending: id, Row: 20, Message: 1, Outcome: campaign.Suppressed, At: time.Now()}}))
		r.openGate()
		time.Sleep(time.Minute)
		if n := len(r.ch.sent()); n > 8 {
			t.Errorf("%d messages went out; want those that were marked", n)
		}
		r.store.move(id, campaign.StateScheduled)
		r.Kick()
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 49)
	})
}

// Messages that a person asks to be sent again after they failed go out, while the sending is at work or done.
func TestResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fixed atomic.Bool
		r := newHarness(t, answering(func(m *Message) Result {
			if !fixed.Load() && m.ContactCode == "34600000003" {
				return Result{Verdict: VerdictPermanent, Detail: "no"}
			}
			return Result{Verdict: VerdictSent}
		}), func(r *harness) { r.app.Channels[0].Rate = 1 })
		id := r.accept(campaign.Sending{}, 20)
		again := func() {
			if resent, err := r.store.Resend(id, store.Resending{Outcomes: []campaign.Outcome{campaign.Failed}}); resent.Moved.Final() != 1 || err != nil {
				t.Errorf("%d messages to send again, %v; want 1", resent.Moved.Final(), err)
			}
		}
		time.Sleep(10 * time.Second)
		again()
		r.Kick()
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Failed, 1)
		fixed.Store(true)
		again()
		r.Kick()
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 20)
	})
}

// The last results of a paused sending come after the pause. The last change that is reported shows them.
func TestChangeAfterTheLastResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []uint64 // at each change
		r := newHarness(t, gated, func(r *harness) {
			r.opts.OnChange = func(id campaign.ID) {
				_, counts := r.store.state(id)
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, counts[campaign.Sent])
			}
		})
		id := r.accept(campaign.Sending{}, 100)
		synctest.Wait()
		if _, err := r.Pause(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.openGate()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if last := sent[len(sent)-1]; last != 4 {
			t.Errorf("%d sent at the last change; want 4", last)
		}
	})
}
