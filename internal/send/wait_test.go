package send

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

func TestQuotaOfADayExpiresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Five contacts in 24 hours; 20 recipients need four days, max_lateness is one.
		var sentAt []time.Time
		r := newHarness(t, func(r *harness) { r.app.Channels[0].Concurrency = 1 }, answering(func(*Message) Result {
			now := time.Now()
			for len(sentAt) > 0 && now.Sub(sentAt[0]) >= 24*time.Hour+7*time.Second {
				sentAt = sentAt[1:]
			}
			if len(sentAt) >= 5 {
				return Result{Verdict: VerdictHold, Hold: HoldChannel, OwnRule: true, Detail: "daily_contacts is reached",
					RetryAfter: sentAt[0].Add(24*time.Hour + 7*time.Second).Sub(now)}
			}
			sentAt = append(sentAt, now)
			return Result{Verdict: VerdictSent}
		}))
		id := r.accept(campaign.Sending{}, 20)
		time.Sleep(time.Hour)
		w, ok := r.Wait(id)
		switch {
		case !ok:
			t.Error("ok: got false, want true")
		case !strings.Contains(w.Reason, "daily_contacts is reached"):
			t.Errorf(`w.Reason: got %q, want "daily_contacts is reached" in it`, w.Reason)
		case w.Since.IsZero():
			t.Error("w.Since: got none")
		case w.Until.Before(r.now().Add(22 * time.Hour)):
			t.Errorf("w.Until: got %v, want a time not before %v", w.Until, r.now().Add(22*time.Hour))
		}
		time.Sleep(5 * 24 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 20)
	})
}

func TestHoldByTheReceiverExpiresMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(*Message) Result {
			return Result{Verdict: VerdictHold, Hold: HoldChannel, Detail: "bad credentials", RetryAfter: time.Hour}
		}))
		id := r.accept(campaign.Sending{}, 3)
		time.Sleep(25 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Expired, 3)
	})
}

func TestQuotaDelaysExpiryByAWeekAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(*Message) Result {
			return Result{Verdict: VerdictHold, Hold: HoldChannel, OwnRule: true, Detail: "daily_contacts is reached", RetryAfter: time.Hour}
		}))
		id := r.accept(campaign.Sending{}, 3)
		time.Sleep(8*24*time.Hour - time.Minute)
		r.store.wantState(t, id, campaign.StateSending, campaign.Pending, 3)
		time.Sleep(2 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Expired, 3)
	})
}

func TestWhatAClosedWindowLeavesWaitsOverTheWeekend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(19 * time.Hour) // 1 January 2000 is a Saturday
		r := newHarness(t, grid(time.Minute, 100, windows(t, "* 9-19 * * MON-SAT")), func(r *harness) { r.app.Channels[0].Rate = 0.25 })
		id := r.accept(campaign.Sending{MaxLateness: 6 * time.Hour}, 1250)
		time.Sleep(2 * time.Hour)
		w, ok := r.Wait(id)
		monday := time.Date(2000, 1, 3, 9, 0, 0, 0, time.UTC)
		switch closed := monday.Add(-37 * time.Hour); {
		case !ok:
			t.Error("ok: got false, want true")
		case !strings.Contains(w.Reason, "windows are closed"):
			t.Errorf(`w.Reason: got %q, want "windows are closed" in it`, w.Reason)
		case !w.Until.Equal(monday):
			t.Errorf("w.Until: got %v, want %v", w.Until, monday)
		case w.Since.Before(closed):
			t.Errorf("w.Since: got %v, want a time not before %v", w.Since, closed)
		case w.Since.After(closed.Add(time.Second)):
			t.Errorf("w.Since: got %v, want a time not after %v", w.Since, closed.Add(time.Second))
		}
		time.Sleep(42 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 1250)
	})
}

