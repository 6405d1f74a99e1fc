package send

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// slot is a slice of n rows from first on, in the slot that begins at start.
func slot(start time.Time, length time.Duration, first, n uint32) campaign.Slice {
	return campaign.Slice{Start: start, End: start.Add(length), First: first, Rows: n, Recipients: n}
}

// grid gives application 1 slots; windows may be nil.
func grid(length time.Duration, capacity uint32, windows *calendar.Windows) func(*harness) {
	return func(r *harness) {
		r.app.Grid = &plan.Grid{Slot: length, Capacity: capacity, Windows: windows}
		r.app.Windows = windows
	}
}

func windows(t testing.TB, texts ...string) *calendar.Windows {
	t.Helper()
	w, err := calendar.ParseWindows(texts, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestPacing(t *testing.T) {
	for _, burst := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newHarness(t, grid(time.Minute, 7, nil), func(r *harness) { r.app.Burst = burst })
			start := time.Now().Add(time.Hour)
			id := r.accept(campaign.Sending{ScheduledAt: start}, 14, slot(start, time.Minute, 0, 7), slot(start.Add(3*time.Minute), time.Minute, 7, 7))
			time.Sleep(2 * time.Hour)
			r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 14)
			for i, m := range r.ch.sent() {
				want := start.Add(time.Duration(i/7) * 3 * time.Minute)
				if !burst {
					want = want.Add(time.Duration(float64(i%7) / 7 * float64(time.Minute)))
				}
				if late := m.at.Sub(want); late < 0 || late > 3*time.Millisecond {
					t.Errorf("burst %v: message %d went out %v after its time", burst, i, late)
				}
				if !m.DueAt.Equal(want) {
					t.Errorf("burst %v: message %d due at %v; want %v", burst, i, m.DueAt, want)
				}
			}
		})
	}
}

// The unsent recipients of a passed slot are sliced again and never sent in one burst.
func TestPassedSlicesAreNoBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, grid(time.Minute, 10, nil))
		start := time.Now().Truncate(time.Minute).Add(time.Hour)
		id := r.accept(campaign.Sending{ScheduledAt: start}, 30, slot(start, time.Minute, 0, 10), slot(start.Add(time.Minute), time.Minute, 10, 10),
			slot(start.Add(2*time.Minute), time.Minute, 20, 10))
		if _, err := r.Pause(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Hour)
		if n := len(r.ch.sent()); n > 0 {
			t.Fatalf("%d messages went out while paused", n)
		}
		again := time.Now()
		if _, err := r.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 30)
		perMinute := map[time.Time]int{}
		for _, m := range r.ch.sent() {
			if m.at.Before(again) {
				t.Errorf("a message went out %v before the resume", again.Sub(m.at))
			}
			perMinute[m.at.Truncate(time.Minute)]++
		}
		for minute, n := range perMinute {
			if n > 10 {
				t.Errorf("%d messages in the minute %v; a slot holds 10", n, minute)
			}
		}
	})
}

func TestRateTooLowIsSlicedAgainAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, grid(time.Minute, 100, nil), func(r *harness) { r.app.Channels[0].Rate = 0.5 })
		start := time.Now().Truncate(time.Minute)
		id := r.accept(campaign.Sending{ScheduledAt: start}, 100, slot(start, time.Minute, 0, 100))
		time.Sleep(10 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
		synctest.Wait()
		if r.store.replans < 2 {
			t.Errorf("sliced again %d times; want several", r.store.replans)
		}
		// One message an hour: what no slot before T + 48h has got out is expired.
		r.app.Channels[0].Rate = 1.0 / 3600
		r.Configure([]Application{r.app})
		start = time.Now().Truncate(time.Minute).Add(time.Minute)
		id = r.accept(campaign.Sending{ScheduledAt: start}, 100, slot(start, time.Minute, 0, 100))
		time.Sleep(49 * time.Hour)
		state, counts := r.store.state(id)
		if state != campaign.StateCompleted {
			t.Errorf("state = %q, want %q", state, campaign.StateCompleted)
		}
		if counts[campaign.Sent] < 46 {
			t.Errorf("counts[campaign.Sent] = %v, want at least 46", counts[campaign.Sent])
		}
		if counts[campaign.Sent]+counts[campaign.Expired] != 100 {
			t.Errorf("counts[campaign.Sent] + counts[campaign.Expired] = %v, want 100", counts[campaign.Sent]+counts[campaign.Expired])
		}
	})
}

