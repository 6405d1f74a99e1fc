package store

import (
	"fmt"
	"time"

	"github.com/klauspost/compress/s2"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
)

// result is a final outcome and its time.
type result struct {
	at      int64 // Unix milliseconds
	outcome campaign.Outcome
}

// EachResult calls fn with time and outcome of every final result recorded for a
// sending's messages, chunk by chunk, within a chunk in the order of recording. A message
// that was sent again appears again. Each chunk is read in a transaction of its own that
// ends before fn is called. fn's error ends the iteration and is returned. ErrNotFound if
// there is no such sending.
func (s *Store) EachResult(id campaign.ID, fn func(at time.Time, o campaign.Outcome) error) error {
	var results []result
	for chunk, chunks := uint32(0), uint32(1); chunk < chunks; chunk++ {
		err := s.view(func(t *tx) error {
			n, rec, err := t.layoutOf(id)
			if err != nil {
				return err
			}
			chunks = rec.chunks()
			results = results[:0]
			for _, v := range t.Prefixed(bucketOutcomes, key12(n, chunk)) {
				if results, err = appendResults(results, v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read results of %s: %w", id, err)
		}
		for _, r := range results {
			if err := fn(time.UnixMilli(r.at).UTC(), r.outcome); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendResults reads the final results of a block. It is decodeBlock without the texts,
// which are most of the work.
func appendResults(dst []result, value []byte) ([]result, error) {
	r := codec.Reader{B: value}
	if r.Byte() == blockPacked {
		size, err := s2.DecodedLen(r.B)
		if err != nil || size > maxBlock {
			return dst, fmt.Errorf("decode outcomes: %w", codec.ErrMalformed)
		}
		if r.B, err = s2.Decode(nil, r.B); err != nil {
			return dst, fmt.Errorf("decode outcomes: %w", err)
		}
	}
	begin := r.Varint()
	for r.Err == nil && len(r.B) > 0 {
		r.Uvarint() // row and message
		outcome := campaign.MessageStatus(r.Byte()).Outcome()
		flags := r.Byte()
		at := begin + r.Varint()
		for texts := flags & (hasProvider | hasCode | hasDetail); texts != 0; texts &= texts - 1 {
			r.Bytes(r.Uvarint())
		}
		if flags&hasAttempts != 0 {
			r.Byte()
		}
		if r.Err == nil && outcome.Final() {
			dst = append(dst, result{at, outcome})
		}
	}
	return dst, r.Done("outcomes")
}

// EachRefusal calls fn with every row that was not accepted, in order of line. No
// transaction is open while fn runs.
func (s *Store) EachRefusal(id campaign.ID, fn func(campaign.Refusal) error) error {
	for list, err := range parts(s.core, bucketRefusals, id.Number(), decodeRefusals) {
		if err != nil {
			return fmt.Errorf("read refused rows of %s: %w", id, err)
		}
		for _, one := range list {
			if err := fn(one); err != nil {
				return err
			}
		}
	}
	return nil
}