func TestWaitHasAReason(t *testing.T) {
	for _, c := range []struct {
		name  string
		res   Result
		state ChannelState
		want  string
		until time.Duration // 0: any
	}{
		{"a name that can't be looked up", Result{Verdict: VerdictUnreachable, Detail: "no such host"}, ChannelTrouble, "no such host", 0},
		{"a Retry-After of a day", Result{Verdict: VerdictThrottled, Code: "429", Detail: "too many requests", RetryAfter: 24 * time.Hour}, ChannelThrottled, "too many requests", 24 * time.Hour},
		{"a greylisted recipient", Result{Verdict: VerdictRecipientBusy, Code: "451", Detail: "greylisted", RetryAfter: time.Hour}, ChannelOK, "451: greylisted", time.Hour},
		{"bad credentials", Result{Verdict: VerdictHold, Hold: HoldChannel, Detail: "the token is refused", RetryAfter: time.Hour}, ChannelHeld, "held: the token is refused", time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, answering(func(*Message) Result { return c.res }))
				id := r.accept(campaign.Sending{}, 1)
				begin := r.now()
				time.Sleep(10 * time.Second)
				w, ok := r.Wait(id)
				switch {
				case !ok:
					t.Errorf("wait %+v; want %q", w, c.want)
				case !strings.Contains(w.Reason, c.want):
					t.Errorf("w.Reason = %q, want %q in it", w.Reason, c.want)
				}
				if since := w.Since.Sub(begin); since < 0 || since > time.Second {
					t.Errorf("since %v after the first attempt; want at once", since)
				}
				if until := w.Until.Sub(begin); c.until > 0 && (until < c.until || until > c.until+2*time.Second) {
					t.Errorf("until %v after the first attempt; want %v", until, c.until)
				}
				if s := r.Channels()[0]; s.State != c.state {
					t.Errorf("channel %s; want %s", s.State, c.state)
				}
			})
		})
	}
}

// What something waits for may be under way, for as long as a receiver doesn't answer.
func TestTheEndOfAWaitIsNeverInThePast(t *testing.T) {
	for name, res := range map[string]Result{
		"trouble":            {Verdict: VerdictUnreachable, Detail: "no such host"},
		"throttled":          {Verdict: VerdictThrottled, Code: "429", Detail: "too many requests", RetryAfter: 20 * time.Second},
		"held":               {Verdict: VerdictHold, Hold: HoldChannel, Detail: "the token is refused", RetryAfter: 20 * time.Second},
		"held sending":       {Verdict: VerdictHold, Hold: HoldSending, Detail: "the template is paused", RetryAfter: 20 * time.Second},
		"retry":              {Verdict: VerdictRetry, Code: "500", Detail: "busy", RetryAfter: 20 * time.Second},
		"a busy recipient":   {Verdict: VerdictRecipientBusy, Code: "451", Detail: "greylisted"},
		"nothing that waits": {Verdict: VerdictSent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, answering(func(*Message) Result {
					time.Sleep(7 * time.Second)
					return res
				}))
				id := r.accept(campaign.Sending{}, 5)
				for range 3000 {
					time.Sleep(97 * time.Millisecond)
					now := r.now()
					if w, ok := r.Wait(id); ok && !w.Until.IsZero() && !w.Until.After(now) {
						t.Fatalf("the sending waits until %v at %v: %+v", w.Until, now, w)
					}
					if s := r.Channels()[0]; !s.RetryAt.IsZero() && !s.RetryAt.After(now) {
						t.Fatalf("the channel is tried again at %v at %v: %+v", s.RetryAt, now, s)
					}
				}
			})
		})
	}
}

