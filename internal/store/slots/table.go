package slots

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/plan"
	"campaignd/internal/store/db"
)

// pageSlots is the number of slots whose counts share one value.
const pageSlots = 256

// keepSlots limits the age of the counts of past slots, which pictures show.
const keepSlots = 24 * time.Hour

// errSlotRange is returned for an impossible slot length.
var errSlotRange = errors.New("a slot is at least a second")

// page is a page of counts.
type page [pageSlots]uint32

// Table holds an application's slot counts in a transaction. It implements plan.Reservations.
type Table struct {
	t           *db.Tx
	owner       Owner
	application int64
	slot        time.Duration
	pages       map[int64]*page // those read in a write transaction; Close writes them
}

// In returns the application's counts on a grid with that slot length. If they were
// counted on another grid, a write transaction first rebuilds them from the slices.
// Whoever changes them calls Close, before there is another Table of the application.
func In(t *db.Tx, owner Owner, application int64, slot time.Duration) (*Table, error) {
	if slot < time.Second {
		return nil, errSlotRange
	}
	table := &Table{t: t, owner: owner, application: application, slot: slot, pages: map[int64]*page{}}
	key := db.Key8(db.Signed(application))
	value := t.Bucket(bucketGrids).Get(key)
	if len(value) == 8 && binary.BigEndian.Uint64(value) == uint64(slot) || !t.Writable() {
		return table, nil
	}
	if err := t.Bucket(bucketGrids).Put(key, binary.BigEndian.AppendUint64(nil, uint64(slot))); err != nil {
		return nil, err
	}
	if value == nil {
		return table, nil
	}
	return table, table.rebuild()
}

// Grid returns the slot length of the application's counts, 0 if it has none.
func Grid(t *db.Tx, application int64) time.Duration {
	value := t.Bucket(bucketGrids).Get(db.Key8(db.Signed(application)))
	if len(value) != 8 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint64(value))
}

