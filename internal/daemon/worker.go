package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/display"
	"campaignd/internal/relay"
)

// WorkerOptions configure RunWorker.
type WorkerOptions struct {
	Config  *config.Config
	Version string
	Log     *slog.Logger
	Getenv  func(string) string
	Notify  func(state string) // notifies the service manager (sd_notify); nil: there is none
	Reloads <-chan os.Signal   // each asks for the configuration to be read again
}

// worker is a process that sends for a hub. It has neither store nor inboxes.
type worker struct {
	opts WorkerOptions
	conn *relay.Conn

	mu      sync.Mutex // guards current
	current *relay.Worker
}

// connectTimeout limits ListWorkers.
const connectTimeout = 5 * time.Second

// RunWorker sends what the hub hands out until ctx ends; then it finishes the messages under way
// within stop_timeout. It fails at once if the configuration has no channel for workers, or no
// channel whose secrets can be read here.
func RunWorker(ctx context.Context, o WorkerOptions) error {
	if o.Notify == nil {
		o.Notify = func(string) {}
	}
	w := &worker{opts: o}
	channels, err := w.openChannels(o.Config)
	if err != nil {
		return err
	}
	if w.conn, err = connectNATS(o.Config, "worker", o.Getenv, o.Log); err != nil {
		return errors.Join(err, closeChannels(channels))
	}
	defer w.conn.Close()
	group, ctx := errgroup.WithContext(ctx)
	if c := o.Config; c.Listen != "" {
		registry := prometheus.NewRegistry()
		if err := registry.Register(workerCollector{w}); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
		group.Go(func() error {
			return control.RunProbe(ctx, control.Options{Listen: c.Listen, TokenFile: c.TokenFile, MetricsToken: c.MetricsToken,
				TrustedProxies: proxies(c.TrustedProxies), Getenv: o.Getenv, Registry: registry, Log: o.Log}, w.ready)
		})
	}
	group.Go(func() error { w.notifyStatus(ctx); return nil })
	group.Go(func() error { w.run(ctx, o.Config, channels); return nil })
	return group.Wait()
}

// connectNATS starts connecting as [nats] says. role is part of the connection's name.
func connectNATS(c *config.Config, role string, getenv func(string) string, log *slog.Logger) (*relay.Conn, error) {
	o, err := natsConfig(c, role, getenv)
	if err != nil {
		return nil, err
	}
	o.Log = log
	return relay.Connect(o)
}

// openChannels creates the drivers of the channels that workers send. One whose secrets can't be
// read here is announced with the reason and takes nothing.
func (w *worker) openChannels(c *config.Config) ([]relay.WorkerDriver, error) {
	env := config.Environment{Secret: config.SecretReader(w.opts.Getenv)}
	var list []relay.WorkerDriver
	var problems []error
	for i := range c.Applications {
		a := &c.Applications[i]
		for _, name := range slices.Sorted(maps.Keys(a.Channels)) {
			ch := a.Channels[name]
			if !ch.Remote() {
				continue
			}
			one := relay.WorkerDriver{Application: a.ID, Name: name, Concurrency: ch.Concurrency, Batch: ch.Batch}
			driver, err := ch.Open(env)
			if err != nil {
				problems = append(problems, fmt.Errorf("application %d, channel %s: %w", a.ID, name, err))
				one.Reason = err.Error()
			} else {
				one.Channel = driver
			}
			list = append(list, one)
		}
	}
	switch {
	case len(list) == 0:
		return nil, fmt.Errorf("%s has no channel with send_from = %q: there is nothing to do for a worker", c.File, config.FromWorkers)
	case len(problems) == len(list):
		return nil, errors.Join(problems...)
	}
	for _, err := range problems {
		w.opts.Log.Warn("this worker can't send a channel", "err", err)
	}
	return list, nil
}

func closeChannels(list []relay.WorkerDriver) error {
	var problems []error
	for _, one := range list {
		if one.Channel != nil {
			problems = append(problems, one.Channel.Close())
		}
	}
	return errors.Join(problems...)
}

