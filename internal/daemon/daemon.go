// Package daemon builds the parts of campaignd, owns their goroutines, reloads the
// configuration and shuts down in order. It decides nothing about drops or
// messages; the parts do.
//
// An unusable configuration ends it before it takes or sends anything. A reload of
// a broken configuration is refused and the old one stays in force. If a part
// fails permanently, the daemon shuts down in order and returns the part's error.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/failpoint"
	"campaignd/internal/filing"
	"campaignd/internal/folders"
	"campaignd/internal/intake"
	"campaignd/internal/media"
	"campaignd/internal/notify"
	"campaignd/internal/partnerpage"
	"campaignd/internal/rarelog"
	"campaignd/internal/relay"
	"campaignd/internal/send"
	"campaignd/internal/service"
	"campaignd/internal/store"
	"campaignd/internal/webhooks"
)

// Names in the state folder (docs/contract.md 11).
const (
	tokenName = "http_token" // of HTTP, unless token_file is set
	mediaName = "media"      // folder of the copies of files that campaigns send
)

// Options configure a daemon.
type Options struct {
	Config  *config.Config
	Version string
	Log     *slog.Logger
	Getenv  func(string) string
	Notify  func(state string) // notifies the service manager (sd_notify); nil: there is none
	Now     func() time.Time   // nil: time.Now
	Standby bool               // follow the hub and lead when it is gone; only with [standby]
	Reloads <-chan os.Signal   // each asks for the configuration to be read again; nil: nobody does
	Quiet   bool               // no control socket, no HTTP, no file events: for tests in virtual time

	// Drivers creates every channel's driver, at start and at every reload; nil: OpenDrivers.
	// Tests supply channels that record messages.
	Drivers func(c *config.Config, getenv func(string) string) (Drivers, error)

	wire relay.Versions // of the hub; zero: its own. Tests announce others

	store *store.Store // opened by place; nil: Open opens it
	place *place       // nil: no [standby]
}

// Daemon is one campaignd. Open creates it; Run runs it. The operations of its Service are its own.
type Daemon struct {
	*service.Service
	opts      Options
	log       *slog.Logger
	now       func() time.Time
	startedAt time.Time
	store     *store.Store
	intake    *intake.Intake
	pages     *partnerpage.Keeper
	send      *send.Dispatcher
	inboxes   *inboxes // their watchers
	folders   *folders.Inboxes
	keeper    *filing.Keeper
	metrics   *control.Metrics
	registry  *prometheus.Registry
	stopping  context.Context // ends when the daemon begins to stop
	beginStop context.CancelFunc
	notifies  bool // Options.Notify was given
	states    states
	hooks     *webhooks.Hooks
	notifier  *notify.Notifier
	refresher *refresher
	media     *media.Files
	hub       *relay.Hub // nil: no [nats]

	mu       sync.Mutex // guards all below
	config   *config.Config
	configAt time.Time
	problem  string            // why the last reload was refused
	tokens   map[string]string // of partners, by the path of their inbox
}

