package watch

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// errClosed is logged when fsnotify has closed its channels.
var errClosed = errors.New("the watch has ended")

// notifier is a source of events about one folder.
type notifier struct {
	events <-chan fsnotify.Event
	errors <-chan error
	alive  func() bool // false once the watched folder is gone
	close  func() error
}

// openNotifier watches a folder with fsnotify.
func openNotifier(path string) (*notifier, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := watcher.Add(path); err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	return &notifier{
		events: watcher.Events, errors: watcher.Errors, close: watcher.Close,
		alive: func() bool { return len(watcher.WatchList()) > 0 },
	}, nil
}

// openHints makes sure that events come from the folder that is there now. A watch ends silently
// when its folder is removed, renamed or unmounted.
func (w *Watcher) openHints() {
	if w.opt.NoEvents || w.hints != nil && !w.stale && w.hints.alive() {
		return
	}
	w.closeHints()
	hints, err := w.notify(w.opt.Path)
	w.logChange(&w.logged.events, "the inbox can't be watched; until it can, only rescans notice files", err)
	if err == nil {
		w.hints, w.stale = hints, false
	}
}

func (w *Watcher) closeHints() {
	if w.hints == nil {
		return
	}
	if err := w.hints.close(); err != nil {
		w.log.Debug("close watch", "inbox", w.opt.Path, "err", err)
	}
	w.hints = nil
}

// hint records an event. Events are gathered for a moment, because an upload causes one for every
// write.
func (w *Watcher) hint(event fsnotify.Event, ok bool) {
	if !ok {
		w.lost(errClosed, false)
		return
	}
	if filepath.Clean(event.Name) == w.opt.Path {
		if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
			w.full, w.stale = true, true
		}
		return
	}
	file := filepath.Base(event.Name)
	if w.parse(file).Kind < KindCSV {
		return // counted by the next full look
	}
	if len(w.named) >= maxHints {
		w.full = true
		return
	}
	w.named[file] = struct{}{}
	if w.hintAt == never {
		w.hintAt = w.now() + min(max(w.opt.Settle/4, 10*time.Millisecond), 100*time.Millisecond)
	}
}

// lost schedules a full scan after events were lost, for example by an overflow of the kernel's
// queue. If the watch itself is lost (open is false), that scan opens another.
func (w *Watcher) lost(err error, open bool) {
	w.full = true
	if !open {
		err = errClosed
		w.closeHints()
	}
	w.log.Info("events were lost; scanning the whole inbox", "inbox", w.opt.Path, "err", err)
}

func (w *Watcher) clearHints() {
	clear(w.named)
	w.hintAt = never
}
