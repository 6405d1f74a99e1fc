package intake

import (
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/campaign"
	"campaignd/internal/watch"
)

// dropTable holds what is known about each drop besides the store: under its name while it waits in the
// inbox, under its id from the claim until it is filed. It is in memory; Recover fills it. Its methods
// are safe for concurrent use; they neither block nor touch the disk.
type dropTable struct {
	mu      sync.Mutex // guards all below
	names   map[dropName]*namedDrop
	ids     map[campaign.ID]*takenDrop
	inboxes map[string]load // of the unfinished drops and the reservations
}

// dropName identifies the drops of one name: the inbox, and NAME in NFC.
type dropName struct{ inbox, name string }

func nameOf(inbox, name string) dropName {
	return dropName{filepath.Clean(inbox), norm.NFC.String(name)}
}

// namedDrop outlives single drops: several may have had one name of an inbox.
type namedDrop struct {
	wait       *wait           // nil if nothing of that name waits
	controls   []watch.Control // to be obeyed when a drop of that name is accepted
	unfinished []campaign.ID   // drops of that name that are not filed, oldest first
	claims     int             // of these, how many are not decided
}

// takenDrop is kept from the moment a drop has an id until it is filed.
type takenDrop struct {
	name    dropName
	load    load              // counted in its inbox until it is filed
	claim   *campaign.Sending // as it was when claimed; nil once it is decided or given back
	retry   bool              // the claim failed because of the machine and is to be retried
	checked float64           // share of the check that is done, 0 to 1
	decided chan struct{}     // closed by the decision; nil if nobody may await it
}

func newDropTable() *dropTable {
	return &dropTable{names: map[dropName]*namedDrop{}, ids: map[campaign.ID]*takenDrop{}, inboxes: map[string]load{}}
}

// named returns the record of a name, which it makes if there is none. t.mu must be held, and settle be
// called after a change.
func (t *dropTable) named(key dropName) *namedDrop {
	n := t.names[key]
	if n == nil {
		n = &namedDrop{}
		t.names[key] = n
	}
	return n
}

// settle removes the record of a name about which nothing is known any more.
func (t *dropTable) settle(key dropName) {
	if n := t.names[key]; n != nil && n.wait == nil && len(n.controls) == 0 && len(n.unfinished) == 0 && n.claims == 0 {
		delete(t.names, key)
	}
}

// add counts an unfinished drop that is in the store.
func (t *dropTable) add(s *campaign.Sending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken(s)
}

// taken returns the record of a drop, which it makes if there is none. t.mu must be held.
func (t *dropTable) taken(s *campaign.Sending) *takenDrop {
	one := t.ids[s.ID]
	if one == nil {
		one = &takenDrop{name: nameOf(s.Inbox, s.Name), load: load{drops: 1, bytes: sizeOf(s.Files)}}
		t.ids[s.ID] = one
		n := t.named(one.name)
		n.unfinished = append(n.unfinished, s.ID)
		t.count(one.name.inbox, one.load, 1)
	}
	return one
}

// remove forgets a drop that is filed or whose claim is void; unknown ids are ignored.
func (t *dropTable) remove(id campaign.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.ids[id]
	if one == nil {
		return
	}
	t.close(one)
	one.decide()
	delete(t.ids, id)
	n := t.named(one.name)
	n.unfinished = slices.DeleteFunc(n.unfinished, func(other campaign.ID) bool { return other == id })
	t.settle(one.name)
	t.count(one.name.inbox, one.load, -1)
}

// unfinished returns the unfinished drops of a name, oldest first.
func (t *dropTable) unfinished(inbox, name string) []campaign.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.names[nameOf(inbox, name)]; n != nil {
		return slices.Clone(n.unfinished)
	}
	return nil
}

// begin opens the claim of a drop. While one is open, no other drop of its name is touched, so that an
// unfinished claim is retried and never made twice.
func (t *dropTable) begin(s *campaign.Sending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.taken(s)
	if one.claim == nil {
		t.named(one.name).claims++
	}
	begun := *s // the check changes the original
	one.claim = &begun
}

// end closes the claim of a drop that is decided.
func (t *dropTable) end(id campaign.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.ids[id]; one != nil {
		t.close(one)
	}
}

func (t *dropTable) close(one *takenDrop) {
	if one.claim != nil {
		one.claim, one.retry, one.checked = nil, false, 0
		t.named(one.name).claims--
		t.settle(one.name)
	}
}

