package send

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// slowReceiver answers after 4 s, so that messages recorded ahead wait for a worker.
func slowReceiver(r *harness) {
	r.ch.answer = func(ctx context.Context, _ *Message) Result {
		select {
		case <-time.After(4 * time.Second):
		case <-ctx.Done():
		}
		return Result{Verdict: VerdictSent}
	}
}

func TestOptOutWhileWaitingForAWorkerIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, slowReceiver)
		id := r.accept(campaign.Sending{}, 8)
		time.Sleep(time.Second) // 4 are with the receiver, 4 wait for a worker
		handed := map[string]bool{}
		for _, m := range r.ch.sent() {
			handed[m.ContactCode] = true
		}
		r.store.optOut("34600000000", "34600000001", "34600000002", "34600000003",
			"34600000004", "34600000005", "34600000006", "34600000007")
		time.Sleep(time.Minute)
		for _, m := range r.ch.sent() {
			if !handed[m.ContactCode] {
				t.Errorf("%s got a message after its opt-out", m.ContactCode)
			}
		}
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Suppressed, 4)
	})
}

// A message that may have been delivered ends as unknown when its contact opts out, and the report needs a reason.
func TestOptOutAfterAnAttemptHasAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, answering(func(*Message) Result {
			return Result{Verdict: VerdictRetry, Detail: "the receiver answered 502", MaybeDelivered: true, RetryAfter: time.Minute}
		}))
		id := r.accept(campaign.Sending{}, 1)
		time.Sleep(time.Second)
		r.store.optOut("34600000000")
		time.Sleep(time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Unknown, 1)
		if got := r.store.entry(id, 0).Detail; got != optedOutLate {
			t.Errorf("its reason is %q; want %q", got, optedOutLate)
		}
	})
}

// Retries that find their slot full wait for the next one, and say so: with the reason why they are retries.
func TestRetryInAFullSlotHasAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length, capacity = time.Minute, 4
		r := newHarness(t, grid(length, capacity, nil), answering(func(*Message) Result {
			return Result{Verdict: VerdictRetry, Code: "503", Detail: "busy", RetryAfter: 20 * time.Second}
		}), func(r *harness) { r.app.Channels[0].MaxAttempts = 15 })
		start := r.now().Truncate(length).Add(length)
		id := r.accept(campaign.Sending{ScheduledAt: start}, capacity, slot(start, length, 0, capacity))
		full := false
		for range 10 {
			time.Sleep(length)
			retries, err := r.store.Retries(id, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range retries {
				full = full || strings.Contains(e.Detail, slotFull)
				if e.Detail != "busy" && e.Detail != "busy; now "+slotFull {
					t.Errorf("at %s: row %d waits for its retry because of %q", time.Since(start), e.Row, e.Detail)
				}
				if e.Code != "503" {
					t.Errorf("at %s: row %d waits for its retry with the code %q, want 503", time.Since(start), e.Row, e.Code)
				}
			}
		}
		if !full {
			t.Error("no retry found its slot full")
		}
	})
}

func TestWindowThatClosesWhileWaitingForAWorkerIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10*time.Hour - time.Second - time.Millisecond) // the window closes in one second
		r := newHarness(t, slowReceiver, grid(time.Minute, 100, windows(t, "* 9 * * *")))
		r.accept(campaign.Sending{}, 8)
		time.Sleep(time.Hour)
		closes := time.Date(2000, 1, 1, 10, 0, 0, 0, time.UTC)
		for _, m := range r.ch.sent() {
			if !m.at.Before(closes) {
				t.Errorf("a message went out at %s; the window closed at %s", m.at.UTC(), closes)
			}
		}
		if n := len(r.ch.sent()); n != 4 {
			t.Errorf("%d messages went out before the window closed; want 4", n)
		}
	})
}

func TestSlotNeverExceedsItsCapacity(t *testing.T) {
	const length, capacity = 10 * time.Second, 10
	for _, c := range []struct {
		name  string
		setup func(*harness)
	}{
		{"retries", func(r *harness) {
			var n atomic.Int64
			r.ch.answer = func(context.Context, *Message) Result {
				if n.Add(1)%3 != 0 {
					return Result{Verdict: VerdictRetry, Detail: "busy"}
				}
				return Result{Verdict: VerdictSent}
			}
		}},
		{"a stall", func(r *harness) {
			var n atomic.Int64
			r.ch.answer = func(context.Context, *Message) Result {
				if n.Add(1) == 3 {
					time.Sleep(25 * time.Second)
				}
				return Result{Verdict: VerdictSent}
			}
			r.app.Channels[0].Concurrency = 1
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t, grid(length, capacity, nil), c.setup, func(r *harness) { r.app.Channels[0].MaxAttempts = 15 })
				start := r.now().Add(2 * length)
				var slices []campaign.Slice
				for i := range 4 {
					slices = append(slices, slot(start.Add(time.Duration(i)*length), length, uint32(i*capacity), capacity))
				}
				id := r.accept(campaign.Sending{ScheduledAt: start}, 4*capacity, slices...)
				time.Sleep(time.Hour)
				counts := map[int64]int{}
				for _, m := range r.ch.sent() {
					counts[r.app.Grid.Number(m.at)]++
				}
				for n, got := range counts {
					if got > capacity {
						t.Errorf("slot at %s: %d attempts; want no more than %d", r.app.Grid.Start(n), got, capacity)
					}
				}
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 4*capacity)
			})
		})
	}
}

// An earlier process has used a part of the slot in which this one starts.
func TestSlotInWhichTheProcessStarted(t *testing.T) {
	for _, length := range []time.Duration{time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(length / 10)
			start := time.Now().Truncate(length)
			before := newHarness(t, grid(length, 10, nil))
			before.accept(campaign.Sending{ScheduledAt: start}, 7, slot(start, length, 0, 7))
			time.Sleep(length * 8 / 10)
			if err := before.stop(); err != nil {
				t.Fatal(err)
			}
			r := newHarness(t, grid(length, 10, nil), func(r *harness) { r.store = before.store })
			id := r.accept(campaign.Sending{ScheduledAt: start}, 10, slot(start, length, 0, 10))
			time.Sleep(time.Until(start.Add(length)) - time.Nanosecond)
			synctest.Wait()
			if n := len(r.ch.sent()); n != 3 {
				t.Errorf("slots of %s: %d messages after 7 of 10 in the slot; want 3", length, n)
			}
			time.Sleep(time.Hour)
			r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
		})
	}
}

// Eight attempts are recorded, four of them wait for a worker, when the process is barred.
func TestABarredProcessHandsNothingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bar atomic.Pointer[string]
		open := ""
		bar.Store(&open)
		r := newHarness(t, slowReceiver, func(r *harness) { r.opts.Bars = func() string { return *bar.Load() } })
		id := r.accept(campaign.Sending{}, 8)
		time.Sleep(time.Second)
		why := "another machine leads"
		bar.Store(&why)
		time.Sleep(time.Minute)
		if n := len(r.ch.sent()); n != 4 {
			t.Errorf("%d messages went out; want the 4 from before", n)
		}
		switch w, ok := r.Wait(id); {
		case !ok:
			t.Errorf("it waits for %+v; want the bar as the reason", w)
		case w.Reason != why:
			t.Errorf("w.Reason = %q, want %q", w.Reason, why)
		}
		bar.Store(&open)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 8)
	})
}
