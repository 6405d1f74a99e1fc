package send

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// until answers with res for a while, and accepts everything afterwards.
func until(length time.Duration, res Result) func(*harness) {
	end := time.Now().Add(length)
	return answering(func(*Message) Result {
		if time.Now().Before(end) {
			return res
		}
		return Result{Verdict: VerdictSent}
	})
}

var unreachable = Result{Verdict: VerdictUnreachable, Code: "connect", Detail: "connection refused"}

func TestOutageCostsNoMessage(t *testing.T) {
	for _, c := range []struct {
		name       string
		recipients int
		outage     time.Duration
	}{{"one message", 1, 45 * time.Second}, {"two messages", 2, 45 * time.Second}, {"many messages", 500, 5 * time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, until(c.outage, unreachable))
				id := r.accept(campaign.Sending{}, c.recipients)
				time.Sleep(c.outage / 2)
				if s := r.Channels()[0]; s.State != ChannelTrouble || !strings.Contains(s.Reason, "connection refused") || s.Since.IsZero() {
					t.Errorf("status %+v; want trouble and its reason", s)
				}
				time.Sleep(c.outage/2 + 3*time.Minute)
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, uint64(c.recipients))
				if s := r.Channels()[0]; s.State != ChannelOK || s.Reason != "" || s.LastError != "" {
					t.Errorf("status %+v; want ok", s)
				}
				if n := len(r.ch.sent()) - c.recipients; n > 400 {
					t.Errorf("%d attempts during the outage", n)
				}
				for _, m := range r.ch.sent() {
					if m.Attempt != 1 {
						t.Fatalf("attempt %d; want none counted", m.Attempt)
					}
				}
			})
		})
	}
}

func TestThrottleStopsTheWholeChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var throttledAt time.Time
		var n atomic.Int64
		r := newHarness(t, func(r *harness) {
			r.app.Channels[0].Rate = 80
			r.ch.answer = func(context.Context, *Message) Result {
				if n.Add(1) == 40 {
					throttledAt = time.Now()
					return Result{Verdict: VerdictThrottled, Code: "429", Detail: "too many requests", RetryAfter: 20 * time.Second}
				}
				return Result{Verdict: VerdictSent}
			}
		})
		id := r.accept(campaign.Sending{}, 300)
		time.Sleep(10 * time.Second)
		if s := r.Channels()[0]; s.State != ChannelThrottled || s.RetryAt.Sub(throttledAt) != 20*time.Second || s.Limit != 40 {
			t.Errorf("status %+v; want throttled for 20s at half the rate", s)
		}
		time.Sleep(2 * time.Minute)
		for _, m := range r.ch.sent() {
			if after := m.at.Sub(throttledAt); after > 0 && after < 20*time.Second {
				t.Fatalf("a message went out %v after the throttle", after)
			}
			if m.Attempt != 1 {
				t.Errorf("attempt %d; want none counted", m.Attempt)
			}
		}
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 300)
		if s := r.Channels()[0]; s.Limit != 80 {
			t.Errorf("limit %v a minute after the throttle; want 80", s.Limit)
		}
	})
}

func TestServerThatTakesFiveASecondGetsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var second, taken atomic.Int64
		r := newHarness(t, answering(func(*Message) Result {
			if now := time.Now().Unix(); second.Swap(now) != now {
				taken.Store(0)
			}
			if taken.Add(1) > 5 {
				return Result{Verdict: VerdictThrottled, Code: "454", Detail: "Throttling failure"}
			}
			time.Sleep(10 * time.Millisecond)
			return Result{Verdict: VerdictSent}
		}))
		id := r.accept(campaign.Sending{}, 400)
		time.Sleep(10 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 400)
	})
}