// claimed reports whether a drop of that name is claimed and not decided.
func (t *dropTable) claimed(inbox, name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.names[nameOf(inbox, name)]
	return n != nil && n.claims > 0
}

// retryLater marks an open claim for another try.
func (t *dropTable) retryLater(id campaign.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.ids[id]; one != nil && one.claim != nil {
		one.retry, one.checked = true, 0
	}
}

// takeRetries returns the claims to be retried, oldest first, and clears their marks.
func (t *dropTable) takeRetries() []*campaign.Sending {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*campaign.Sending
	for one := range maps.Values(t.ids) {
		if one.retry {
			one.retry = false
			list = append(list, one.claim)
		}
	}
	slices.SortFunc(list, func(a, b *campaign.Sending) int { return cmp.Compare(a.ID.Number(), b.ID.Number()) })
	return list
}

// setChecked records how much of a claimed drop is checked, 0 to 1.
func (t *dropTable) setChecked(id campaign.ID, share float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.ids[id]; one != nil {
		one.checked = share
	}
}

// checked returns how much of a drop is checked while it is checked, 0 to 1.
func (t *dropTable) checked(id campaign.ID) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.ids[id]; one != nil {
		return one.checked
	}
	return 0
}

// expectDecision makes a later await of a claimed drop wait. It must be called before the decision can
// be made.
func (t *dropTable) expectDecision(id campaign.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.ids[id]; one != nil && one.decided == nil {
		one.decided = make(chan struct{})
	}
}

// decide lets all go on that await a drop's decision.
func (t *dropTable) decide(id campaign.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.ids[id]; one != nil {
		one.decide()
	}
}

func (d *takenDrop) decide() {
	if d.decided != nil {
		close(d.decided)
		d.decided = nil
	}
}

// await returns when the decision about a drop was made, or ctx has ended.
func (t *dropTable) await(ctx context.Context, id campaign.ID) {
	t.mu.Lock()
	var decided chan struct{}
	if one := t.ids[id]; one != nil {
		decided = one.decided
	}
	t.mu.Unlock()
	if decided == nil {
		return
	}
	select {
	case <-decided:
	case <-ctx.Done():
	}
}

// deferControl keeps a control file until a drop of its name is accepted.
func (t *dropTable) deferControl(c watch.Control) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.named(nameOf(c.Inbox, c.Name))
	if !slices.ContainsFunc(n.controls, func(one watch.Control) bool { return one.File == c.File }) {
		n.controls = append(n.controls, c)
	}
}

// takeControls returns the control files that were kept for a name, and forgets them.
func (t *dropTable) takeControls(key dropName) []watch.Control {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.names[key]
	if n == nil {
		return nil
	}
	controls := n.controls
	n.controls = nil
	t.settle(key)
	return controls
}

// forgetControl forgets a control file that was kept.
func (t *dropTable) forgetControl(c watch.Control) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := nameOf(c.Inbox, c.Name)
	if n := t.names[key]; n != nil {
		n.controls = slices.DeleteFunc(n.controls, func(one watch.Control) bool { return one.File.Name == c.File.Name })
		t.settle(key)
	}
}

// setWait records that a drop or list waits and reports whether the reason is new. A wait that goes on
// keeps its beginning, and its quiet time while the files are the same.
func (t *dropTable) setWait(w wait) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.named(w.key())
	old := n.wait
	if old != nil {
		w.since = old.since
		if slices.Equal(old.files, w.files) {
			w.quiet = old.quiet
		}
	}
	n.wait = &w
	return old == nil || old.reason != w.reason
}

// endWait forgets that a drop or list waits.
func (t *dropTable) endWait(key dropName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.names[key]; n != nil {
		n.wait = nil
		t.settle(key)
	}
}

// waiting returns how a drop waits; not ok if it doesn't.
func (t *dropTable) waiting(key dropName) (w wait, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.names[key]; n != nil && n.wait != nil {
		return *n.wait, true
	}
	return wait{}, false
}

// inInbox returns the drops and lists of an inbox that wait, and the control files that wait for a drop;
// of every inbox if it is "".
func (t *dropTable) inInbox(inbox string) (waits []wait, controls []watch.Control) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, n := range t.names {
		if inbox != "" && key.inbox != filepath.Clean(inbox) {
			continue
		}
		if n.wait != nil {
			waits = append(waits, *n.wait)
		}
		controls = append(controls, n.controls...)
	}
	return waits, controls
}