func TestLastFailureOfASending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(m *Message) Result {
			if m.ContactCode == "34600000001" {
				return Result{Verdict: VerdictRetry, Code: "500", Detail: "out of order", RetryAfter: time.Hour}
			}
			return Result{Verdict: VerdictSent}
		}))
		id := r.accept(campaign.Sending{}, 3)
		begin := r.now()
		time.Sleep(time.Minute)
		f, found := r.LastFailure(id)
		switch at := f.At.Sub(begin); {
		case !found:
			t.Errorf("failure %+v; want one at once", f)
		case at < 0:
			t.Errorf("at = %v, want at least 0\n%v", at, f)
		case at > time.Second:
			t.Errorf("at = %v, want at most %v\n%v", at, time.Second, f)
		}
		f.At = time.Time{}
		if want := (MessageFailure{Line: 3, Channel: "c", Outcome: campaign.Retrying, Code: "500", Detail: "out of order"}); f != want {
			t.Errorf("failure %+v; want %+v", f, want)
		}
		if _, err := r.Cancel(t.Context(), id); err != nil {
			t.Fatalf("cancel: %v", err)
		}
		synctest.Wait()
		if f, found := r.LastFailure(id); found {
			t.Errorf("failure %+v after the end; want none", f)
		}
	})
}

func TestNoWaitWithoutAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := &fake{answer: func(context.Context, *Message) Result {
			return Result{Verdict: VerdictHold, Hold: HoldChannel, Detail: "the token is refused", RetryAfter: time.Hour}
		}}
		r := newHarness(t, taking(time.Second), func(r *harness) {
			r.app.Channels = append(r.app.Channels, ChannelSettings{Name: "held", Channel: other})
		})
		r.accept(campaign.Sending{Channels: []string{"held"}}, 1)
		// Its campaign allows both channels, but its recipients use only one.
		id := r.accept(campaign.Sending{Channels: []string{"c", "held"}}, 1)
		later := r.accept(campaign.Sending{Channels: []string{"held"}, ScheduledAt: r.now().Add(time.Hour)}, 1)
		time.Sleep(500 * time.Millisecond)
		for _, id := range []campaign.ID{id, later} {
			if w, ok := r.Wait(id); ok {
				t.Errorf("wait %+v; want none", w)
			}
		}
	})
}

// A message waits for its retry, and another one was sent after it had failed.
func TestWaitOfARetryOutlivesASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(m *Message) Result {
			if m.ContactCode == "34600000001" {
				return Result{Verdict: VerdictRecipientBusy, Code: "134101", Detail: "the template is being prepared", RetryAfter: time.Hour}
			}
			time.Sleep(time.Second)
			return Result{Verdict: VerdictSent}
		}))
		id := r.accept(campaign.Sending{}, 3)
		begin := r.now()
		time.Sleep(20 * time.Second)
		r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 2)
		w, ok := r.Wait(id)
		switch {
		case !ok:
			t.Errorf("wait %+v; want the answer", w)
		case !strings.Contains(w.Reason, "134101: the template is being prepared"):
			t.Errorf("w.Reason = %q, want \"134101: the template is being prepared\" in it", w.Reason)
		}
		if since := w.Since.Sub(begin); since < 0 || since > time.Second {
			t.Errorf("since %v after the first attempt; want at once", since)
		}
		time.Sleep(2 * time.Hour)
		switch w, ok := r.Wait(id); {
		case !ok:
			t.Errorf("wait %+v; want the next retry", w)
		case !w.Until.After(r.now()):
			t.Errorf("w.Until = %v, want later than %v", w.Until, r.now())
		}
	})
}

// The receiver asks for more time than the messages have, once for all of them and once for each.
func TestWaitEndsWhenMessagesExpire(t *testing.T) {
	for name, verdict := range map[string]Verdict{"a throttle": VerdictThrottled, "retries": VerdictRetry} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, answering(func(*Message) Result {
					return Result{Verdict: verdict, Detail: "asked to wait", RetryAfter: 20 * time.Hour}
				}))
				id := r.accept(campaign.Sending{MaxLateness: 2 * time.Hour}, 3)
				expiry := r.now().Add(2 * time.Hour)
				for _, after := range []time.Duration{3 * time.Second, time.Hour} { // loaded, and perhaps unloaded
					time.Sleep(after)
					w, ok := r.Wait(id)
					if !ok || !strings.HasSuffix(w.Reason, "asked to wait; its messages expire before the next try") {
						t.Errorf("after %s: it waits for %q; want the answer and that its messages expire", after, w.Reason)
					}
					if !w.Until.Equal(expiry) {
						t.Errorf("after %s: until %s; want %s", after, w.Until, expiry)
					}
				}
				time.Sleep(2 * time.Hour)
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Expired, 3)
			})
		})
	}
}

