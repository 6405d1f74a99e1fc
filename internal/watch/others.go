package watch

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"campaignd/internal/safeio"
)

// maxOthers bounds the files that are remembered although they belong to no drop.
const maxOthers = 2000

// uploadWait counts from a temporary file's last change. Until it is over, the drop of that name waits.
const uploadWait = time.Minute

// other is a file that belongs to no drop: one that campaignd doesn't know, or a temporary one.
type other struct {
	name  Name
	file  File
	mode  fs.FileMode
	first time.Duration // first sighting of this file under its name
	since time.Duration // first sighting of its present state
	scan  uint64        // number of the last scan that saw it
}

// observeOther looks at a file that belongs to no drop. One too many is not remembered.
func (w *Watcher) observeOther(dir *safeio.Dir, file string, n Name) {
	o := w.others[file]
	if n.Kind == KindTemporary && n.Base == "" || o == nil && len(w.others) >= maxOthers {
		return
	}
	st, err := dir.Stat(file)
	now := w.now()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		delete(w.others, file)
		return
	case err != nil:
		if o != nil {
			o.scan = w.scans
		}
		return
	case o == nil:
		o = &other{name: n, first: now, since: now}
		w.others[file] = o
	case o.file.ID != st.ID:
		o.since = now
	}
	o.file, o.mode, o.scan = File{Name: file, ID: st.ID}, st.Mode, w.scans
}

// sweepOthers forgets the files that the finished scan didn't see.
func (w *Watcher) sweepOthers() {
	maps.DeleteFunc(w.others, func(_ string, o *other) bool { return o.scan != w.scans })
}

// uploadUntil returns until when a temporary file makes the drop wait, and its name; zero if none does.
func (w *Watcher) uploadUntil(it *item) (until time.Duration, file string) {
	for _, o := range w.index().uploads[it.name.Base] {
		at := o.since + uploadWait
		// An old one that was just seen for the first time: its ctime is the host's clock.
		if age := time.Since(time.Unix(0, o.file.ID.Change)); age > uploadWait && o.since == o.first {
			continue
		}
		if at > w.now() && at > until {
			until, file = at, o.file.Name
		}
	}
	return until, file
}

// candidate is a file that may be a missing part of a drop.
type candidate struct {
	file   File
	base   nearBase
	stands missing
	item   *item // of which it is a part, a drop without a CSV; nil: of none
	first  time.Duration
}

// nearIndex finds the files that belong to a drop by a near name. It is built once a scan.
type nearIndex struct {
	uploads  map[string][]*other    // temporary files by the NAME of their drop
	equal    map[string][]candidate // by folded base
	byDigits map[string][]candidate // by the digits of the folded base; at most maxOthers in all
	drops    map[string][]*item     // drops with a CSV that lack a part, by the digits of their folded NAME
}

// index returns the index of this scan.
func (w *Watcher) index() *nearIndex {
	if w.near != nil {
		return w.near
	}
	x := &nearIndex{uploads: map[string][]*other{}, equal: map[string][]candidate{}, byDigits: map[string][]candidate{}, drops: map[string][]*item{}}
	w.near = x
	n := 0
	add := func(c candidate) {
		for _, base := range nearBases(c.file.Name) {
			c.base = base
			x.equal[base.text] = append(x.equal[base.text], c)
			if n < maxOthers {
				d := digits(base.text)
				x.byDigits[d] = append(x.byDigits[d], c)
				n++
			}
		}
	}
	for _, o := range w.others {
		if o.name.Kind == KindTemporary {
			x.uploads[o.name.Base] = append(x.uploads[o.name.Base], o)
		} else if o.mode.IsRegular() {
			add(candidate{file: o.file, stands: nearShape(o.file.Name), first: o.first})
		}
	}
	waiting := 0
	for _, it := range w.items {
		switch {
		case it.single():
		case it.count(KindCSV) == 0:
			for _, p := range it.parts {
				stands := missingLayout
				if p.kind == KindSidecar {
					stands = missingSidecar
				}
				add(candidate{file: p.file, stands: stands, item: it, first: p.first})
			}
		case it.lacks() != 0 && waiting < maxOthers:
			waiting++
			d := digits(fold(it.name.Base))
			x.drops[d] = append(x.drops[d], it)
		}
	}
	return x
}

// lacks returns the parts that the drop has no file for.
func (it *item) lacks() missing {
	var m missing
	if it.count(KindLayout) == 0 {
		m |= missingLayout
	}
	if it.count(KindSidecar) == 0 {
		m |= missingSidecar
	}
	return m
}

// nearMisses returns the files that are probably missing parts of the drop, sorted by name.
func (w *Watcher) nearMisses(it *item) []File {
	lacks, hasCSV := it.lacks(), it.count(KindCSV) > 0
	return w.nearFiles(it, func(c candidate) bool { return c.stands&lacks != 0 && (c.item == nil || hasCSV) })
}

// nearFiles returns the wanted files with a near name, sorted by name.
func (w *Watcher) nearFiles(it *item, wanted func(candidate) bool) []File {
	if it.single() {
		return nil
	}
	name := fold(it.name.Base)
	var files []File
	x := w.index()
	for _, list := range [][]candidate{x.equal[name], x.byDigits[digits(name)]} {
		for _, c := range list {
			if c.item != it && wanted(c) && isNear(c.base, name) && !slices.ContainsFunc(files, func(f File) bool { return f.Name == c.file.Name }) {
				files = append(files, c.file)
			}
		}
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return files
}

// absorbedBy returns the drop with a CSV that a drop without one probably belongs to, or nil.
func (w *Watcher) absorbedBy(it *item) *item {
	if it.single() || it.count(KindCSV) > 0 {
		return nil
	}
	for _, p := range it.parts {
		if drop := w.nearDrop(p.file.Name, it); drop != nil {
			return drop
		}
	}
	return nil
}

// nearDrop returns the drop that a file is probably a missing part of, or nil. it is the file's own
// item, or nil.
func (w *Watcher) nearDrop(file string, it *item) *item {
	var found *item
	for _, base := range nearBases(file) {
		for _, drop := range w.index().drops[digits(base.text)] {
			if drop == it || !isNear(base, fold(drop.name.Base)) || found != nil && strings.Compare(found.name.Base, drop.name.Base) <= 0 {
				continue
			}
			if slices.ContainsFunc(w.nearMisses(drop), func(f File) bool { return f.Name == file }) {
				found = drop
			}
		}
	}
	return found
}
