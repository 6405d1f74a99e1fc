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
	maxHints      = 4096 // with more names than this between two scans, scan everything
	pauseFactor   = 4    // a scan is followed by a pause this many times as long
)

// Watcher watches one inbox. All fields but counts and waits belong to Run's goroutine.
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
	others      map[string]*other // files of no drop, by name
	near        *nearIndex        // of the current scan, nil until it is needed
	found       []*item           // items that the current scan hands over
	dir         campaign.FileID   // identity of the inbox when it was last opened
	scans       uint64
	loggedNames map[string]uint64 // names logged, with the number of the last scan that saw them
	logged      loggedState

	hints      *notifier // nil: no events
	stale      bool      // hints watch a folder that was replaced
	full       bool      // the next scan covers everything
	whole      bool      // the current scan covers everything
	named      map[string]struct{}
	hintAt     time.Duration // time of the next scan of the named files, or never
	rescanAt   time.Duration
	dueAt      time.Duration // earliest due of all items
	pauseUntil time.Duration

	mu     sync.Mutex // guards counts, waits
	counts Counts
	waits  []Wait
}

// loggedState holds what was logged and is not logged again until it changes.
type loggedState struct {
	open, list, stat, events string
	lease, many              bool
}

// New returns a Watcher. It starts nothing and does no I/O.
func New(opt Options, handler Handler) *Watcher {
	opt.Path = filepath.Clean(opt.Path)
	return &Watcher{
		opt: opt, handler: handler, log: cmp.Or(opt.Log, slog.New(slog.DiscardHandler)), notify: openNotifier, limit: maxItems,
		rules: rules{settle: opt.Settle, sidecarWait: opt.SidecarWait, pairTimeout: opt.PairTimeout, sidecarNeeded: opt.RequireSidecar, layoutKnown: opt.DefaultLayout},
		poke:  make(chan struct{}, 1),
		items: map[key]*item{}, others: map[string]*other{}, loggedNames: map[string]uint64{}, named: map[string]struct{}{},
	}
}

// Run watches until ctx ends and then returns nil. It returns an error only for options that can't
// work; a missing or unreadable inbox is waited for. It may be called once.
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
		if rest <= 0 { // checked before select, where a flood of events could win
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

// Poke requests a full scan soon. It never blocks.
func (w *Watcher) Poke() {
	select {
	case w.poke <- struct{}{}:
	default: // one is already requested
	}
}

// Counts returns the result of the last scan. It is safe for concurrent use.
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

// wait returns the time until the next scan if nothing happens before.
func (w *Watcher) wait() time.Duration {
	at := min(w.rescanAt, w.dueAt, w.hintAt)
	if w.full {
		at = 0
	}
	return max(at, w.pauseUntil) - w.now()
}

// scan does the scan that is due and schedules the next. The pause after it grows with the
// duration of the scan, so that no partner can keep a core busy with many files or events.
func (w *Watcher) scan() {
	began := w.now()
	w.near, w.whole = nil, w.full || began >= w.rescanAt
	if w.whole {
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

// rescan returns the time from now to the next rescan.
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

// schedule finds when the next item is due, counts the items and records the reasons of those that
// wait.
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
		case stepIncomplete, stepRefused, stepBadName:
			troubled++
		}
	}
	w.setCounts(func(c *Counts) {
		c.Pending, c.Ready, c.Troubled, c.Events = pending, ready, troubled, w.hints != nil
	})
	if w.whole {
		for _, it := range waiting.items {
			it.near = w.nearMisses(it)
		}
	}
	w.setWaits(waiting.items)
	w.handOverNotes(waiting.items)
}

// setScanCounts records the result of a full scan.
func (w *Watcher) setScanCounts(seen tally) {
	w.setCounts(func(c *Counts) {
		c.Ignored, c.Foreign, c.BadNames, c.Untaken = seen.ignored, seen.foreign, seen.bad, seen.untaken
		c.Missing, c.Err = false, cmp.Or(w.logged.list, w.logged.stat)
		c.LookedAt = time.Now()
	})
}
