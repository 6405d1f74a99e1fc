package watch

import (
	"time"

	"campaignd/internal/campaign"
)

// Forecast is an inbox as if some files had been dropped into it and had not changed since. It knows
// only their names and does no I/O.
type Forecast struct{ w *Watcher }

// Foresee returns the forecast for file names in an inbox with these options.
func Foresee(opt Options, files []string) Forecast {
	w := New(opt, nil)
	w.start, w.whole = time.Now(), true
	for _, file := range files {
		n := w.parse(file)
		switch n.Kind {
		case KindForeign:
			w.others[file] = &other{name: n, file: File{Name: file}}
		case KindCSV, KindLayout, KindSidecar:
			k := keyOf(n, file)
			if w.items[k] == nil {
				w.items[k] = &item{name: n}
			}
			w.items[k].add(&part{kind: n.Kind, file: File{Name: file}, links: 1, seen: opt.Settle, deniedAt: notYet})
			w.items[k].settledAt = 0
		case KindIgnored, KindTemporary, KindReserved, KindBadName, KindControl: // no part of a drop
		}
	}
	return Forecast{w}
}

// Drop returns the NAME of the one drop that the files belong to, or "": the only one with a CSV, else
// the only one.
func (f Forecast) Drop() string {
	var names, whole []string
	for _, it := range f.w.items {
		names = append(names, it.name.Base)
		if it.count(KindCSV) > 0 {
			whole = append(whole, it.name.Base)
		}
	}
	for _, one := range [][]string{whole, names} {
		if len(one) == 1 {
			return one[0]
		}
	}
	return ""
}

// Near returns the files that are probably missing parts of a drop under other names.
func (f Forecast) Near(name string) []string {
	var names []string
	if it := f.w.items[key{base: name}]; it != nil {
		for _, file := range f.w.nearMisses(it) {
			names = append(names, file.Name)
		}
	}
	return names
}

// Wait returns why a drop would wait until pair_timeout instead of being taken, and the problems that its
// report would have then. The reason is "" for a drop that would be taken.
func (f Forecast) Wait(name string) (reason string, problems []campaign.Problem) {
	it := f.w.items[key{base: name}]
	if it == nil {
		return "", nil
	}
	if it.lacks() != 0 {
		it.near = f.w.nearMisses(it)
	}
	if !f.w.rules.incomplete(it) && len(it.near) == 0 {
		return "", nil
	}
	return f.w.rules.reason(it), it.problems(f.w.rules.needs(it))
}

// Note returns the note that a file that belongs to no drop would get, "" for other files.
func (f Forecast) Note(file string) string {
	if o := f.w.others[file]; o != nil {
		return f.w.otherNote(o)
	}
	return ""
}

// RightNames says under which name a near file would be a part of a drop of the forecast.
func (f Forecast) RightNames(name, file string) string {
	if it := f.w.items[key{base: name}]; it != nil {
		return rightNames(it, file)
	}
	return ""
}