// run sends until ctx ends. A reload ends one worker in order and starts the next, with another id.
func (w *worker) run(ctx context.Context, c *config.Config, channels []relay.WorkerDriver) {
	log := w.opts.Log
	for {
		one := relay.NewWorker(relay.WorkerOptions{Conn: w.conn, Host: hostName(), Version: w.opts.Version, Channels: channels,
			StopTimeout: abortAfter(c.StopTimeout), Log: log})
		w.mu.Lock()
		w.current = one
		w.mu.Unlock()
		sending, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			one.Run(sending)
		}()
		log.Info("ready", "version", w.opts.Version, "config", c.File, "worker", one.ID(), "channels", len(channels))
		w.opts.Notify("READY=1\nSTATUS=" + w.statusLine())
		next, opened := w.waitForReload(ctx, c)
		if next == nil {
			w.opts.Notify("STOPPING=1")
			log.Info("stopping: taking no more batches, finishing what is in flight")
		}
		stop()
		<-ended
		if err := closeChannels(channels); err != nil {
			log.Warn("cannot close a channel's driver", "err", err)
		}
		if next == nil {
			log.Info("stopped")
			return
		}
		c, channels = next, opened
	}
}

// waitForReload returns a new configuration with its channels, or nil when ctx ends. If the file is
// invalid, the old configuration stays in force.
func (w *worker) waitForReload(ctx context.Context, old *config.Config) (*config.Config, []relay.WorkerDriver) {
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-w.opts.Reloads:
		}
		w.opts.Notify(reloading())
		next, problems := old.Reload()
		var channels []relay.WorkerDriver
		err := error(nil)
		if problems.Count > 0 {
			err = fmt.Errorf("%s, the first: %s", display.Amount(problems.Count, "error"), problems.List[0].String())
		} else if channels, err = w.openChannels(next); err == nil {
			if next.NATS == nil || !slices.Equal(next.NATS.Servers, old.NATS.Servers) || next.NATS.Name != old.NATS.Name || next.NATS.CredentialsFile != old.NATS.CredentialsFile || next.Listen != old.Listen {
				w.opts.Log.Warn("reload: nats and listen take effect at the next start")
				next.NATS, next.Listen = old.NATS, old.Listen
			}
			return next, channels
		}
		w.opts.Log.Error("reload: the old configuration stays", "err", err)
		w.opts.Notify("READY=1")
	}
}

// notifyStatus keeps the service manager and its watchdog informed until ctx ends.
func (w *worker) notifyStatus(ctx context.Context) {
	limit := watchdogTime(w.opts.Getenv)
	every(ctx, statusInterval(limit), func() (again bool) {
		if limit > 0 {
			w.opts.Notify("WATCHDOG=1")
		}
		w.opts.Notify("STATUS=" + w.statusLine())
		return true
	})
}

// statusLine returns the line for `systemctl status`.
func (w *worker) statusLine() string { return workerLine(w.record(), w.conn.Connected()) }

// workerLine describes a worker in a line.
func workerLine(r relay.WorkerRecord, connected bool) string {
	unable, inFlight := 0, 0
	for _, ch := range r.Channels {
		inFlight += ch.InFlight
		if ch.Reason != "" {
			unable++
		}
	}
	line := fmt.Sprintf("sends for %s, %d in flight", display.Amount(len(r.Channels)-unable, "channel"), inFlight)
	if unable > 0 {
		line += fmt.Sprintf("; can't send for %s", display.Amount(unable, "channel"))
	}
	if !connected {
		line = "waits for NATS: no server answers; " + line
	}
	return line
}

// record describes the running worker.
func (w *worker) record() (r relay.WorkerRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current != nil {
		r = w.current.Record()
	}
	return r
}

// ready checks what a worker needs for its work.
func (w *worker) ready(context.Context) []api.Check {
	checks := []api.Check{{Name: "nats", OK: w.conn.Connected()}}
	if !checks[0].OK {
		checks[0].Message = "no server is connected"
	}
	r := w.record()
	checks = append(checks, api.Check{Name: "running", OK: !r.Stopping})
	for _, ch := range r.Channels {
		checks = append(checks, api.Check{Name: fmt.Sprintf("channel %s of application %d", ch.Name, ch.Application), OK: ch.Reason == "", Message: ch.Reason})
	}
	return checks
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "worker"
	}
	return name
}

// ListWorkers asks NATS for the workers that run now.
func ListWorkers(ctx context.Context, c *config.Config, getenv func(string) string) ([]api.ClusterWorker, error) {
	conn, err := connectNATS(c, "workers", getenv, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := conn.WaitConnected(ctx); err != nil {
		return nil, err
	}
	records, err := conn.Workers(ctx)
	list := make([]api.ClusterWorker, len(records))
	for i := range records {
		list[i] = describeWorker(&records[i])
	}
	return list, err
}