// rebuild recounts the application's reservations from the slices that aren't over yet.
func (b *Table) rebuild() error {
	if _, err := b.t.DeletePrefixed(bucketSlots, db.Key8(db.Signed(b.application)), math.MaxInt); err != nil {
		return err
	}
	from := now()
	if err := eachReserved(b.t, b.owner, b.application, from, func(_ uint64, list []Slice) error {
		for i := range list {
			if list[i].End.After(from) {
				if err := b.take(&list[i], int64(list[i].Reserved)); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return b.Close()
}

// eachReserved calls fn with the slices of every sending of the application (0: of all)
// that has reserved something in a slot that ends after from.
func eachReserved(t *db.Tx, owner Owner, application int64, from time.Time, fn func(n uint64, list []Slice) error) error {
	return t.Bucket(bucketSlices).ForEach(func(k, v []byte) error {
		n := binary.BigEndian.Uint64(k)
		if its, state := owner(t, n); state == "" || application != 0 && its != application {
			return nil
		}
		list, err := decode(v)
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].Reserved > 0 && list[i].End.After(from) {
				return fn(n, list)
			}
		}
		return nil
	})
}

// spread distributes n reserved messages of a slice over the slots that it overlaps,
// evenly by time. On the grid it was made for that is one slot.
func (b *Table) spread(one *Slice, n int64, fn func(slot, n int64) error) error {
	grid := plan.Grid{Slot: b.slot}
	first, last := grid.Number(one.Start), grid.Number(one.End.Add(-1))
	length := one.End.Sub(one.Start)
	if last <= first || length <= 0 {
		return fn(first, n)
	}
	given := int64(0)
	for slot := first; slot <= last; slot++ {
		end := grid.Start(slot + 1)
		upTo := n
		if end.Before(one.End) {
			upTo = int64(float64(n) * (float64(end.Sub(one.Start)) / float64(length)))
		}
		if upTo > given {
			if err := fn(slot, upTo-given); err != nil {
				return err
			}
			given = upTo
		}
	}
	return nil
}

// take adds n messages of the slice to its slots; release subtracts them.
func (b *Table) take(one *Slice, n int64) error {
	return b.spread(one, n, func(slot, n int64) error { return b.add(slot, n) })
}

func (b *Table) release(one *Slice, n int64) error {
	return b.spread(one, n, func(slot, n int64) error { return b.add(slot, -n) })
}

func (b *Table) add(slot, n int64) error {
	p, err := b.page(floorDiv(slot, pageSlots))
	if err != nil {
		return err
	}
	count := &p[slot-floorDiv(slot, pageSlots)*pageSlots]
	sum := int64(*count) + n
	if sum > math.MaxUint32 {
		return fmt.Errorf("reserve %d messages in slot %d of application %d: too many", n, slot, b.application)
	}
	// Negative: the page of a past slot was dropped, and releasing past capacity is useless.
	*count = uint32(max(sum, 0))
	return nil
}

func (b *Table) page(n int64) (*page, error) {
	if p, ok := b.pages[n]; ok {
		return p, nil
	}
	p, err := decodePage(b.t.Bucket(bucketSlots).Get(keySlots(b.application, n)))
	if err == nil {
		b.pages[n] = p
	}
	return p, err
}

// Reserved implements plan.Reservations.
func (b *Table) Reserved(first int64, counts []uint32) error {
	for i := 0; i < len(counts); {
		n := floorDiv(first+int64(i), pageSlots)
		p, err := b.page(n)
		if err != nil {
			return err
		}
		i += copy(counts[i:], p[first+int64(i)-n*pageSlots:])
	}
	return nil
}

// Close writes the counts. When the application gets a new page, its pages of long past slots are
// dropped.
func (b *Table) Close() error {
	stored := b.t.Bucket(bucketSlots)
	grown := false
	for n, p := range b.pages {
		key := keySlots(b.application, n)
		grown = grown || stored.Get(key) == nil
		if err := stored.Put(key, p.encode()); err != nil {
			return err
		}
	}
	clear(b.pages)
	if !grown {
		return nil
	}
	return b.dropPast()
}

// dropPast drops the pages of long past slots, except those in which a paused or held
// sending has reservations: if the clock is set back, it may continue in them.
func (b *Table) dropPast() error {
	prefix := db.Key8(db.Signed(b.application))
	oldest := floorDiv(plan.Grid{Slot: b.slot}.Number(now().Add(-keepSlots)), pageSlots)
	past := func(k []byte) bool {
		return bytes.HasPrefix(k, prefix) && db.Unsigned(binary.BigEndian.Uint64(k[8:])) < oldest
	}
	c := b.t.Bucket(bucketSlots).Cursor()
	k, _ := c.Seek(prefix)
	if !past(k) {
		return nil
	}
	waiting, err := b.waitingPages()
	if err != nil {
		return err
	}
	for past(k) {
		n := db.Unsigned(binary.BigEndian.Uint64(k[8:]))
		if !waiting[n] {
			b.t.Deleting(bucketSlots, k)
			if err := c.Delete(); err != nil {
				return err
			}
		}
		k, _ = c.Seek(keySlots(b.application, n+1))
	}
	return nil
}

// waitingPages returns the pages in which a paused or held sending of the application has reservations.
func (b *Table) waitingPages() (map[int64]bool, error) {
	waiting := map[int64]bool{}
	err := eachReserved(b.t, b.owner, b.application, time.Time{}, func(n uint64, list []Slice) error {
		if _, state := b.owner(b.t, n); state != campaign.StatePaused && state != campaign.StateHeld {
			return nil
		}
		for i := range list {
			if list[i].Reserved == 0 {
				continue
			}
			_ = b.spread(&list[i], int64(list[i].Reserved), func(slot, _ int64) error {
				waiting[floorDiv(slot, pageSlots)] = true
				return nil
			})
		}
		return nil
	})
	return waiting, err
}

func (p *page) encode() []byte {
	b := make([]byte, 0, 4*pageSlots)
	for _, n := range p {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func decodePage(value []byte) (*page, error) {
	var p page
	if value == nil {
		return &p, nil
	}
	if len(value) != 4*pageSlots {
		return nil, fmt.Errorf("decode slot counts: %w: %w", db.ErrDamaged, codec.ErrMalformed)
	}
	for i := range p {
		p[i] = binary.BigEndian.Uint32(value[4*i:])
	}
	return &p, nil
}

// keySlots names a page of slot counts. Applications and slot numbers are stored with
// the sign bit inverted, so that negative ones sort first.
func keySlots(application, page int64) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 16), db.Signed(application))
	return binary.BigEndian.AppendUint64(k, db.Signed(page))
}

func floorDiv(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}
