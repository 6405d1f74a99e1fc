package watch

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
)

// maxItems bounds the memory of an inbox (some 500 bytes an item). Further files wait untouched
// until others are gone. A part of a known drop is always taken.
const maxItems = 100_000

// maxParts bounds the parts of one drop. An extension has thousands of spellings in upper and
// lower case, and with two spellings of one part the drop is refused anyway.
const maxParts = 16

// tally counts the names of one full scan.
type tally struct {
	ignored, foreign, bad, untaken int
	err                            error // error of the first file that couldn't be looked at
}

// scanAll looks at everything in the inbox.
func (w *Watcher) scanAll() {
	dir, ok := w.open()
	if !ok {
		return
	}
	defer w.close(dir)
	w.scans++
	var seen tally
	err := dir.Names(func(file string) { w.name(dir, file, &seen) })
	w.logChange(&w.logged.stat, "look at the files of the inbox", seen.err)
	w.logChange(&w.logged.list, "list inbox", err)
	if err == nil { // otherwise files that weren't listed may still be there
		w.sweep()
		w.sweepOthers()
		w.forgetLoggedNames()
	}
	for _, it := range w.items {
		w.judge(dir, it)
	}
	w.handOverFound()
	w.setScanCounts(seen)
}

// scanNamed looks at the files named by events and at the items that are due. If the folder was
// replaced, the next scan is a full one.
func (w *Watcher) scanNamed(files map[string]struct{}) {
	dir, ok := w.open()
	if !ok {
		return
	}
	defer w.close(dir)
	w.scans++
	for file := range files {
		n := w.parse(file)
		switch n.Kind {
		case KindForeign, KindTemporary:
			w.observeOther(dir, file, n)
			continue
		case KindIgnored, KindReserved:
			continue // counted by the next full scan
		case KindBadName, KindCSV, KindLayout, KindSidecar, KindControl:
		}
		_, _ = w.observe(dir, file, n) // errors are logged by full scans
		if it := w.items[keyOf(n, file)]; it != nil {
			it.touched = w.scans
		}
	}
	now := w.now()
	for _, it := range w.items {
		if it.touched != w.scans && it.due > now {
			continue
		}
		for i := len(it.parts) - 1; i >= 0; i-- {
			if p := it.parts[i]; p.scanNo != w.scans {
				_, _ = w.observe(dir, p.file.Name, it.nameOf(p))
			}
		}
		if len(it.parts) > 0 {
			w.judge(dir, it)
		}
	}
	w.handOverFound()
}

// open opens the inbox. If it is another folder than before, all items are forgotten.
func (w *Watcher) open() (*safeio.Dir, bool) {
	dir, err := w.disk.OpenDir(w.opt.Path)
	w.logChange(&w.logged.open, "the inbox can't be opened: make it, or mount its disk", err)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			w.forgetItems()
		}
		w.setCounts(func(c *Counts) { c.Missing, c.Err = true, err.Error() })
		return nil, false
	}
	if id := dir.ID(); w.dir != (campaign.FileID{}) && (id.Device != w.dir.Device || id.Inode != w.dir.Inode) {
		w.log.Warn("the inbox is another folder than before; scanning it from the beginning", "inbox", w.opt.Path)
		w.forgetItems()
		w.stale = true
		w.full = true // in case this scan covered only some names
	}
	w.dir = dir.ID()
	return dir, true
}

func (w *Watcher) close(dir *safeio.Dir) {
	if err := dir.Close(); err != nil {
		w.log.Debug("close inbox", "inbox", w.opt.Path, "err", err)
	}
}

// parse is ParseName with the inbox's own ignore patterns.
func (w *Watcher) parse(file string) Name {
	n := ParseName(file)
	if n.Kind == KindIgnored || n.Kind == KindReserved {
		return n
	}
	for _, pattern := range w.opt.Ignore {
		if ok, _ := path.Match(pattern, file); ok { // Run checked the patterns
			return Name{Kind: KindIgnored}
		}
	}
	return n
}

// name handles one name of the listing.
func (w *Watcher) name(dir *safeio.Dir, file string, seen *tally) {
	n := w.parse(file)
	switch n.Kind {
	case KindIgnored:
		seen.ignored++
	case KindTemporary:
		seen.ignored++
		w.observeOther(dir, file, n)
	case KindForeign:
		seen.foreign++
		w.logName(file, "a file that belongs to no drop is left alone")
		w.observeOther(dir, file, n)
	case KindReserved:
	case KindBadName, KindCSV, KindLayout, KindSidecar, KindControl:
		if n.Kind == KindBadName {
			seen.bad++
			w.logName(file, "a file's name can't be used: "+n.Why)
		}
		taken, err := w.observe(dir, file, n)
		if !taken {
			seen.untaken++
		}
		if seen.err == nil {
			seen.err = err
		}
	}
}

// observe looks at one file with a part's name. It returns false if the file wasn't taken because
// too much is pending. A file that can't be looked at stays as it was.
func (w *Watcher) observe(dir *safeio.Dir, file string, n Name) (taken bool, err error) {
	k := keyOf(n, file)
	it := w.items[k]
	if it == nil && len(w.items) >= w.limit || it != nil && len(it.parts) >= maxParts && it.find(file) == nil {
		return false, nil
	}
	asked := w.now()
	st, err := dir.Stat(file)
	answered := w.now()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			if p := it.find(file); p != nil {
				p.scanNo = w.scans // still listed
			}
			return true, err
		}
		if it != nil {
			w.drop(k, it, func(p *part) bool { return p.file.Name == file })
		}
		return true, nil
	}
	if it == nil {
		it = &item{name: n, settledAt: notYet}
		w.items[k] = it
	}
	p := it.find(file)
	if p == nil {
		p = &part{kind: n.Kind, file: File{Name: file, ID: st.ID}, mode: st.Mode, links: st.Links, first: answered}
		p.changed(answered)
		it.add(p)
	} else if p.saw(st, asked, answered) {
		it.changed(p.kind)
	}
	p.scanNo = w.scans
	return true, nil
}

// sweep drops the parts that the finished scan didn't see.
func (w *Watcher) sweep() {
	for k, it := range w.items {
		w.drop(k, it, func(p *part) bool { return p.scanNo != w.scans })
	}
}

// drop removes the parts that are gone from an item, and the item with its last part.
func (w *Watcher) drop(k key, it *item, gone func(*part) bool) {
	for _, p := range it.parts {
		if gone(p) {
			it.changed(p.kind)
		}
	}
	if it.parts = slices.DeleteFunc(it.parts, gone); len(it.parts) == 0 {
		delete(w.items, k)
	}
}

// forgetItems drops all items.
func (w *Watcher) forgetItems() {
	clear(w.items)
	clear(w.others)
}

// now returns the time since Run began.
func (w *Watcher) now() time.Duration { return time.Since(w.start) }
