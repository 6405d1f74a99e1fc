package slots

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

// Slice is a campaign.Slice and the messages it has reserved in its slot.
type Slice struct {
	campaign.Slice
	Reserved uint32
}

// Of returns the slices of a sending in order of time.
func Of(t *db.Tx, n uint64) ([]Slice, error) {
	value := t.Bucket(bucketSlices).Get(db.Key8(n))
	if value == nil {
		return nil, nil
	}
	return decode(value)
}

// Put stores the slices of a sending, and sorts them.
func Put(t *db.Tx, n uint64, list []Slice) error {
	slices.SortStableFunc(list, func(a, b Slice) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.First, b.First))
	})
	return t.Ascending(bucketSlices).Put(db.Key8(n), encode(list))
}

// Plain returns the slices without their reservations.
func Plain(list []Slice) []campaign.Slice {
	out := make([]campaign.Slice, len(list))
	for i := range list {
		out[i] = list[i].Slice
	}
	return out
}

const slicesFormat = 1

func encode(list []Slice) []byte {
	b := binary.AppendUvarint([]byte{slicesFormat}, uint64(len(list)))
	last := int64(0)
	for _, one := range list {
		start, length := one.Start.UnixNano(), int64(0)
		if one.Sliced() {
			length = one.End.UnixNano() - start
		}
		b = binary.AppendVarint(b, start-last)
		b = binary.AppendVarint(b, length)
		b = binary.AppendUvarint(b, uint64(one.First))
		b = binary.AppendUvarint(b, uint64(one.Rows))
		b = binary.AppendUvarint(b, uint64(one.Recipients))
		b = binary.AppendUvarint(b, uint64(one.Reserved))
		last = start
	}
	return b
}

func decode(value []byte) ([]Slice, error) {
	r := codec.Reader{B: value}
	if r.Byte() != slicesFormat {
		r.Fail()
	}
	n := r.Uvarint()
	if n > uint64(len(r.B))/6 {
		r.Fail()
		n = 0
	}
	list := make([]Slice, 0, n)
	at := int64(0)
	for range n {
		at += r.Varint()
		length := r.Varint()
		one := Slice{Slice: campaign.Slice{Start: time.Unix(0, at).UTC(), First: r.Uint32(), Rows: r.Uint32(), Recipients: r.Uint32()}, Reserved: r.Uint32()}
		if length != 0 {
			one.End = time.Unix(0, at+length).UTC()
		}
		if length < 0 || uint64(one.First)+uint64(one.Rows) > math.MaxUint32 {
			r.Fail()
		}
		list = append(list, one)
	}
	return list, r.Done("slices")
}
