package send

import "sync"

// tray is where workers lay down what they have sent, for the lane to take up and
// record in groups. It wakes the lane when as much lies there as it waits for,
// not for each.
type tray struct {
	mu      sync.Mutex // guards what follows
	parcels []*parcel
	count   int // messages in them
	want    int // messages the lane waits for
}

// put lays down a parcel; true if the lane is to be woken. It never blocks: what
// can lie there is bounded by what may be marked.
func (t *tray) put(p *parcel) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parcels = append(t.parcels, p)
	t.count += len(p.items)
	return t.count >= t.want
}

// await says for how many messages to wake the lane, and how many there are.
func (t *tray) await(want int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.want = want
	return t.count
}

// take empties the tray into a list.
func (t *tray) take(into []*parcel) []*parcel {
	t.mu.Lock()
	defer t.mu.Unlock()
	into = append(into, t.parcels...)
	clear(t.parcels)
	t.parcels, t.count = t.parcels[:0], 0
	return into
}