// Open opens the store and creates the parts without running them.
func Open(o Options) (*Daemon, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	told := o.Notify != nil
	if !told {
		o.Notify = func(string) {}
	}
	d := &Daemon{opts: o, log: o.Log, now: o.Now, config: o.Config, startedAt: o.Now(), configAt: o.Now(), notifies: told}
	d.stopping, d.beginStop = context.WithCancel(context.Background())
	d.media = media.New(func() string { return d.current().CampaignsDir }, filepath.Join(o.Config.StateDir, mediaName))
	if o.Drivers == nil {
		d.opts.Drivers = func(c *config.Config, getenv func(string) string) (Drivers, error) {
			return openDrivers(c, d.environment(getenv))
		}
	}
	_, tokenErr := config.SecretReader(o.Getenv)(o.Config.TokenFile)
	drivers, err := d.opts.Drivers(o.Config, o.Getenv)
	if err := errors.Join(tokenErr, err); err != nil { // all that is missing, at once
		return nil, err
	}
	var nats relay.Config
	if o.Config.NATS != nil {
		if nats, err = natsConfig(o.Config, "hub", o.Getenv); err != nil {
			return nil, err
		}
	}
	if d.tokens, err = readPartnerTokens(o.Config, o.Getenv); err != nil {
		return nil, err
	}
	d.refresher = newRefresher(d)
	d.refresher.use(drivers)
	d.registry = prometheus.NewRegistry()
	if d.metrics, err = control.NewMetrics(d.registry); err != nil {
		return nil, err
	}
	d.hooks = webhooks.New(webhooks.Options{
		Store: func() webhooks.Store { return d.store }, Drivers: func() []config.Driver { return d.current().Drivers() },
		Templates: d.refresher.changed, Metrics: d.metrics, Log: o.Log, Now: o.Now,
	})
	table, err := d.hooks.Prepare(o.Config, o.Getenv)
	if err != nil {
		return nil, err
	}
	d.hooks.Use(table, o.Config.Listen)
	if err := os.MkdirAll(o.Config.StateDir, 0o750); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	if d.store = o.store; d.store == nil {
		if d.store, err = openStore(filepath.Join(o.Config.StateDir, service.StoreName), false); err != nil {
			return nil, err
		}
	}
	if err := d.store.UseOptOutRules(service.OptOutRules(o.Config, o.Version)); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	if o.Config.NATS != nil {
		d.hub = d.newHub(nats)
	}
	d.send = send.New(send.Options{
		Store: d.store, Log: o.Log, Now: o.Now, OnChange: d.changed, OptedOut: d.optedOut, Observer: d.metrics,
		StopTimeout: abortAfter(o.Config.StopTimeout), RetryHold: o.Config.RetryHold, Bars: d.bars(),
	})
	d.send.Configure(d.applications(o.Config, drivers))
	d.notifier = notify.New(notify.Options{Store: d.store, Target: d.notifyTarget, Data: func(s *campaign.Sending, c campaign.Counts) any { return api.DropOf(s, c) }, Now: o.Now, Log: o.Log,
		Tried: func(result notify.Result) { d.metrics.Notices(string(result), 1) }})
	for _, result := range notify.Results() {
		d.metrics.Notices(string(result), 0) // rate() needs a first value
	}
	d.folders = folders.New(d.store, d.current, o.Log)
	d.keeper = filing.New(filing.Options{
		Store: d.store, Inboxes: d.folders, Config: d.current, WaitsFor: func(s *campaign.Sending) *campaign.WaitsFor { return d.WaitsFor(s) },
		Filed: func(id campaign.ID) { d.intake.Filed(id) }, Ended: d.notifier.Kick, Log: o.Log, Now: o.Now,
	})
	d.intake = intake.New(intake.Options{
		Store: d.store, Inboxes: d.folders, Keeper: d.keeper, StateDir: o.Config.StateDir, Checker: d.checker(o.Config, drivers), Dispatcher: d.send, Media: d.media,
		Accepted: func(campaign.ID) { d.send.Kick() }, Decided: d.decided, Log: o.Log, Now: o.Now,
	})
	d.pages = &partnerpage.Keeper{Checker: d.intake.Checker, Present: d.folders.Present, Dir: o.Config.StateDir, Log: rarelog.New(o.Log, o.Now)}
	d.inboxes = newInboxes(d.intake, o.Log, o.Quiet)
	d.Service = service.New(service.Options{
		Store: d.store, Intake: d.intake, Keeper: d.keeper, Dispatcher: d.send, Inboxes: d.folders, Watchers: d.inboxes, Metrics: d.metrics, Environment: func() config.Environment { return d.environment(o.Getenv) },
		Log: o.Log, Now: o.Now, Version: o.Version, StartedAt: d.startedAt, Stopping: d.stopping, Loaded: d.loaded, Cluster: d.cluster(),
	})
	return d, nil
}

// openStore opens the store at path. checked is that of store.Options.
func openStore(path string, checked bool) (*store.Store, error) {
	return store.Open(path, store.Options{NoSync: failpoint.Setting("NOSYNC") != "", Checked: checked})
}

// environment returns what drivers get of the process.
func (d *Daemon) environment(getenv func(string) string) config.Environment {
	return config.Environment{Secret: config.SecretReader(getenv), Contacts: d.contactCounters, Records: lazyRecords{func() *store.Store { return d.store }}, Media: d.media}
}

func (d *Daemon) checker(c *config.Config, drivers Drivers) *check.Checker {
	return &check.Checker{Config: c, TempDir: c.StateDir, Campaigns: check.NewCampaigns(c.CampaignsDir), Channels: drivers.Of}
}

