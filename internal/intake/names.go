package intake

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"campaignd/internal/campaign"
	"campaignd/internal/source"
	"campaignd/internal/store"
)

// earlierLook is the number of sendings that are read to find earlier drops by their name.
const earlierLook = 5000

// maxNames bounds the names that are remembered.
const maxNames = 10 * earlierLook

// newestByName finds the newest sending of a name. It reads the newest sendings of the store once;
// reading them for every refused drop would cost 40 ms each.
type newestByName struct {
	store Store
	mu    sync.Mutex               // guards known
	known map[dropName]campaign.ID // nil: not read yet
}

// add notes a claim.
func (n *newestByName) add(s *campaign.Sending) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= maxNames {
		n.known = nil // read again when it is needed
	}
	if n.known != nil {
		n.known[nameOf(s.Inbox, s.Name)] = s.ID
	}
}

// find returns the newest sending of a name that is no void claim, or nil.
func (n *newestByName) find(inbox, name string) (*campaign.Sending, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		all, err := n.store.Sendings(store.Filter{Limit: earlierLook})
		if err != nil {
			return nil, err
		}
		n.known = map[dropName]campaign.ID{}
		for _, s := range all { // newest first
			key := nameOf(s.Inbox, s.Name)
			if _, ok := n.known[key]; !ok && !s.Void() {
				n.known[key] = s.ID
			}
		}
	}
	id, ok := n.known[nameOf(inbox, name)]
	if !ok {
		return nil, nil
	}
	s, err := n.store.Header(id)
	if err != nil {
		return nil, err
	}
	if s.Void() {
		return nil, nil
	}
	return s, nil
}

// sameButDigits returns the NAME of the newest known drop of an inbox whose name differs from name
// only in its digits, "" if there is none. find must have been called before.
func (n *newestByName) sameButDigits(inbox, name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := nameOf(inbox, name)
	shape, found, newest := withoutDigits(key.name), "", uint64(0)
	if shape == key.name {
		return "" // it has no digits
	}
	for other, id := range n.known {
		if other.inbox == key.inbox && other.name != key.name && id.Number() > newest && withoutDigits(other.name) == shape {
			found, newest = other.name, id.Number()
		}
	}
	return found
}

// closest returns the newest known drop of an inbox whose name name was probably meant for, "" if none is
// near. find must have been called before.
func (n *newestByName) closest(inbox, name string) (other string, id campaign.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := nameOf(inbox, name)
	ids := map[string]campaign.ID{}
	for known, id := range n.known {
		if known.inbox == key.inbox {
			ids[known.name] = id
		}
	}
	names := slices.SortedFunc(maps.Keys(ids), func(a, b string) int { return cmp.Compare(ids[b].Number(), ids[a].Number()) })
	other = source.Nearest(key.name, names)
	return other, ids[other]
}

// withoutDigits replaces every digit, so that names of a series are equal.
func withoutDigits(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '#'
		}
		return r
	}, name)
}
