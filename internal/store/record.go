package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"campaignd/internal/campaign"
)

// noDue is the timeline instant of an active sending that has nothing to wait for
// but results of what is in flight. Its entry stays, at the far end.
const noDue = math.MaxInt64

// offTimeline is the due of a sending that has no timeline entry.
const offTimeline = -1

// record is what the store itself must know of an unfiled sending at every
// commit, so that the header's JSON is read only when it changes.
type record struct {
	id          campaign.ID
	state       campaign.State
	finalizedAs campaign.Outcome // given to what was unsent by CloseOut; Pending if it wasn't closed
	due         int64            // instant of its timeline entry, or offTimeline
	application int64
	planned     uint64
	rows        uint32
	messages    uint8   // the stride of marks; 0 until accepted
	channels    []uint8 // messages a recipient on each channel, if they differ
}

const recordFormat = 1

func (rec *record) encode() []byte {
	b := []byte{recordFormat, stateCode(rec.state), byte(rec.finalizedAs)}
	b = binary.AppendVarint(b, rec.due)
	b = binary.AppendVarint(b, rec.application)
	b = binary.AppendUvarint(b, rec.planned)
	b = binary.AppendUvarint(b, uint64(rec.rows))
	b = append(b, rec.messages, byte(len(rec.channels)))
	b = append(b, rec.channels...)
	return append(b, rec.id...)
}

func decodeRecord(value []byte) (*record, error) {
	r := reader{b: value}
	if r.byte() != recordFormat {
		r.fail()
	}
	state, ok := stateOf(r.byte())
	if !ok {
		r.fail()
	}
	rec := &record{state: state, finalizedAs: campaign.Outcome(r.byte())}
	rec.due = r.varint()
	rec.application = r.varint()
	rec.planned = r.uvarint()
	rec.rows = r.uint32()
	rec.messages = r.byte()
	rec.channels = append(rec.channels, r.bytes(uint64(r.byte()))...)
	rec.id = campaign.ID(r.bytes(uint64(len(r.b))))
	if rec.messages > campaign.MaxMessages {
		r.fail()
	}
	for _, n := range rec.channels {
		if n == 0 || n > rec.messages {
			r.fail()
		}
	}
	if err := r.done("record of a sending"); err != nil {
		return nil, err
	}
	return rec, nil
}

// shape sets what acceptance freezes.
func (rec *record) setLayout(s *campaign.Sending) {
	rec.application, rec.planned, rec.rows = s.ApplicationID, s.Planned, s.Rows.Accepted
	rec.messages, rec.channels = uint8(s.Messages), nil
	per := make([]uint8, len(s.Channels))
	differ := false
	for i, channel := range s.Channels {
		per[i] = uint8(len(campaign.ContentsFor(s.Contents, channel)))
		differ = differ || per[i] != rec.messages
	}
	if differ {
		rec.channels = per
	}
}

// chunks is the number of chunks of the sending.
func (rec *record) chunks() uint32 { return (rec.rows + campaign.ChunkRows - 1) / campaign.ChunkRows }

// rowsIn is the number of rows of a chunk.
func (rec *record) rowsIn(chunk uint32) int {
	return int(min(uint64(rec.rows)-min(uint64(rec.rows), uint64(chunk)*campaign.ChunkRows), campaign.ChunkRows))
}

// books are a sending's counts and its base: the outcome of every message in
// chunks that have no marks yet.
type counters struct {
	base   campaign.Outcome
	counts campaign.Counts
}

func (b *counters) encode() []byte {
	out := []byte{byte(b.base)}
	for _, n := range b.counts {
		out = binary.AppendUvarint(out, n)
	}
	return out
}

func decodeCounters(value []byte) (counters, error) {
	var b counters
	r := reader{b: value}
	b.base = campaign.Outcome(r.byte())
	for i := range b.counts {
		b.counts[i] = r.uvarint()
	}
	return b, r.done("counts")
}

// move takes one message from an outcome to another.
func (b *counters) move(from, to campaign.Outcome) error {
	if int(from) >= len(b.counts) || int(to) >= len(b.counts) || b.counts[from] == 0 {
		return fmt.Errorf("move a message from %s to %s: %w", from, to, ErrDamaged)
	}
	b.counts[from]--
	b.counts[to]++
	return nil
}

// slice is a campaign.Slice and the messages it has booked in its slot.
type slice struct {
	campaign.Slice
	reserved uint32
}

const slicesFormat = 1

func encodeSlices(list []slice) []byte {
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
		b = binary.AppendUvarint(b, uint64(one.reserved))
		last = start
	}
	return b
}

func decodeSlices(value []byte) ([]slice, error) {
	r := reader{b: value}
	if r.byte() != slicesFormat {
		r.fail()
	}
	n := r.uvarint()
	if n > uint64(len(r.b))/6 {
		r.fail()
		n = 0
	}
	list := make([]slice, 0, n)
	at := int64(0)
	for range n {
		at += r.varint()
		length := r.varint()
		one := slice{Slice: campaign.Slice{Start: time.Unix(0, at).UTC(), First: r.uint32(), Rows: r.uint32(), Recipients: r.uint32()}, reserved: r.uint32()}
		if length != 0 {
			one.End = time.Unix(0, at+length).UTC()
		}
		if length < 0 || uint64(one.First)+uint64(one.Rows) > math.MaxUint32 {
			r.fail()
		}
		list = append(list, one)
	}
	return list, r.done("slices")
}

// plain are the slices as other rooms see them.
func campaignSlices(list []slice) []campaign.Slice {
	out := make([]campaign.Slice, len(list))
	for i := range list {
		out[i] = list[i].Slice
	}
	return out
}