// changed is called after every change of a sending.
func (d *Daemon) changed(id campaign.ID) {
	d.countState(id)
	// The dispatcher is created before the keeper that handles its events.
	if d.keeper != nil {
		d.keeper.Changed(id)
	}
}

func (d *Daemon) optedOut(application int64, channelType string, m *send.Message) error {
	_, err := d.store.AddOptOuts([]store.OptOut{{ApplicationID: application, ChannelType: channelType,
		ContactCode: string(m.AppendContact(nil)), At: d.now().UTC(), Source: "channel"}})
	return err
}

// abortAfter returns the time after which a stop aborts attempts in flight. It leaves a part of
// stop_timeout for recording and reporting them. A stop_timeout of 0 aborts them immediately.
func abortAfter(stopTimeout time.Duration) time.Duration {
	return max(stopTimeout-stopTimeout/20, 1)
}

// runWith is Run that reads the configuration again at each reload.
func (d *Daemon) runWith(ctx context.Context, reloads <-chan os.Signal) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-reloads:
				_ = d.Reload(ctx, "SIGHUP") // Reload logs the errors itself
			}
		}
	}()
	if err := d.Run(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// Run works until ctx ends, then stops in this order: watchers and intake first, so
// that nothing new is taken; at the same time the dispatcher, which begins no more
// attempts and records those in flight within StopTimeout; then the folder keeper, so
// that the folders have the last outcomes; then the socket, so that people can watch
// the stop; the store last, because all others write to it.
func (d *Daemon) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, d.store.Close()) }()
	if err := d.recover(); err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	late, endLate := context.WithCancel(context.WithoutCancel(ctx))
	defer endLate()
	folders, service := make(chan error, 1), make(chan error, 1)
	foldersCtx, endFolders := context.WithCancel(late)
	defer endFolders()
	go func() { folders <- d.keeper.Run(foldersCtx) }()
	listening := make(chan struct{})
	go func() { service <- d.serve(late, listening) }()
	if d.opts.place != nil {
		parts.Go(func() error { return d.opts.place.hold(ctx, late, d.opts.Config.StopTimeout) })
	}
	parts.Go(func() error { // without its socket the daemon ends
		select {
		case <-ctx.Done():
			return nil
		case err := <-service:
			service <- nil
			if err == nil {
				err = errors.New("the control socket was closed")
			}
			return err
		}
	})
	parts.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-d.store.Ended(): // nothing can be read or recorded any more
			d.send.Abandon()
			return d.store.Err()
		}
	})
	parts.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-listening:
		}
		return d.work(ctx)
	})
	err = parts.Wait()
	d.opts.Notify("STOPPING=1")
	d.log.Info("stopped sending; writing the last reports")
	endFolders()
	err = errors.Join(err, <-folders)
	endLate()
	err = errors.Join(err, <-service)
	if err == nil {
		d.log.Info("stopped", "after", d.now().Sub(d.startedAt).Round(time.Second).String())
	}
	return err
}

// work runs the parts that take drops and send messages.
func (d *Daemon) work(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	d.runHub(ctx, group)
	group.Go(func() error { return d.intake.Run(ctx) })
	group.Go(func() error { return d.inboxes.run(ctx, d.current()) })
	group.Go(func() error { d.hooks.Run(ctx); return nil })
	group.Go(func() error { d.refresher.run(ctx); return nil })
	group.Go(func() error { d.keeper.RenewReports(ctx); return nil })
	group.Go(func() error { d.housekeeping(ctx); return nil })
	group.Go(func() error {
		if err := d.store.FillOptOutFilter(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("opt-outs can't be read into memory: each look-up asks the store", "err", err)
		}
		return nil
	})
	group.Go(func() error { return d.notifier.Run(ctx) })
	group.Go(func() error { d.pages.Run(ctx); return nil })
	group.Go(func() error {
		<-ctx.Done()
		d.beginStop()
		d.log.Info("stopping: accepting nothing new, finishing what is in flight")
		return nil
	})
	d.log.Info("ready", "version", d.opts.Version, "config", d.current().File, "inboxes", len(d.current().Inboxes), "applications", len(d.current().Applications))
	d.opts.Notify("READY=1")
	if d.notifies {
		group.Go(func() error { d.notifyStatus(ctx, d.alive); return nil })
	}
	return group.Wait()
}
