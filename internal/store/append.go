package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/klauspost/compress/s2"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

// Packed is a chunk of rows ready to be stored.
type Packed struct {
	first uint32
	rows  int
	data  []byte
	err   error
}

// Size returns the chunk's size on disk in bytes.
func (p Packed) Size() int { return len(p.data) }

// checking returns the number of a sending that is being checked.
func (t *tx) checking(id campaign.ID) (uint64, error) {
	n := id.Number()
	rec, err := t.record(n)
	if err != nil {
		return 0, err
	}
	if rec == nil || rec.id != id {
		return 0, fmt.Errorf("sending %q: %w", id, ErrNotFound)
	}
	if rec.state != campaign.StateChecking {
		return 0, fmt.Errorf("sending %q is %s, not checking: %w", id, rec.state, ErrState)
	}
	return n, nil
}

// AppendRows stores chunks of a sending that is being checked, in one transaction.
// Every chunk but the last has campaign.ChunkRows rows. Chunks may come in any order;
// a repeated one replaces the earlier one. 4 to 8 MB a call keep memory use and the
// number of syncs low.
func (s Acceptance) AppendRows(id campaign.ID, chunks []Packed) error {
	err := s.update(func(t *tx) error {
		n, err := t.checking(id)
		if err != nil {
			return err
		}
		b := t.Ascending(bucketChunks)
		for _, p := range chunks {
			if p.err != nil {
				return p.err
			}
			if p.first%campaign.ChunkRows != 0 || p.rows == 0 {
				return fmt.Errorf("chunk of %d rows from row %d on: a chunk begins at a multiple of %d", p.rows, p.first, campaign.ChunkRows)
			}
			if err := b.Put(key12(n, p.first/campaign.ChunkRows), p.data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store rows of %s: %w", id, err)
	}
	return nil
}

// refusalBytes is the approximate size of one stored block of refusals before compression.
const refusalBytes = 64 << 10

// AppendRefusals stores rows that were not accepted, in order of line, after those
// stored before.
func (s Acceptance) AppendRefusals(id campaign.ID, refusals []campaign.Refusal) error {
	var values [][]byte
	var raw []byte
	for i := range refusals {
		raw = appendRefusal(raw, &refusals[i])
		if len(raw) >= refusalBytes || i == len(refusals)-1 {
			values = append(values, s2.Encode(nil, raw))
			raw = raw[:0]
		}
	}
	err := s.update(func(t *tx) error {
		n, err := t.checking(id)
		if err != nil {
			return err
		}
		b := t.Ascending(bucketRefusals)
		seq := uint32(0)
		c := b.Cursor()
		k, _ := c.Seek(db.Key8(n + 1))
		if k == nil {
			k, _ = c.Last()
		} else {
			k, _ = c.Prev()
		}
		if len(k) == 12 && bytes.HasPrefix(k, db.Key8(n)) {
			seq = binary.BigEndian.Uint32(k[8:]) + 1
		}
		for i, value := range values {
			if err := b.Put(key12(n, seq+uint32(i)), value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store refused rows of %s: %w", id, err)
	}
	return nil
}

// hasReference marks the outcome of a stored refusal that has a reference after its reason. Refusals without one are
// stored as releases before did.
const hasReference = 0x80

func appendRefusal(dst []byte, r *campaign.Refusal) []byte {
	outcome := byte(r.Outcome)
	if r.Reference != "" {
		outcome |= hasReference
	}
	dst = binary.AppendUvarint(dst, uint64(r.Line))
	dst = append(dst, outcome)
	dst = codec.AppendText(dst, r.ContactCode)
	dst = codec.AppendText(dst, r.ChannelType)
	dst = codec.AppendText(dst, r.Column)
	dst = codec.AppendText(dst, r.Reason)
	if r.Reference != "" {
		dst = codec.AppendText(dst, r.Reference)
	}
	return dst
}

// decodeRefusals decodes a stored block of refusals.
func decodeRefusals(_ uint32, value []byte) ([]campaign.Refusal, error) {
	if size, err := s2.DecodedLen(value); err != nil || size > maxChunk {
		return nil, fmt.Errorf("decode refused rows: %w", codec.ErrMalformed)
	}
	raw, err := s2.Decode(nil, value)
	if err != nil {
		return nil, fmt.Errorf("decode refused rows: %w", err)
	}
	r := codec.Reader{B: raw}
	var out []campaign.Refusal
	for r.Err == nil && len(r.B) > 0 {
		line, outcome := r.Uint32(), r.Byte()
		one := campaign.Refusal{Line: line, Outcome: campaign.Outcome(outcome &^ hasReference),
			ContactCode: r.Text(), ChannelType: r.Text(), Column: r.Text(), Reason: r.Text()}
		if outcome&hasReference != 0 {
			one.Reference = r.Text()
		}
		if r.Err == nil {
			out = append(out, one)
		}
	}
	return out, r.Done("refused rows")
}

// errUnchanged rolls back a transaction that changed nothing, which saves a sync.
var errUnchanged = errors.New("nothing to change")

// DiscardRows removes the rows and refusals of a sending that is being checked. It
// writes nothing if there are none.
func (s Acceptance) DiscardRows(id campaign.ID) error {
	err := s.update(func(t *tx) error {
		n, err := t.checking(id)
		if err != nil {
			return err
		}
		dropped := 0
		for _, bucket := range [][]byte{bucketChunks, bucketRefusals} {
			some, err := t.DeletePrefixed(bucket, db.Key8(n), math.MaxInt)
			if err != nil {
				return err
			}
			dropped += some
		}
		if dropped == 0 {
			return errUnchanged
		}
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}
