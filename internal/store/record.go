package store

import (
	"encoding/binary"
	"fmt"
	"math"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
)

// noDue is the timeline instant of an active sending that only waits for messages in
// flight. Its entry stays at the far end.
const noDue = math.MaxInt64

// offTimeline is the due of a sending without a timeline entry.
const offTimeline = -1

// record holds what every commit needs of an unfiled sending, so that the header's JSON
// is read only when it changes.
type record struct {
	id          campaign.ID
	state       campaign.State
	finalizedAs campaign.Outcome // outcome given by Finalize; Pending if it wasn't called
	due         int64            // instant of its timeline entry, or offTimeline
	application int64
	planned     uint64
	rows        uint32
	messages    uint8   // statuses a row; 0 until accepted
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
	r := codec.Reader{B: value}
	if r.Byte() != recordFormat {
		r.Fail()
	}
	state, ok := stateOf(r.Byte())
	if !ok {
		r.Fail()
	}
	rec := &record{state: state, finalizedAs: campaign.Outcome(r.Byte())}
	rec.due = r.Varint()
	rec.application = r.Varint()
	rec.planned = r.Uvarint()
	rec.rows = r.Uint32()
	rec.messages = r.Byte()
	rec.channels = append(rec.channels, r.Bytes(uint64(r.Byte()))...)
	rec.id = campaign.ID(r.Bytes(uint64(len(r.B))))
	if rec.messages > campaign.MaxMessages {
		r.Fail()
	}
	for _, n := range rec.channels {
		if n == 0 || n > rec.messages {
			r.Fail()
		}
	}
	if err := r.Done("record of a sending"); err != nil {
		return nil, err
	}
	return rec, nil
}

// setLayout copies the fields that acceptance freezes.
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

// chunks returns the number of chunks of the sending.
func (rec *record) chunks() uint32 { return (rec.rows + campaign.ChunkRows - 1) / campaign.ChunkRows }

// rowsIn returns the number of rows of a chunk.
func (rec *record) rowsIn(chunk uint32) int {
	return int(min(uint64(rec.rows)-min(uint64(rec.rows), uint64(chunk)*campaign.ChunkRows), campaign.ChunkRows))
}

// counters are a sending's messages at each outcome, and its base: the outcome of every
// message in chunks without statuses.
type counters struct {
	base   campaign.Outcome
	counts campaign.Counts
}

func (c *counters) encode() []byte {
	out := []byte{byte(c.base)}
	for _, n := range c.counts {
		out = binary.AppendUvarint(out, n)
	}
	return out
}

func decodeCounters(value []byte) (counters, error) {
	var c counters
	r := codec.Reader{B: value}
	c.base = campaign.Outcome(r.Byte())
	for i := range c.counts {
		c.counts[i] = r.Uvarint()
	}
	return c, r.Done("counts")
}

// reachedNobody reports whether every message has ended, and none of them can have been delivered.
func (c *counters) reachedNobody() bool {
	open := c.counts[campaign.Pending] + c.counts[campaign.InFlight] + c.counts[campaign.Retrying]
	return open+c.counts[campaign.Sent]+c.counts[campaign.Unknown] == 0
}

// move takes one message from an outcome to another.
func (c *counters) move(from, to campaign.Outcome) error {
	if int(from) >= len(c.counts) || int(to) >= len(c.counts) || c.counts[from] == 0 {
		return fmt.Errorf("move a message from %s to %s: %w", from, to, ErrDamaged)
	}
	c.counts[from]--
	c.counts[to]++
	return nil
}
