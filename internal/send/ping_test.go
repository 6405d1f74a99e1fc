package send

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		synctest.Wait()
		alive := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			return r.Alive(ctx)
		}
		if err := alive(); err != nil {
			t.Errorf("idle: %v", err)
		}
		r.accept(campaign.Sending{}, 1000)
		for range 20 {
			if err := alive(); err != nil {
				t.Fatalf("at work: %v", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		r.Configure(nil) // channel senders that end answer too
		if err := alive(); err != nil {
			t.Errorf("without channels: %v", err)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if err := alive(); !errors.Is(err, ErrNotRunning) {
			t.Errorf("stopped: %v", err)
		}
	})
}

// TestAliveNamesTheOneThatHangs blocks a channel sender's loop, then the scheduler.
func TestAliveNamesTheOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		synctest.Wait()
		alive := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return r.Alive(ctx)
		}
		r.channels.mu.Lock()
		l := r.channels.senders[channelKey{1, "c"}]
		key := channelKey{9, "stuck"}
		r.channels.senders[key] = newChannelSender(r.environment, r.runs, key.application, key.name) // nobody runs its loop
		r.channels.mu.Unlock()
		err := alive()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `channel "stuck" of application 9`) {
			t.Errorf("a channel sender that hangs: %v", err)
		}
		r.channels.mu.Lock()
		delete(r.channels.senders, key)
		r.channels.mu.Unlock()
		if l == nil {
			t.Error("the harness has no channel sender")
		}
		if err := alive(); err != nil {
			t.Errorf("without it: %v", err)
		}
	})
}