// A wait for daily_contacts doesn't count towards max_lateness, so nothing expires during it.
func TestWaitForQuotaOutlastsMaxLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := newHarness(t, func(r *harness) { r.app.Channels[0].Concurrency = 1 }, answering(func(m *Message) Result {
			if left := time.Until(begin.Add(20 * time.Hour)); m.ContactCode == "34600000001" && left > 0 {
				return Result{Verdict: VerdictHold, Hold: HoldChannel, OwnRule: true, Detail: "daily_contacts is reached", RetryAfter: left}
			}
			return Result{Verdict: VerdictSent}
		}))
		id := r.accept(campaign.Sending{MaxLateness: 2 * time.Hour}, 3)
		opens := r.now().Add(20 * time.Hour)
		for _, at := range []time.Duration{3 * time.Second, time.Hour, 10 * time.Hour} { // loaded, and perhaps unloaded
			time.Sleep(time.Until(begin.Add(at)))
			w, ok := r.Wait(id)
			if !ok || !strings.HasSuffix(w.Reason, "daily_contacts is reached") {
				t.Errorf("after %s: it waits for %q; want daily_contacts, and not that messages expire", at, w.Reason)
			}
			if early := opens.Sub(w.Until); early < 0 || early > time.Second {
				t.Errorf("after %s: until %s; want %s", at, w.Until, opens)
			}
		}
		time.Sleep(24 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 3)
	})
}

// After a restart the retries are read from the store, where nothing says whose channel they are.
func TestWaitOfARetryOutlivesARestart(t *testing.T) {
	for name, channels := range map[string][]string{"one channel": {"c"}, "two channels": {"c", "d"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The first recipient fails at once, the second later, and the second is tried again first.
				both := func(r *harness) {
					r.ch.answer = func(_ context.Context, m *Message) Result {
						switch {
						case m.ContactCode == "34600000000":
							return Result{Verdict: VerdictRecipientBusy, Detail: "greylisted", RetryAfter: 2 * time.Hour}
						case m.Attempt > 1:
							return Result{Verdict: VerdictSent}
						}
						time.Sleep(10 * time.Second)
						return Result{Verdict: VerdictRecipientBusy, Detail: "greylisted", RetryAfter: time.Hour}
					}
					r.app.Channels = append(r.app.Channels, ChannelSettings{Name: "d", Channel: r.ch})
				}
				before := newHarness(t, both)
				begin := before.now()
				id := before.accept(campaign.Sending{Channels: channels}, 2)
				time.Sleep(20 * time.Second)
				if err := before.stop(); err != nil {
					t.Fatal(err)
				}
				r := newHarness(t, both, func(r *harness) { r.store = before.store })
				for _, at := range []time.Duration{time.Hour + 20*time.Second, time.Hour + 5*time.Minute} { // loaded, and unloaded again
					time.Sleep(begin.Add(at).Sub(r.now()))
					r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 1)
					w, ok := r.Wait(id)
					switch {
					case !ok:
						t.Errorf("at %v: wait %+v; want the answer", at, w)
					case !strings.Contains(w.Reason, "trying again after: greylisted"):
						t.Errorf("at %v: w.Reason = %q, want \"trying again after: greylisted\" in it", at, w.Reason)
					}
					if since := w.Since.Sub(begin); since < 0 || since > time.Second {
						t.Errorf("at %v: since %v after the first attempt; want at once", at, since)
					}
					if until := w.Until.Sub(begin); until < 2*time.Hour || until > 2*time.Hour+time.Second {
						t.Errorf("at %v: until %v after the first attempt; want two hours", at, until)
					}
				}
			})
		})
	}
}
