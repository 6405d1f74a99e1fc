package send

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// named is a channel with the name of its receiver.
type named struct{ *fake }

func (named) Receiver() string { return "hooks.example" }

// A receiver that hangs has no failures before its first timeout, and a sending waits for it all the same.
func TestAReceiverThatHangsIsAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 30 * time.Second
		r := newHarness(t, func(r *harness) { r.app.Channels[0].Channel = named{r.ch} }, answering(func(*Message) Result {
			time.Sleep(timeout)
			return Result{Verdict: VerdictUnknown, Detail: "the request was written, but no answer came: nothing within 30s"}
		}))
		begin := r.now()
		id := r.accept(campaign.Sending{}, 1)
		time.Sleep(4 * time.Second)
		if w, ok := r.Wait(id); ok {
			t.Errorf("Wait = %+v after 4s; want none: the receiver may be slow", w)
		}
		time.Sleep(2 * time.Second)
		for r.now().Sub(begin) < 3*timeout {
			w, ok := r.Wait(id)
			s := r.Channels()[0]
			switch {
			case !ok:
				t.Fatalf("no wait after %v", r.now().Sub(begin))
			case !strings.Contains(w.Reason, "no answer"):
				t.Fatalf("w.Reason = %q after %v, want \"no answer\" in it", w.Reason, r.now().Sub(begin))
			case !w.Until.IsZero() && !w.Until.After(r.now()):
				t.Fatalf("w.Until = %v after %v", w.Until, r.now().Sub(begin))
			case s.State != ChannelTrouble:
				t.Fatalf("the channel is %s after %v, want trouble", s.State, r.now().Sub(begin))
			}
			if r.now().Sub(begin) < timeout && (w.Reason != "channel c: no answer from hooks.example" || !w.Since.Equal(begin)) {
				t.Fatalf("Wait = %+v, want the receiver and since %v", w, begin)
			}
			time.Sleep(700 * time.Millisecond)
		}
	})
}

// All workers wait for answers to the messages of one sending, so another one waits too. When one comes, neither does.
func TestAHangingReceiverIsTheReasonOfEverySendingThatWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		r := newHarness(t, func(r *harness) { r.ch.gate = gate })
		first := r.accept(campaign.Sending{}, 500)
		time.Sleep(time.Second)
		second := r.accept(campaign.Sending{}, 500)
		later := r.accept(campaign.Sending{ScheduledAt: r.now().Add(time.Hour)}, 1)
		time.Sleep(10 * time.Second)
		for _, id := range []campaign.ID{first, second} {
			if w, ok := r.Wait(id); !ok || w.Reason != "channel c: no answer from the receiver" {
				t.Errorf("%s waits: %+v, %t; want the receiver", id, w, ok)
			}
		}
		if w, ok := r.Wait(later); ok {
			t.Errorf("a sending of later waits: %+v", w)
		}
		close(gate)
		time.Sleep(10 * time.Millisecond)
		for _, id := range []campaign.ID{first, second} {
			if w, ok := r.Wait(id); ok {
				t.Errorf("%s waits after the answers: %+v", id, w)
			}
		}
		if s := r.Channels()[0]; s.State != ChannelOK {
			t.Errorf("the channel is %s after the answers", s.State)
		}
	})
}

// A receiver that always takes its time isn't silent.
func TestASlowReceiverIsNoReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, taking(8*time.Second), func(r *harness) { r.app.Channels[0].Concurrency = 1 })
		id := r.accept(campaign.Sending{}, 50)
		time.Sleep(time.Minute)
		for range 200 {
			if w, ok := r.Wait(id); ok {
				t.Fatalf("Wait = %+v; want none", w)
			}
			time.Sleep(700 * time.Millisecond)
		}
	})
}

// While the only message of a sending is the probe of a receiver that hangs, the sending still says why it waits.
func TestAHangingProbeHasAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(*Message) Result {
			time.Sleep(10 * time.Second)
			return Result{Verdict: VerdictUnreachable, Detail: "nothing within 10s"}
		}))
		id := r.accept(campaign.Sending{}, 1)
		time.Sleep(31 * time.Second) // the third attempt puts the channel in trouble
		for range 60 {
			if w, ok := r.Wait(id); !ok || !strings.Contains(w.Reason, "in trouble") {
				t.Fatalf("Wait = %+v, %t after %v; want the channel's trouble", w, ok, r.now())
			}
			time.Sleep(time.Second)
		}
	})
}
