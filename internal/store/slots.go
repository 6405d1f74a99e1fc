package store

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
)

// slotsPage sets the number of slots whose counts share one value.
const slotsPage = 256

// keepSlots limits the age of the counts of past slots, which pictures show.
const keepSlots = 24 * time.Hour

// errSlotRange is returned for an impossible slot length.
var errSlotRange = errors.New("a slot is at least a second")

// slotPage is a page of counts changed by a transaction.
type slotPage [slotsPage]uint32

// slotTable holds an application's slot counts in a transaction. It implements plan.Reservations.
type slotTable struct {
	t           *tx
	application int64
	slot        time.Duration
}

// slotTable returns the application's counts on a grid with that slot length. If they were
// counted on another grid, a write transaction first rebuilds them from the slices.
func (t *tx) slotTable(application int64, slot time.Duration) (*slotTable, error) {
	if slot < time.Second {
		return nil, errSlotRange
	}
	table := &slotTable{t, application, slot}
	key := key8(signed(application))
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

// grid returns the slot length of the application's counts, 0 if it has none.
func (t *tx) grid(application int64) time.Duration {
	value := t.Bucket(bucketGrids).Get(key8(signed(application)))
	if len(value) != 8 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint64(value))
}

// rebuild recounts the application's reservations from the slices that aren't over yet.
func (b *slotTable) rebuild() error {
	prefix := key8(signed(b.application))
	pages := b.t.Bucket(bucketSlots)
	c := pages.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		b.t.Deleting(bucketSlots, k)
		if err := c.Delete(); err != nil {
			return err
		}
	}
	from := now()
	return b.t.eachReserved(b.application, from, func(_ uint64, list []slice) error {
		for i := range list {
			if list[i].End.After(from) {
				if err := b.addReserved(&list[i], int64(list[i].reserved)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// eachReserved calls fn with the slices of every sending of the application (0: of all)
// that has reserved something in a slot that ends after from.
func (t *tx) eachReserved(application int64, from time.Time, fn func(n uint64, list []slice) error) error {
	headers := t.Bucket(bucketSendings)
	return t.Bucket(bucketSlices).ForEach(func(k, v []byte) error {
		head := headers.Get(k)
		if len(head) < headerFixed || application != 0 && unsigned(binary.BigEndian.Uint64(head[3:])) != application {
			return nil
		}
		list, err := decodeSlices(v)
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].reserved > 0 && list[i].End.After(from) {
				return fn(binary.BigEndian.Uint64(k), list)
			}
		}
		return nil
	})
}

// spread distributes n reserved messages of a slice over the slots that it overlaps,
// evenly by time. On the grid it was made for that is one slot.
func (b *slotTable) spread(one *slice, n int64, fn func(slot, n int64) error) error {
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

// addReserved adds n messages of the slice to its slots; release subtracts them.
func (b *slotTable) addReserved(one *slice, n int64) error {
	return b.spread(one, n, func(slot, n int64) error { return b.add(slot, n) })
}

func (b *slotTable) release(one *slice, n int64) error {
	return b.spread(one, n, func(slot, n int64) error { return b.add(slot, -n) })
}

func (b *slotTable) add(slot, n int64) error {
	page, err := b.page(floorDiv(slot, slotsPage))
	if err != nil {
		return err
	}
	count := &page[slot-floorDiv(slot, slotsPage)*slotsPage]
	sum := int64(*count) + n
	if sum > math.MaxUint32 {
		return fmt.Errorf("reserve %d messages in slot %d of application %d: too many", n, slot, b.application)
	}
	// Negative: the page of a past slot was dropped, and releasing past capacity is useless.
	*count = uint32(max(sum, 0))
	return nil
}

func (b *slotTable) page(n int64) (*slotPage, error) {
	key := string(keySlots(b.application, n))
	if p, ok := b.t.pages[key]; ok {
		return p, nil
	}
	p, err := decodeSlotPage(b.t.Bucket(bucketSlots).Get([]byte(key)))
	if err != nil {
		return nil, err
	}
	if b.t.Writable() {
		if b.t.pages == nil {
			b.t.pages = map[string]*slotPage{}
		}
		b.t.pages[key] = p
	}
	return p, nil
}

// Reserved implements plan.Reservations.
func (b *slotTable) Reserved(first int64, counts []uint32) error {
	for i := 0; i < len(counts); {
		n := floorDiv(first+int64(i), slotsPage)
		page, err := b.page(n)
		if err != nil {
			return err
		}
		i += copy(counts[i:], page[first+int64(i)-n*slotsPage:])
	}
	return nil
}

// flush writes the pages changed by the transaction. When an application gets a new page,
// its pages of long past slots are dropped.
func (t *tx) flush() error {
	pages := t.Bucket(bucketSlots)
	grown := map[string]bool{}
	for key, page := range t.pages {
		if pages.Get([]byte(key)) == nil {
			grown[key[:8]] = true
		}
		if err := pages.Put([]byte(key), page.encode()); err != nil {
			return err
		}
	}
	t.pages = nil
	for prefix := range grown {
		if err := t.dropPast(unsigned(binary.BigEndian.Uint64([]byte(prefix)))); err != nil {
			return err
		}
	}
	return nil
}

// dropPast drops the pages of long past slots, except those in which a paused or held
// sending has reservations: if the clock is set back, it may continue in them.
func (t *tx) dropPast(application int64) error {
	slot := t.grid(application)
	if slot < time.Second {
		return nil
	}
	prefix := key8(signed(application))
	oldest := floorDiv(plan.Grid{Slot: slot}.Number(now().Add(-keepSlots)), slotsPage)
	past := func(k []byte) bool {
		return bytes.HasPrefix(k, prefix) && unsigned(binary.BigEndian.Uint64(k[8:])) < oldest
	}
	c := t.Bucket(bucketSlots).Cursor()
	k, _ := c.Seek(prefix)
	if !past(k) {
		return nil
	}
	waiting, err := t.waitingPages(&slotTable{t, application, slot})
	if err != nil {
		return err
	}
	for past(k) {
		page := unsigned(binary.BigEndian.Uint64(k[8:]))
		if !waiting[page] {
			t.Deleting(bucketSlots, k)
			if err := c.Delete(); err != nil {
				return err
			}
		}
		k, _ = c.Seek(keySlots(application, page+1))
	}
	return nil
}

// waitingPages returns the pages in which a paused or held sending of the application has reservations.
func (t *tx) waitingPages(b *slotTable) (map[int64]bool, error) {
	waiting := map[int64]bool{}
	headers := t.Bucket(bucketSendings)
	err := t.eachReserved(b.application, time.Time{}, func(n uint64, list []slice) error {
		if state, _ := stateOf(headers.Get(key8(n))[1]); state != campaign.StatePaused && state != campaign.StateHeld {
			return nil
		}
		for i := range list {
			if list[i].reserved == 0 {
				continue
			}
			_ = b.spread(&list[i], int64(list[i].reserved), func(slot, _ int64) error {
				waiting[floorDiv(slot, slotsPage)] = true
				return nil
			})
		}
		return nil
	})
	return waiting, err
}

func (p *slotPage) encode() []byte {
	b := make([]byte, 0, 4*slotsPage)
	for _, n := range p {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func decodeSlotPage(value []byte) (*slotPage, error) {
	var p slotPage
	if value == nil {
		return &p, nil
	}
	if len(value) != 4*slotsPage {
		return nil, fmt.Errorf("decode slot counts: %w: %w", ErrDamaged, codec.ErrMalformed)
	}
	for i := range p {
		p[i] = binary.BigEndian.Uint32(value[4*i:])
	}
	return &p, nil
}

func floorDiv(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

// Reservations returns an application's reservations on a grid with that slot length, for
// planning that reserves nothing (campaignd check). Each call reads in its own transaction.
func (s *Store) Reservations(application int64, slot time.Duration) plan.Reservations {
	return &readReservations{s, application, slot}
}

type readReservations struct {
	s           *Store
	application int64
	slot        time.Duration
}

// Reserved implements plan.Reservations. If the counts are on another grid, it computes
// them from the slices, as the next reservation will.
func (r *readReservations) Reserved(first int64, counts []uint32) error {
	return r.s.view(func(t *tx) error {
		table, err := t.slotTable(r.application, r.slot)
		if err != nil {
			return err
		}
		if at := t.grid(r.application); at == r.slot || at == 0 {
			return table.Reserved(first, counts)
		}
		clear(counts)
		from := now()
		return t.eachReserved(r.application, from, func(_ uint64, list []slice) error {
			for i := range list {
				if !list[i].End.After(from) {
					continue
				}
				_ = table.spread(&list[i], int64(list[i].reserved), func(slot, n int64) error {
					if at := slot - first; at >= 0 && at < int64(len(counts)) {
						counts[at] += uint32(n)
					}
					return nil
				})
			}
			return nil
		})
	})
}

// Reserved returns the messages reserved in n slots of an application from slot number first on.
func (s *Store) Reserved(application int64, slot time.Duration, first int64, n int) ([]uint32, error) {
	counts := make([]uint32, n)
	return counts, s.Reservations(application, slot).Reserved(first, counts)
}

// Share holds the messages that a sending has reserved in a slot.
type Share struct {
	Sending  campaign.ID
	Slot     int64
	Messages uint32
}

// SendingsInSlots returns the sendings that have reserved any of n slots from number first
// on, ordered by sending, then by slot.
func (s *Store) SendingsInSlots(application int64, slot time.Duration, first int64, n int) ([]Share, error) {
	var out []Share
	err := s.view(func(t *tx) error {
		table, err := t.slotTable(application, slot)
		if err != nil {
			return err
		}
		from := plan.Grid{Slot: slot}.Start(first)
		return t.eachReserved(application, from, func(number uint64, list []slice) error {
			head, err := t.header(number)
			if err != nil {
				return err
			}
			held := make(map[int64]uint32)
			for i := range list {
				_ = table.spread(&list[i], int64(list[i].reserved), func(slot, n int64) error {
					held[slot] += uint32(n)
					return nil
				})
			}
			for at := first; at < first+int64(n); at++ {
				if held[at] > 0 {
					out = append(out, Share{Sending: head.ID, Slot: at, Messages: held[at]})
				}
			}
			return nil
		})
	})
	return out, err
}
