package watch

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"campaignd/internal/safeio"
)

// judge decides about an item that was just looked at. It asks for leases before any decision but
// to wait.
func (w *Watcher) judge(dir *safeio.Dir, it *item) {
	began := w.now()
	probed := false
	for {
		now := w.now()
		what, at := w.rules.next(it)
		if now < at || what == stepWait {
			if at <= now { // a part couldn't be looked at in this scan
				at = now + w.rules.poll()
			}
			it.last, it.due = stepWait, at
			return
		}
		if !probed {
			probed = true
			if !w.probe(dir, it) {
				// A part has just changed: look again soon.
				it.last, it.due = stepWait, began+w.rules.poll()
				return
			}
			continue // the probe may have led to a refusal
		}
		if held(it) {
			it.settledAt = notYet
			if until := w.rules.heldUntil(it); now < until {
				it.last, it.due = stepWait, min(now+w.rules.poll(), until)
				return
			}
			if what != stepRefused && !it.single() {
				what = stepIncomplete
			} else {
				what = stepRefused
			}
		}
		if what == stepSettled {
			it.settledAt = now
			continue
		}
		if what, at = w.hold(it, what, now); at > now {
			it.last, it.due = stepWait, at
			return
		}
		it.last, it.due = what, never
		w.found = append(w.found, it)
		return
	}
}

// hold decides whether an item that is ready or incomplete by itself waits for other files: for an
// upload of its name that goes on, or for a near miss to be renamed. It returns the step, and until
// when the item waits; zero if it doesn't.
func (w *Watcher) hold(it *item, what step, now time.Duration) (step, time.Duration) {
	switch what {
	case stepReady:
		it.near, it.upload = nil, ""
		if until, file := w.uploadUntil(it); until > now {
			it.upload = file
			return stepWait, until
		}
		if it.lacks() == 0 {
			return what, 0
		}
		if !w.whole { // defaults are only used after a look at every name
			w.full = true
			return stepWait, now + w.rules.poll()
		}
		if it.near = w.nearMisses(it); len(it.near) == 0 {
			return what, 0
		}
		return stepIncomplete, it.first() + w.rules.pairTimeout
	case stepIncomplete:
		if drop := w.absorbedBy(it); drop != nil {
			return stepWait, drop.first() + w.rules.pairTimeout + w.rules.grace()
		}
		it.near = w.nearMisses(it)
	case stepWait, stepSettled, stepRefused, stepControl, stepBadName: // depend on no other file
	}
	return what, 0
}

// held reports whether a part is open for writing or can't be opened.
func held(it *item) bool {
	return slices.ContainsFunc(it.parts, func(p *part) bool { return p.busy || p.openErr != nil && p.deniedAt == notYet })
}

// probe opens the item's files for a lease. It returns false if a file differs from the one that
// the scan saw.
func (w *Watcher) probe(dir *safeio.Dir, it *item) bool {
	same := true
	for _, p := range it.parts {
		if p.stat().Check() != nil {
			continue
		}
		now := w.now()
		p.busy, p.openErr = false, nil
		f, fi, err := dir.OpenRegular(p.file.Name)
		switch {
		case err == nil:
			if safeio.FileID(fi) != p.file.ID {
				same = false
				p.file.ID = safeio.FileID(fi)
				p.changed(w.now())
				it.changed(p.kind)
			}
			busy, known := safeio.Busy(f)
			p.busy, p.deniedAt = busy, notYet
			if !known && !w.logged.lease {
				w.logged.lease = true
				w.log.Info("read leases are unavailable; only quiet time decides when a file is settled", "inbox", w.opt.Path)
			}
			if err := f.Close(); err != nil {
				p.openErr = err
			}
		case errors.Is(err, fs.ErrPermission):
			p.openErr = err
			if p.deniedAt == notYet {
				p.deniedAt = now
			}
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, safeio.ErrLink),
			errors.Is(err, safeio.ErrHardLinked), errors.Is(err, safeio.ErrNotRegular):
			same = false
			p.changed(now)
			it.changed(p.kind)
		default:
			p.openErr = err
		}
	}
	return same
}

// handOverFound passes the scan's finds to the handler, sorted by the last change of each: a pause
// comes before the resume that followed it.
func (w *Watcher) handOverFound() {
	slices.SortFunc(w.found, func(a, b *item) int {
		return cmp.Or(cmp.Compare(a.lastChange(), b.lastChange()), strings.Compare(a.parts[0].file.Name, b.parts[0].file.Name))
	})
	for _, it := range w.found {
		w.handOver(it, it.last)
	}
	clear(w.found)
	w.found = w.found[:0]
}

// handOver passes an item to the handler.
func (w *Watcher) handOver(it *item, what step) {
	if what == stepControl {
		c := Control{Inbox: w.opt.Path, Name: it.name.Base, ID: it.name.ID, Action: it.name.Action,
			File: it.parts[0].file, FirstSeen: w.start.Add(it.first()), Beside: w.items[key{base: it.name.Base}] != nil}
		c.WholeBeside = c.ID != "" && w.items[key{base: c.Name + "." + string(c.ID)}] != nil
		w.handler.Control(c)
		return
	}
	if it.name.Kind == KindBadName {
		w.handler.BadName(w.opt.Path, it.parts[0].file, it.name.Why)
		return
	}
	d := it.drop(w.opt.Path, w.start, w.rules.needs(it))
	if what == stepIncomplete {
		d.Problems = append(d.Problems, w.similarProblems(it)...)
	}
	if what != it.loggedStep {
		it.loggedStep = what
		w.logDrop(d, what)
	}
	switch what {
	case stepReady:
		w.handler.Ready(d)
	case stepIncomplete:
		w.handler.Incomplete(d)
	case stepRefused:
		w.handler.Refused(d)
	case stepWait, stepSettled, stepControl, stepBadName: // nothing to hand over
	}
}
