package send

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// answering makes the rig's channel answer by fn, which gets the message's how-manieth attempt it is.
func answering(fn func(m *Message) Result) func(*harness) {
	return func(r *harness) { r.ch.answer = func(_ context.Context, m *Message) Result { return fn(m) } }
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		verdict  Result
		policy   Policy
		want     campaign.Outcome
		attempts int
	}{
		{"sent", Result{Verdict: VerdictSent}, RetryUnknown, campaign.Sent, 1},
		{"permanent", Result{Verdict: VerdictPermanent, Detail: "no"}, RetryUnknown, campaign.Failed, 1},
		{"retry", Result{Verdict: VerdictRetry, Detail: "busy"}, RetryUnknown, campaign.Failed, 6},
		{"unknown, retry", Result{Verdict: VerdictUnknown, Detail: "?"}, RetryUnknown, campaign.Unknown, 6},
		{"unknown, hold", Result{Verdict: VerdictUnknown, Detail: "?"}, HoldUnknown, campaign.Unknown, 1},
		{"none", Result{}, HoldUnknown, campaign.Unknown, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, answering(func(*Message) Result { return tt.verdict }), func(r *harness) { r.app.Channels[0].OnUnknown = tt.policy })
				id := r.accept(campaign.Sending{}, 1)
				time.Sleep(time.Hour)
				r.store.wantState(t, id, campaign.StateCompleted, tt.want, 1)
				got := r.ch.sent()
				if len(got) != tt.attempts {
					t.Fatalf("%d attempts; want %d", len(got), tt.attempts)
				}
				for i, m := range got {
					if m.Attempt != i+1 {
						t.Errorf("m.Attempt = %v, want %v", m.Attempt, i+1)
					}
					if m.Key != got[0].Key {
						t.Errorf("m.Key = %q, want %q", m.Key, got[0].Key)
					}
				}
				synctest.Wait()
				e := r.store.entry(id, 0)
				if want := tt.verdict.Detail; tt.verdict.Verdict != 0 && e.Detail != want {
					t.Errorf("got detail %q, want %q", e.Detail, want)
				}
				if int(e.Attempts) != tt.attempts {
					t.Errorf("got %d attempts recorded, want %d", e.Attempts, tt.attempts)
				}
			})
		})
	}
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(*Message) Result { return Result{Verdict: VerdictRetry, Detail: "busy"} }), func(r *harness) {
			r.app.Channels[0].MaxAttempts, r.app.Channels[0].RetryBase, r.app.Channels[0].RetryMax = 9, 2*time.Second, 20*time.Second
		})
		r.accept(campaign.Sending{}, 1)
		time.Sleep(time.Hour)
		got := r.ch.sent()
		if len(got) != 9 {
			t.Fatalf("%d attempts; want 9", len(got))
		}
		for i, base := range []time.Duration{2, 4, 8, 16, 20, 20, 20, 20} {
			gap, want := got[i+1].at.Sub(got[i].at), base*time.Second
			if gap < want*8/10 || gap > min(want*12/10, 20*time.Second)+time.Second {
				t.Errorf("%v between attempts %d and %d; want about %v", gap, i+1, i+2, want)
			}
		}
	})
}

