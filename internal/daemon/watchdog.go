package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// statusEvery is how often the service manager gets a new STATUS line.
const statusEvery = 10 * time.Second

// watchdogTime is within which time the service manager wants a sign of life
// (sd_watchdog_enabled(3)); 0: it doesn't.
func watchdogTime(getenv func(string) string) time.Duration {
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0 // meant for another process
	}
	return time.Duration(usec) * time.Microsecond
}

// attend tells the service manager how things stand until ctx ends. The watchdog
// is fed only after alive has returned nil: a dispatcher that hangs starves it,
// and systemd ends the daemon and starts it anew.
func (d *Daemon) attend(ctx context.Context, alive func(context.Context) error) {
	limit := watchdogTime(d.opts.Getenv)
	every := statusEvery
	if limit > 0 {
		every = min(every, limit/3)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if limit > 0 {
			d.feed(ctx, limit, alive)
		}
		if line := d.statusLine(); line != "" && ctx.Err() == nil {
			d.opts.Notify("STATUS=" + line)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// feed gives the watchdog its sign of life, or says in the log why it doesn't.
func (d *Daemon) feed(ctx context.Context, limit time.Duration, alive func(context.Context) error) {
	asked, cancel := context.WithTimeout(ctx, limit/2)
	defer cancel()
	switch err := alive(asked); {
	case err == nil:
		d.opts.Notify("WATCHDOG=1")
	case ctx.Err() != nil || errors.Is(err, send.ErrNotRunning):
	default:
		d.log.Error("no sign of life: the watchdog is not fed", "err", err)
	}
}

// statusLine is what `systemctl status` shows: counts, no names.
func (d *Daemon) statusLine() string {
	stats, err := d.store.Stats()
	if err != nil {
		return "the store can't be read"
	}
	var parts []string
	for _, state := range []campaign.State{campaign.StateChecking, campaign.StateScheduled, campaign.StateSending, campaign.StatePaused, campaign.StateHeld} {
		if n := stats.Sendings[state]; n > 0 || state == campaign.StateScheduled || state == campaign.StateSending {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	parts = append(parts, fmt.Sprintf("%d in flight", d.send.InFlight()))
	if n := len(d.send.HeldChannels()); n > 0 {
		parts = append(parts, fmt.Sprintf("%d channels held", n))
	}
	return strings.Join(parts, ", ")
}
