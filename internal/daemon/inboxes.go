package daemon

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"

	"campaignd/internal/config"
	"campaignd/internal/watch"
)

// inboxes runs one watcher per inbox and adapts them at a reload.
type inboxes struct {
	handler  watch.Handler
	log      *slog.Logger
	noEvents bool

	mu      sync.Mutex // guards all below
	ctx     context.Context
	running map[string]*inboxWatcher
	wait    sync.WaitGroup
}

// inboxWatcher is one running watcher.
type inboxWatcher struct {
	config  config.Inbox
	rescan  string
	watcher *watch.Watcher
	cancel  context.CancelFunc
	done    chan struct{}
}

func newInboxes(handler watch.Handler, log *slog.Logger, noEvents bool) *inboxes {
	return &inboxes{handler: handler, log: log, noEvents: noEvents, running: map[string]*inboxWatcher{}}
}

// run watches until ctx ends.
func (m *inboxes) run(ctx context.Context, c *config.Config) error {
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	m.configure(c)
	<-ctx.Done()
	m.mu.Lock()
	m.ctx = nil
	m.mu.Unlock()
	m.wait.Wait()
	return nil
}

// configure starts, stops and restarts watchers to match c.
func (m *inboxes) configure(c *config.Config) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil {
		return
	}
	wanted := map[string]config.Inbox{}
	for _, in := range c.Inboxes {
		wanted[in.Path] = in
	}
	for path, w := range m.running {
		if in, ok := wanted[path]; ok && w.rescan == c.RescanText && reflect.DeepEqual(in, w.config) {
			delete(wanted, path)
			continue
		}
		w.cancel()
		<-w.done // two watchers of one folder would deliver its drops twice
		delete(m.running, path)
	}
	for path, in := range wanted {
		m.running[path] = m.start(in, c)
	}
}

func (m *inboxes) start(in config.Inbox, c *config.Config) *inboxWatcher {
	ctx, cancel := context.WithCancel(m.ctx)
	w := &inboxWatcher{config: in, rescan: c.RescanText, cancel: cancel, done: make(chan struct{})}
	options := WatchOptions(&in)
	options.Rescan, options.Log, options.NoEvents = c.Rescan, m.log, m.noEvents
	w.watcher = watch.New(options, m.handler)
	m.wait.Go(func() {
		defer close(w.done)
		if err := w.watcher.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			m.log.Error("watch inbox", "inbox", in.Path, "err", err)
		}
	})
	return w
}

// WatchOptions returns the options of an inbox's watcher that are in its configuration.
func WatchOptions(in *config.Inbox) watch.Options {
	return watch.Options{
		Path: in.Path, Settle: in.Settle, SidecarWait: in.SidecarWait, PairTimeout: in.PairTimeout,
		RequireSidecar: in.RequireSidecar, DefaultLayout: in.Layout != "", NoteAfter: in.NoteAfter, Ignore: in.Ignore,
		Zone: in.Location,
	}
}

// Counts returns the counts of each watched inbox at its last scan.
func (m *inboxes) Counts() map[string]watch.Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]watch.Counts{}
	for path, w := range m.running {
		all[path] = w.watcher.Counts()
	}
	return all
}

// Waits returns the drops that wait in each watched inbox, with their reasons.
func (m *inboxes) Waits() map[string][]watch.Wait {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string][]watch.Wait{}
	for path, w := range m.running {
		all[path] = w.watcher.Waits()
	}
	return all
}
