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
	"campaignd/internal/display"
	"campaignd/internal/send"
)

// statusEvery is the interval between STATUS lines for the service manager.
const statusEvery = 10 * time.Second

// watchdogTime returns the watchdog's timeout (sd_watchdog_enabled(3)), 0 if
// it is off.
func watchdogTime(getenv func(string) string) time.Duration {
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || usec > int64(24*time.Hour/time.Microsecond) {
		return 0
	}
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0 // it belongs to another process
	}
	return time.Duration(usec) * time.Microsecond
}

// notifyStatus keeps the service manager informed until ctx ends. It notifies the
// watchdog only if alive returned nil: if the dispatcher hangs, systemd restarts
// the daemon.
func (d *Daemon) notifyStatus(ctx context.Context, alive func(context.Context) error) {
	limit := watchdogTime(d.opts.Getenv)
	every(ctx, statusInterval(limit), func() (again bool) {
		if limit > 0 {
			d.notifyWatchdog(ctx, limit, alive)
		}
		if line := d.statusLine(); line != "" && ctx.Err() == nil {
			d.opts.Notify("STATUS=" + line)
		}
		return true
	})
}

// statusInterval returns the interval between notifications of the service manager with this watchdog.
func statusInterval(watchdog time.Duration) time.Duration {
	if watchdog > 0 {
		return min(statusEvery, watchdog/3)
	}
	return statusEvery
}

// notifyWatchdog notifies the watchdog, or logs why it doesn't.
func (d *Daemon) notifyWatchdog(ctx context.Context, limit time.Duration, alive func(context.Context) error) {
	asked, cancel := context.WithTimeout(ctx, limit/2)
	defer cancel()
	switch err := alive(asked); {
	case err == nil:
		d.opts.Notify("WATCHDOG=1")
	case ctx.Err() != nil || errors.Is(err, send.ErrNotRunning):
	default:
		d.log.Error("the dispatcher doesn't respond: watchdog not notified", "err", err)
	}
}

// statusLine returns the line for `systemctl status`: counts, and with a standby who leads and who follows.
func (d *Daemon) statusLine() string {
	stats, err := d.store.Stats()
	if err != nil {
		return "the store can't be read"
	}
	var parts []string
	if d.opts.place != nil {
		parts = append(parts, d.opts.place.line())
	}
	for _, state := range []campaign.State{campaign.StateChecking, campaign.StateScheduled, campaign.StateSending, campaign.StatePaused, campaign.StateHeld} {
		if n := stats.Sendings[state]; n > 0 || state == campaign.StateScheduled || state == campaign.StateSending {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	parts = append(parts, fmt.Sprintf("%d in flight", d.send.InFlight()))
	if n := len(d.send.HeldChannels()); n > 0 {
		parts = append(parts, display.Amount(n, "channel")+" held")
	}
	return strings.Join(parts, ", ")
}
