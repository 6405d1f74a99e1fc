package watch

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Wait is a drop or control file that is not ready.
type Wait struct {
	Name   string // base name of the drop, or the control file's own
	Reason string // for a person
	Since  time.Time
}

// maxWaits bounds the list that Waits returns.
const maxWaits = MaxNotes

// Waits returns the oldest pending drops and control files, at most maxWaits, oldest first. Counts
// has their number. It is safe for concurrent use.
func (w *Watcher) Waits() []Wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waits // replaced as a whole, never modified
}

// oldest keeps the maxWaits items that were seen first.
type oldest struct {
	items    []*item
	youngest time.Duration // of items, once there are maxWaits
}

func (o *oldest) add(it *item) {
	first := it.first()
	if len(o.items) < maxWaits {
		o.items = append(o.items, it)
		o.youngest = max(o.youngest, first)
		return
	}
	if first >= o.youngest {
		return
	}
	last := slices.IndexFunc(o.items, func(other *item) bool { return other.first() == o.youngest })
	o.items[last] = it
	o.youngest = 0
	for _, other := range o.items {
		o.youngest = max(o.youngest, other.first())
	}
}

// setWaits publishes the items with the reasons for their wait.
func (w *Watcher) setWaits(items []*item) {
	slices.SortFunc(items, func(a, b *item) int {
		return cmp.Or(cmp.Compare(a.first(), b.first()), strings.Compare(a.parts[0].file.Name, b.parts[0].file.Name))
	})
	list := make([]Wait, len(items))
	for i, it := range items {
		list[i] = Wait{Name: it.title(), Reason: w.rules.reason(it), Since: w.start.Add(it.first())}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = list
}

// title returns the name by which people know an item: of the drop, or of the control file.
func (it *item) title() string {
	if it.single() {
		return it.parts[0].file.Name
	}
	return it.name.Base
}

// reason returns what an item waits for, in words.
func (r rules) reason(it *item) string {
	var missing []string
	if !it.single() {
		if it.count(KindCSV) == 0 {
			missing = append(missing, it.name.Base+".csv")
		}
		missing = append(missing, it.partNames(it.lacks()&r.needs(it))...)
	}
	var all []string
	if len(missing) > 0 {
		all = append(all, strings.Join(missing, " and ")+" must still come")
	}
	for _, f := range it.near {
		all = append(all, shown(f.Name)+" was probably meant for it: "+rightNames(it, f.Name))
	}
	if it.upload != "" {
		all = append(all, it.upload+" is still being uploaded")
	}
	for _, p := range it.parts {
		if why := p.problem(); why != "" {
			all = append(all, p.file.Name+" "+why)
		} else if it.count(p.kind) > 1 {
			all = append(all, p.file.Name+" is one of several files for the same part of the drop")
		}
	}
	switch {
	case len(all) > 0:
		return strings.Join(all, "; ")
	case r.settledAt(it) > 0:
		return "its files changed a moment ago"
	case !it.single() && it.lacks() != 0:
		return strings.Join(it.partNames(it.lacks()), " and ") + " may still come"
	}
	return "it is looked at again in a moment"
}

// partNames returns the right file names of the drop's parts in the set.
func (it *item) partNames(parts missing) []string {
	var names []string
	if parts&missingLayout != 0 {
		names = append(names, it.name.Base+".layout.json")
	}
	if parts&missingSidecar != 0 {
		names = append(names, it.name.Base+".schedule.json")
	}
	return names
}
