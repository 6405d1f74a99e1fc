package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/service"
)

// TestWatchdogFollowsTheDispatcher: the watchdog is notified only while the dispatcher responds.
func TestWatchdogFollowsTheDispatcher(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		w.accept("later", 10, "scheduleAt", at(12, 0))
		var mu sync.Mutex // guards told
		var told []string
		// Beside the running one, since nothing of that may be changed any more.
		d := &Daemon{log: w.running.log, store: w.running.store, send: w.running.send, opts: Options{
			Notify: func(state string) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, state)
			},
			Getenv: func(name string) string {
				return map[string]string{"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())}[name]
			},
		}}
		var hangs atomic.Bool
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.notifyStatus(ctx, func(ctx context.Context) error {
				if hangs.Load() {
					<-ctx.Done()
					return ctx.Err()
				}
				return d.send.Alive(ctx)
			})
		}()
		said := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(told)
		}
		fed := func() (n int) {
			for _, s := range said() {
				if s == "WATCHDOG=1" {
					n++
				}
			}
			return n
		}
		w.wait(25 * time.Second)
		if fed() != 3 {
			t.Errorf("fed %d times in 25 s, want 3: %q", fed(), said())
		}
		if !slices.Contains(said(), "STATUS=1 scheduled, 0 sending, 0 in flight") {
			t.Errorf("told: %q", said())
		}
		hangs.Store(true)
		w.wait(time.Minute)
		if fed() != 3 {
			t.Errorf("fed %d times while the dispatcher hangs", fed()-3)
		}
		hangs.Store(false)
		w.wait(time.Minute)
		if fed() < 6 {
			t.Errorf("not fed again: %d", fed())
		}
		cancel()
		<-done
	})
}

// TestWatchdogDuringACompaction: senders can't answer while a compaction makes their commits wait.
func TestWatchdogDuringACompaction(t *testing.T) {
	s, err := openStore(filepath.Join(t.TempDir(), service.StoreName), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := &Daemon{store: s, send: send.New(send.Options{Store: s})} // it doesn't run, so it never answers
	asked := false
	_, err = s.Compact(compactionContext{t.Context(), func() {
		asked = true
		if err := d.alive(t.Context()); err != nil {
			t.Errorf("alive during a compaction: got %v, want nil", err)
		}
	}})
	if !errors.Is(err, context.Canceled) || !asked {
		t.Errorf("asked %t, compaction %v; want it asked and canceled", asked, err)
	}
	if err := d.alive(t.Context()); !errors.Is(err, send.ErrNotRunning) {
		t.Errorf("alive after it: got %v, want %v", err, send.ErrNotRunning)
	}
}

// compactionContext is a canceled context that calls during when the compaction looks at it.
type compactionContext struct {
	context.Context
	during func()
}

func (c compactionContext) Err() error {
	c.during()
	return context.Canceled
}

func TestWatchdogTime(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"120000000", "", 2 * time.Minute}, {"1000000", strconv.Itoa(os.Getpid()), time.Second},
		{"1000000", "1", 0}, {"-1", "", 0}, {"0", "", 0}, {"x", "", 0}, {"99999999999999999", "", 0},
	} {
		got := watchdogTime(func(name string) string {
			return map[string]string{"WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.pid}[name]
		})
		if got != c.want {
			t.Errorf("WATCHDOG_USEC=%q WATCHDOG_PID=%q: %v, want %v", c.usec, c.pid, got, c.want)
		}
	}
}

// TestWatchdogIsQuietAtAStop: a stopping dispatcher is neither alive nor an error.
func TestWatchdogIsQuietAtAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Daemon{opts: Options{Notify: func(s string) { t.Errorf("told %q", s) }}}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d.notifyWatchdog(ctx, time.Minute, func(context.Context) error { return errors.New("hangs") })
	})
}