func TestEqualRefusalsHoldTheSending(t *testing.T) {
	refusal := Result{Verdict: VerdictPermanent, Code: "554", Detail: "sandbox"}
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, until(time.Hour, refusal))
		id := r.accept(campaign.Sending{}, 500)
		time.Sleep(30 * time.Minute)
		state, counts := r.store.state(id)
		if state != campaign.StateHeld || counts[campaign.Failed] < 20 || counts[campaign.Failed] > 24 {
			t.Errorf("state %s, counts %v; want held after 20 to 24 refusals", state, counts)
		}
		if reason := r.store.header(id).Reason; !strings.Contains(reason, "554: sandbox") {
			t.Errorf("reason %q; want the refusal", reason)
		}
		time.Sleep(time.Hour)
		if _, err := r.Resume(t.Context(), id); err != nil {
			t.Fatalf("resume: %v", err)
		}
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 500-counts[campaign.Failed])
	})
	for _, c := range []struct {
		name   string
		answer func(n int64) Result
	}{
		{"refusals that name the recipient", func(int64) Result { return Result{Verdict: VerdictBadRecipient, Code: "5.1.1", Detail: "unknown"} }},
		{"refusals that differ", func(n int64) Result {
			return Result{Verdict: VerdictPermanent, Code: []string{"422", "400"}[n%2], Detail: "no"}
		}},
		{"refusals with successes between", func(n int64) Result {
			if n%15 == 0 {
				return Result{Verdict: VerdictSent}
			}
			return refusal
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				r := newHarness(t, answering(func(*Message) Result { return c.answer(n.Add(1)) }), func(r *harness) { r.app.Channels[0].Concurrency = 1 })
				id := r.accept(campaign.Sending{}, 100)
				time.Sleep(time.Minute)
				if state, counts := r.store.state(id); state != campaign.StateCompleted {
					t.Errorf("state %s, counts %v; want completed", state, counts)
				}
			})
		})
	}
}

// Whoever reads why a sending is held has to know what the server said, without what it said about one message.
func TestReasonOfEqualRefusalsQuotesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		r := newHarness(t, answering(func(*Message) Result {
			return Result{Verdict: VerdictPermanent, Code: "554 5.7.1", Detail: "the mail server refused the message",
				Said: fmt.Sprintf("Message %d rejected: your IP is on our block list", n.Add(1))}
		}))
		id := r.accept(campaign.Sending{}, 100)
		time.Sleep(time.Minute)
		want := `20 equal refusals in a row: 554 5.7.1: the mail server refused the message (it says "Message … rejected: your IP is on our block list"); fix the cause`
		if reason := r.store.header(id).Reason; !strings.HasPrefix(reason, want) {
			t.Errorf("reason %q; want it to begin with %q", reason, want)
		}
	})
}

func TestReasonOfAThrottleQuotesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(*Message) Result {
			return Result{Verdict: VerdictThrottled, Code: "450", Detail: "the mail server deferred the recipient: 450", Said: "Too many messages from your IP", RetryAfter: time.Hour}
		}))
		id := r.accept(campaign.Sending{}, 1)
		time.Sleep(time.Minute)
		const want = `the mail server deferred the recipient: 450 (it says "Too many messages from your IP")`
		if w, _ := r.Wait(id); !strings.Contains(w.Reason, want) {
			t.Errorf("the sending waits for %q; want %q in it", w.Reason, want)
		}
		if s := r.Channels()[0]; s.Reason != want {
			t.Errorf("the channel's reason is %q; want %q", s.Reason, want)
		}
	})
}

func TestReasonOfAHoldQuotesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(*Message) Result {
			return Result{Verdict: VerdictHold, Hold: HoldChannel, Code: "403", Detail: "the receiver answered 403 Forbidden", Said: "plan has expired"}
		}))
		r.accept(campaign.Sending{}, 1)
		time.Sleep(time.Second)
		const want = `the receiver answered 403 Forbidden (it says "plan has expired")`
		if s := r.Channels()[0]; s.Reason != want {
			t.Errorf("the channel's reason is %q; want %q", s.Reason, want)
		}
	})
}

func TestMissingEndpointDoesNotBurnTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, until(3*time.Second, Result{Verdict: VerdictNoEndpoint, Code: "404", Detail: "not found"}))
		a, b := r.accept(campaign.Sending{}, 1000), r.accept(campaign.Sending{}, 1000)
		time.Sleep(time.Second)
		if s := r.Channels()[0]; s.State != ChannelTrouble || !strings.Contains(s.Reason, "404") {
			t.Errorf("status %+v; want trouble", s)
		}
		time.Sleep(time.Minute)
		_, first := r.store.state(a)
		_, second := r.store.state(b)
		if n := first[campaign.Failed] + second[campaign.Failed]; n < 3 || n > 9 {
			t.Errorf("%d messages failed; want 3, at most 4 under way and 2 probes", n)
		}
		if n := first[campaign.Sent] + second[campaign.Sent]; n < 1991 {
			t.Errorf("%d messages sent; want the rest", n)
		}
	})
}

func TestBusyRecipientIsRetriedOverHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := newHarness(t, until(5*time.Hour, Result{Verdict: VerdictRecipientBusy, Code: "451", Detail: "greylisted"}))
		id := r.accept(campaign.Sending{}, 1)
		time.Sleep(6 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 1)
		var at []time.Duration
		for _, m := range r.ch.sent() {
			at = append(at, m.at.Sub(begin).Truncate(time.Minute))
		}
		switch {
		case len(at) < 12:
			t.Errorf("len(at): got %v, want at least 12", len(at))
		case len(at) > 15:
			t.Errorf("len(at): got %v, want at most 15", len(at))
		case at[1] != time.Minute:
			t.Errorf("at[1]: got %v, want %v", at[1], time.Minute)
		case at[2] < 6*time.Minute:
			t.Errorf("at[2]: got %v, want at least %v", at[2], 6*time.Minute)
		case at[2] > 7*time.Minute:
			t.Errorf("at[2]: got %v, want at most %v", at[2], 7*time.Minute)
		}
	})
}

func TestMaybeDeliveredEndsAsUnknown(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*harness, campaign.ID)
	}{
		{"canceled", func(r *harness, id campaign.ID) { _, _ = r.Cancel(context.Background(), id) }},
		{"expired", func(*harness, campaign.ID) { time.Sleep(48 * time.Hour) }},
		{"opted out", func(r *harness, _ campaign.ID) { r.store.optOut("34600000000"); time.Sleep(time.Hour) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, answering(func(*Message) Result {
					return Result{Verdict: VerdictUnknown, Detail: "timeout", RetryAfter: time.Minute}
				}), func(r *harness) { r.app.Channels[0].RetryBase = 10 * time.Minute })
				id := r.accept(campaign.Sending{}, 1)
				time.Sleep(time.Second)
				r.store.wantState(t, id, campaign.StateSending, campaign.Retrying, 1)
				c.end(r, id)
				if _, counts := r.store.state(id); counts[campaign.Unknown] != 1 {
					t.Errorf("counts %v; want 1 unknown", counts)
				}
			})
		})
	}
}

// A mail server that defers every message at its end is in trouble. The list isn't tried once a message,
// and nothing fails.
func TestReceiverThatDefersEveryMessageIsInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deferred := Result{Verdict: VerdictDeferred, Code: "451", Detail: "the mail server deferred the message: 451"}
		r := newHarness(t, until(3*time.Hour, deferred))
		id := r.accept(campaign.Sending{}, 2000)
		time.Sleep(2 * time.Hour)
		if s := r.Channels()[0]; s.State != ChannelTrouble || !strings.Contains(s.Reason, "451") {
			t.Errorf("the channel is %s (%s); want trouble with the answer", s.State, s.Reason)
		}
		if n := len(r.ch.sent()); n > 200 {
			t.Errorf("%d attempts in two hours; want no more than the probes", n)
		}
		switch w, ok := r.Wait(id); {
		case !ok:
			t.Errorf("wait %+v; want the trouble", w)
		case !strings.Contains(w.Reason, "in trouble"):
			t.Errorf("w.Reason = %q, want \"in trouble\" in it", w.Reason)
		}
		time.Sleep(2 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 2000)
	})
}

// Single messages that are deferred don't put the channel in trouble.
func TestSomeDeferredMessagesAreNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := newHarness(t, answering(func(m *Message) Result {
			if strings.HasSuffix(m.ContactCode, "7") && time.Since(begin) < time.Hour {
				return Result{Verdict: VerdictDeferred, Code: "451", Detail: "deferred"}
			}
			return Result{Verdict: VerdictSent}
		}))
		id := r.accept(campaign.Sending{}, 100)
		time.Sleep(30 * time.Second)
		if s := r.Channels()[0]; s.State == ChannelThrottled || s.State == ChannelHeld {
			t.Errorf("the channel is %s (%s)", s.State, s.Reason)
		}
		r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 90)
		r.store.wantState(t, id, campaign.StateSending, campaign.Retrying, 10)
		time.Sleep(20 * time.Minute)
		if s := r.Channels()[0]; s.State != ChannelOK {
			t.Errorf("the channel is %s (%s) although only ten messages are deferred again and again", s.State, s.Reason)
		}
		time.Sleep(2 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
	})
}
