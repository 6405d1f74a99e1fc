package watch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
)

const (
	defaultRescan = 10 * time.Second
	maxHints      = 4096 // more names than this between two looks: look at everything
	pauseFactor   = 4    // a look is followed by a rest this many times as long
)

// Watcher watches one inbox. All fields but counts belong to Run's goroutine.
type Watcher struct {
	opt     Options
	handler Handler
	rules   rules
	log     *slog.Logger
	disk    safeio.Disk
	notify  func(path string) (*notifier, error)
	limit   int // of items
	poke    chan struct{}

	start       time.Time // when Run began, with monotonic reading
	items       map[key]*item
	found       []*item         // what the look under way has to tell
	dir         campaign.FileID // the inbox as it was opened last
	scans       uint64
	loggedNames map[string]uint64 // names logged, with the last look that saw them
	logged      loggedState

	hints      *notifier // nil: no events
	stale      bool      // hints are about another folder
	full       bool      // the next look is at everything
	named      map[string]struct{}
	hintAt     time.Duration // when the named files are looked at, never if there are none
	rescanAt   time.Duration
	dueAt      time.Duration // earliest due of all items
	pauseUntil time.Duration

	mu     sync.Mutex // guards counts, waits
	counts Counts
	waits  []Wait
}

// told is what was logged and is not said again until it changes.
type loggedState struct {
	open, list, stat, events string
	lease, many              bool
}

// New makes a Watcher. It starts nothing and does no I/O.
func New(opt Options, handler Handler) *Watcher {
	opt.Path = filepath.Clean(opt.Path)
	log := opt.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Watcher{
		opt: opt, handler: handler, log: log, notify: openNotifier, limit: maxItems,
		rules: rules{settle: opt.Settle, sidecarWait: opt.SidecarWait, pairTimeout: opt.PairTimeout, sidecarNeeded: opt.RequireSidecar},
		poke:  make(chan struct{}, 1),
		items: map[key]*item{}, loggedNames: map[string]uint64{}, named: map[string]struct{}{},
	}
}

// Run watches until ctx ends, and returns nil then. It returns an error only for
// options that can't work; a missing or unreadable inbox is waited for. Call it once.
func (w *Watcher) Run(ctx context.Context) error {
	for _, pattern := range w.opt.Ignore {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("watch inbox %q: ignore pattern %q: %w", w.opt.Path, pattern, err)
		}
	}
	w.start = time.Now()
	w.full, w.hintAt, w.dueAt = true, never, never
	defer w.closeHints()
	timer := time.NewTimer(never)
	defer timer.Stop()
	for ctx.Err() == nil {
		rest := w.wait()
		if rest <= 0 { // not left to select, where a flood of events could come first
			w.scan()
			continue
		}
		timer.Reset(rest)
		var events <-chan fsnotify.Event
		var failures <-chan error
		if w.hints != nil {
			events, failures = w.hints.events, w.hints.errors
		}
		select {
		case <-ctx.Done():
		case <-w.poke:
			w.full = true
		case event, ok := <-events:
			w.hint(event, ok)
		case err, ok := <-failures:
			w.lost(err, ok)
		case <-timer.C:
		}
	}
	return nil
}

// Poke has the inbox looked at soon, as a rescan does. It never blocks.
func (w *Watcher) Poke() {
	select {
	case w.poke <- struct{}{}:
	default: // one is on its way already
	}
}

// Counts is what the last look found. Safe for concurrent use.
func (w *Watcher) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}

func (w *Watcher) setCounts(set func(*Counts)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	set(&w.counts)
}

// wait is how long until the next look, if nothing happens before.
func (w *Watcher) wait() time.Duration {
	at := min(w.rescanAt, w.dueAt, w.hintAt)
	if w.full {
		at = 0
	}
	return max(at, w.pauseUntil) - w.now()
}

// look looks at what is to be looked at now, and says when to look again. A rest
// follows that grows with the look: no partner can keep a core busy by the
// number of its files or events.
func (w *Watcher) scan() {
	began := w.now()
	if w.full || began >= w.rescanAt {
		w.full = false
		w.openHints() // before the listing, so that nothing slips in between
		w.clearHints()
		w.scanAll()
		w.rescanAt = w.now() + w.rescan(time.Now())
	} else {
		named := w.named
		w.named = map[string]struct{}{}
		w.hintAt = never
		w.scanNamed(named)
	}
	w.schedule()
	ended := w.now()
	w.pauseUntil = ended + pauseFactor*(ended-began)
}

// rescan is how long after now the next rescan is due.
func (w *Watcher) rescan(now time.Time) time.Duration {
	if w.opt.Rescan == nil {
		return defaultRescan
	}
	next := w.opt.Rescan.Next(now)
	if !next.After(now) {
		return defaultRescan
	}
	return next.Sub(now)
}

// plan finds out when the next item is due, counts the items, and notes what they wait for.
func (w *Watcher) schedule() {
	w.dueAt = never
	pending, ready, troubled := 0, 0, 0
	var waiting oldest
	for _, it := range w.items {
		w.dueAt = min(w.dueAt, it.due)
		switch it.last {
		case stepWait, stepSettled:
			pending++
			waiting.add(it)
		case stepReady, stepControl:
			ready++
		case stepIncomplete, stepRefused:
			troubled++
		}
	}
	w.setCounts(func(c *Counts) {
		c.Pending, c.Ready, c.Troubled, c.Events = pending, ready, troubled, w.hints != nil
	})
	w.setWaits(waiting.items)
}

// counted notes what a full look has found.
func (w *Watcher) setScanCounts(seen tally, began time.Duration) {
	w.setCounts(func(c *Counts) {
		c.Ignored, c.Foreign, c.BadNames, c.Untaken = seen.ignored, seen.foreign, seen.bad, seen.untaken
		c.Missing, c.Err = false, cmp.Or(w.logged.list, w.logged.stat)
		c.LookedAt, c.Took = time.Now(), w.now()-began
	})
}