func TestDelay(t *testing.T) {
	for _, tt := range []struct {
		attempt           int
		base, most, asked time.Duration
		least, longest    time.Duration
	}{
		{1, time.Second, time.Minute, 0, 800 * time.Millisecond, 1200 * time.Millisecond},
		{3, time.Second, time.Minute, 0, 3200 * time.Millisecond, 4800 * time.Millisecond},
		{15, time.Second, time.Minute, 0, 48 * time.Second, time.Minute},
		{1, time.Second, time.Minute, 5 * time.Second, 5 * time.Second, 6 * time.Second},
		{1, time.Second, time.Minute, time.Hour, time.Hour, time.Hour + time.Second},
		{1, time.Second, time.Minute, 100000 * time.Hour, 24 * time.Hour, 24*time.Hour + time.Second},
		{9, time.Second, time.Minute, time.Second, 48 * time.Second, time.Minute},
	} {
		for range 200 {
			if d := delay(tt.attempt, tt.base, tt.most, tt.asked); d < tt.least || d > tt.longest {
				t.Errorf("delay(%d, %v, %v, %v) = %v; want %v to %v", tt.attempt, tt.base, tt.most, tt.asked, d, tt.least, tt.longest)
			}
		}
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(m *Message) Result {
			if m.Attempt == 1 {
				return Result{Verdict: VerdictRetry, Detail: "busy", RetryAfter: 40 * time.Minute}
			}
			return Result{Verdict: VerdictSent}
		}))
		id := r.accept(campaign.Sending{}, 3)
		time.Sleep(39 * time.Minute)
		r.store.wantState(t, id, campaign.StateSending, campaign.Retrying, 3)
		running := r.runs.find(id) != nil
		if running {
			t.Error("a sending with nothing to do for 40 minutes is still in memory")
		}
		time.Sleep(2 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 3)
	})
}

// A provider's throttle is not the contact's failure: it counts no attempt, and slows the channel.
func TestThrottleIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(10 * time.Minute)
		r := newHarness(t, answering(func(*Message) Result {
			if time.Now().Before(until) {
				return Result{Verdict: VerdictThrottled, Detail: "slow down"}
			}
			return Result{Verdict: VerdictSent}
		}), func(r *harness) { r.app.Channels[0].Rate = 20 })
		id := r.accept(campaign.Sending{}, 500)
		time.Sleep(time.Minute)
		if s := r.Channels()[0]; s.Limit != 10 || s.Rate != 20 || s.State != ChannelThrottled {
			t.Errorf("status %+v; want half the rate, throttled", s)
		}
		time.Sleep(2 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 500)
		// The rate recovers step by step.
		r.accept(campaign.Sending{}, 1000)
		time.Sleep(time.Hour)
		if s := r.Channels()[0]; s.Limit != 20 {
			t.Errorf("status %+v; want the full rate again", s)
		}
	})
}

func TestMessagesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		contents := []campaign.Content{{Item: []byte(`{"n":1}`)}, {Item: []byte(`{"n":2}`)}, {Item: []byte(`{"n":3}`)}}
		r := newHarness(t, func(r *harness) {
			r.ch.answer = func(_ context.Context, m *Message) Result {
				switch {
				case m.ContactCode == "34600000001" && m.Number == 2:
					return Result{Verdict: VerdictPermanent, Detail: "no"}
				case m.ContactCode == "34600000002" && m.Number == 2 && m.Attempt == 1:
					return Result{Verdict: VerdictRetry, Detail: "later"}
				}
				return Result{Verdict: VerdictSent}
			}
		})
		id := r.accept(campaign.Sending{Contents: contents}, 9000)
		time.Sleep(time.Minute)
		state, counts := r.store.state(id)
		switch {
		case state != campaign.StateCompleted:
			t.Errorf("state: got %v, want %v", state, campaign.StateCompleted)
		case counts[campaign.Sent] != 26998:
			t.Errorf("counts[campaign.Sent]: got %v, want 26998", counts[campaign.Sent])
		case counts[campaign.Failed] != 1:
			t.Errorf("counts[campaign.Failed]: got %v, want 1", counts[campaign.Failed])
		case counts[campaign.Skipped] != 1:
			t.Errorf("counts[campaign.Skipped]: got %v, want 1", counts[campaign.Skipped])
		}
		last := map[string]int{}
		for _, m := range r.ch.sent() {
			if m.Number < last[m.ContactCode] || m.Number > last[m.ContactCode]+1 {
				t.Fatalf("message %d of a recipient after message %d", m.Number, last[m.ContactCode])
			}
			last[m.ContactCode] = m.Number
		}
	})
}

func TestSeveralChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := &fake{}
		r := newHarness(t, func(r *harness) {
			r.ch.answer = func(_ context.Context, m *Message) Result {
				if m.Attempt == 1 {
					return Result{Verdict: VerdictRetry, Detail: "x"}
				}
				return Result{Verdict: VerdictSent}
			}
			r.app.Channels = append(r.app.Channels, ChannelSettings{Name: "d", Channel: other, Concurrency: 1})
		})
		id := r.accept(campaign.Sending{Channels: []string{"c", "d"}, Contents: []campaign.Content{{Item: []byte(`{"a":1}`)},
			{ChannelType: "d", Item: []byte(`{"b":2}`)}}}, 100)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 150)
		if a, b := len(r.ch.sent()), len(other.sent()); a != 100 || b != 100 {
			t.Errorf("%d and %d attempts; want 100 (50 twice) and 100", a, b)
		}
	})
}

func TestSuppressedAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		at := time.Now().Add(time.Hour)
		id := r.accept(campaign.Sending{ScheduledAt: at, Contents: []campaign.Content{{Item: []byte(`{"n":1}`)}, {Item: []byte(`{"n":2}`)}}}, 3)
		time.Sleep(59 * time.Minute)
		r.store.optOut("34600000001")
		time.Sleep(2 * time.Minute)
		state, counts := r.store.state(id)
		switch {
		case state != campaign.StateCompleted:
			t.Errorf("state: got %v, want %v", state, campaign.StateCompleted)
		case counts[campaign.Suppressed] != 2:
			t.Errorf("counts[campaign.Suppressed]: got %v, want 2", counts[campaign.Suppressed])
		case counts[campaign.Sent] != 4:
			t.Errorf("counts[campaign.Sent]: got %v, want 4", counts[campaign.Sent])
		}
		for _, m := range r.ch.sent() {
			if m.ContactCode == "34600000001" {
				t.Error("a suppressed contact got a message")
			}
		}
	})
}

func TestOptOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out []string
		r := newHarness(t, answering(func(*Message) Result { return Result{Verdict: VerdictPermanent, Detail: "stop", OptOut: true} }),
			func(r *harness) {
				r.opts.OptedOut = func(app int64, channel string, m *Message) error {
					out = append(out, channel+" "+m.ContactCode)
					return nil
				}
			})
		r.accept(campaign.Sending{}, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"c 34600000000"}, out); diff != "" {
			t.Errorf("opt-outs (-want +got):\n%s", diff)
		}
	})
}

func TestPanicIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newHarness(t, func(r *harness) {
			r.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
			r.app.Channels[0].OnUnknown = HoldUnknown
			r.ch.answer = func(_ context.Context, m *Message) Result {
				if m.ContactCode == "34600000001" {
					panic("contact " + m.ContactCode)
				}
				return Result{Verdict: VerdictSent}
			}
		})
		id := r.accept(campaign.Sending{}, 10)
		time.Sleep(time.Second)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Unknown, 1)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 9)
		if !strings.Contains(log.String(), "panicked") {
			t.Errorf("log: want \"panicked\" in:\n%s", log.String())
		}
		if strings.Contains(log.String(), "34600000001") {
			t.Errorf("log: want no \"34600000001\" in:\n%s", log.String())
		}
	})
}

// TestNumberIsHandedOver: the driver gets the number beside the contactCode, and opt-outs are asked for it.
func TestNumberIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // workers send side by side
		var got []string
		r := newHarness(t, answering(func(m *Message) Result {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, m.ContactCode+" "+m.To+" "+m.Recipient())
			return Result{Verdict: VerdictSent}
		}))
		r.store.to = map[string]string{"34600000000": "34611111111", "34600000001": "34622222222"}
		r.store.optOut("+34622222222")
		id := r.accept(campaign.Sending{}, 3)
		time.Sleep(time.Second)
		synctest.Wait()
		slices.Sort(got)
		if diff := cmp.Diff([]string{"34600000000 34611111111 34611111111", "34600000002  34600000002"}, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		if _, counts := r.store.state(id); counts[campaign.Suppressed] != 1 {
			t.Errorf("%d messages are suppressed, want 1", counts[campaign.Suppressed])
		}
	})
}