func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := windows(t, "* 9-10 * * *")
		r := newHarness(t, func(r *harness) {
			r.app.Windows = w
			r.app.Channels[0].Rate = 0.25
			failed := map[string]bool{}
			r.ch.answer = func(_ context.Context, m *Message) Result {
				if m.Number == 1 && !failed[m.Key] && len(failed) < 20 {
					failed[m.Key] = true
					return Result{Verdict: VerdictRetry, Detail: "x", RetryAfter: 3 * time.Hour}
				}
				return Result{Verdict: VerdictSent}
			}
			r.app.Channels[0].Concurrency = 1
		})
		day := time.Now().Truncate(24 * time.Hour)
		id := r.accept(campaign.Sending{ScheduledAt: day.Add(8 * time.Hour), MaxLateness: 72 * time.Hour}, 2000)
		time.Sleep(80 * time.Hour)
		state, counts := r.store.state(id)
		if state != campaign.StateCompleted || counts[campaign.Sent] != 2000 {
			t.Fatalf("state %s, counts %v; want all sent", state, counts)
		}
		for _, m := range r.ch.sent() {
			if !w.Open(m.at) {
				t.Fatalf("a message went out at %v, outside the windows", m.at)
			}
		}
	})
}

// Messages that expired while nothing ran are not sent, even if a channel sender is faster than the scheduler.
func TestExpiredBeforeItWasLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wall{}
		r := newHarness(t, func(r *harness) { r.opts.Now = w.now })
		old := r.accept(campaign.Sending{ScheduledAt: w.now().Add(-time.Hour), MaxLateness: time.Hour}, 50)
		waits := r.accept(campaign.Sending{ScheduledAt: w.now().Add(time.Minute), MaxLateness: time.Hour}, 50)
		time.Sleep(59 * time.Second) // it is in sight
		w.jump(2 * time.Hour)
		time.Sleep(5 * time.Second)
		for _, id := range []campaign.ID{old, waits} {
			r.store.wantState(t, id, campaign.StateCompleted, campaign.Expired, 50)
		}
		if n := len(r.ch.sent()); n > 0 {
			t.Errorf("%d messages went out too late", n)
		}
	})
}

func TestUnslicedExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, func(r *harness) { r.app.Channels[0].Rate = 1 })
		id := r.accept(campaign.Sending{MaxLateness: 10 * time.Second}, 100)
		time.Sleep(time.Minute)
		state, counts := r.store.state(id)
		switch {
		case state != campaign.StateCompleted:
			t.Errorf("state: got %v, want %v", state, campaign.StateCompleted)
		case counts[campaign.Sent] < 10:
			t.Errorf("counts[campaign.Sent]: got %v, want at least 10", counts[campaign.Sent])
		case counts[campaign.Sent] > 12:
			t.Errorf("counts[campaign.Sent]: got %v, want at most 12", counts[campaign.Sent])
		case counts[campaign.Sent]+counts[campaign.Expired] != 100:
			t.Errorf("counts[campaign.Sent]+counts[campaign.Expired]: got %v, want 100", counts[campaign.Sent]+counts[campaign.Expired])
		}
		if n := uint64(len(r.ch.sent())); n != counts[campaign.Sent] {
			t.Errorf("%d went out, %d recorded", n, counts[campaign.Sent])
		}
	})
}

// All its messages wait for a retry in a day, so the sending isn't loaded. It expires at its own time
// all the same.
func TestExpiresWhileItWaitsForARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		r.ch.answer = func(context.Context, *Message) Result {
			return Result{Verdict: VerdictRetry, Code: "503", Detail: "maintenance", RetryAfter: 20 * time.Hour}
		}
		id := r.accept(campaign.Sending{MaxLateness: time.Hour}, 3)
		time.Sleep(time.Hour - time.Second)
		r.store.wantState(t, id, campaign.StateSending, campaign.Retrying, 3)
		time.Sleep(3 * time.Second)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Expired, 3)
	})
}

// wall is a wall clock that jumps while timers go on.
type wall struct{ offset atomic.Int64 }

func (w *wall) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

func (w *wall) jump(d time.Duration) { w.offset.Add(int64(d)) }

func TestWallClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wall{}
		r := newHarness(t, grid(time.Minute, 100, nil), func(r *harness) { r.opts.Now = w.now })
		due := w.now().Add(2 * time.Hour)
		single := r.accept(campaign.Sending{ScheduledAt: due}, 3)
		start := w.now().Truncate(time.Minute).Add(10 * time.Hour)
		sliced := r.accept(campaign.Sending{ScheduledAt: start}, 60, slot(start, time.Minute, 0, 60))

		time.Sleep(time.Hour)
		w.jump(-30 * time.Minute) // back: nothing is early
		time.Sleep(89 * time.Minute)
		if n := len(r.ch.sent()); n > 0 {
			t.Fatalf("%d messages went out early", n)
		}
		time.Sleep(2 * time.Minute)
		r.store.wantState(t, single, campaign.StateCompleted, campaign.Sent, 3)

		// Into the middle of the slot: all of it is spread over its second half.
		w.jump(start.Add(30 * time.Second).Sub(w.now()))
		time.Sleep(1100 * time.Millisecond)
		if n := len(r.ch.sent()) - 3; n < 1 || n > 3 {
			t.Errorf("%d messages a second after the jump into the slot; want 2, half a second apart", n)
		}
		w.jump(-20 * time.Second) // what went out stays out
		time.Sleep(10 * time.Second)
		if n := len(r.ch.sent()) - 3; n > 3 {
			t.Errorf("%d messages after a jump back", n)
		}
		w.jump(3 * time.Hour) // over the slot's end: the rest is sliced again
		time.Sleep(5 * time.Minute)
		r.store.wantState(t, sliced, campaign.StateCompleted, campaign.Sent, 60)
		seen := map[string]bool{}
		for _, m := range r.ch.sent() {
			if seen[m.Key] {
				t.Errorf("%s went out twice", m.Key)
			}
			seen[m.Key] = true
		}
	})
}

// A suspend is a wall clock that jumps while timers stand still.
func TestSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wall{}
		r := newHarness(t, func(r *harness) { r.opts.Now = w.now })
		id := r.accept(campaign.Sending{ScheduledAt: w.now().Add(8 * time.Hour)}, 1)
		time.Sleep(time.Minute)
		w.jump(9 * time.Hour)
		time.Sleep(1100 * time.Millisecond)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 1)
	})
}

// An idle dispatcher has no timer: in an hour it makes no call to the store.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		r := newHarness(t, func(r *harness) {
			r.store.fail = func(string) error { asked.Add(1); return nil }
		})
		id := r.accept(campaign.Sending{}, 5)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 5)
		before := asked.Load()
		time.Sleep(time.Hour)
		if n := asked.Load() - before; n > 0 {
			t.Errorf("%d calls to the store in an idle hour", n)
		}
		// With something due in a day it checks the clock, not the store.
		r.accept(campaign.Sending{ScheduledAt: time.Now().Add(24 * time.Hour)}, 5)
		time.Sleep(time.Minute)
		before = asked.Load()
		time.Sleep(time.Hour)
		if n := asked.Load() - before; n > 0 {
			t.Errorf("%d calls to the store in an hour with something due tomorrow", n)
		}
	})
}

// Days with many slots, pauses and restarts: all goes out, once, in its time.
func TestDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, grid(time.Hour, 10, nil))
		start := time.Now().Truncate(time.Hour).Add(time.Hour)
		var all []campaign.Slice
		for i := range uint32(48) {
			all = append(all, slot(start.Add(time.Duration(i)*time.Hour), time.Hour, i*5, 5))
		}
		id := r.accept(campaign.Sending{ScheduledAt: start}, 240, all...)
		time.Sleep(10 * time.Hour)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4*time.Hour + 17*time.Minute)
		newHarness(t, grid(time.Hour, 10, nil), func(again *harness) { again.store, again.app.Channels[0].Channel = r.store, r.ch })
		time.Sleep(2 * 24 * time.Hour)
		state, counts := r.store.state(id)
		if state != campaign.StateCompleted || counts[campaign.Sent] != 240 {
			t.Errorf("state %s, counts %v; want all 240 sent", state, counts)
		}
		perHour := map[time.Time]int{}
		for _, m := range r.ch.sent() {
			perHour[m.at.Truncate(time.Hour)]++
		}
		for hour, n := range perHour {
			if n > 10 {
				t.Errorf("%d in the hour %v; its slot holds 10", n, hour)
			}
		}
	})
}
