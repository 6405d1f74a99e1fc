package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

// counters returns the counters of a sending, all zero if it has none yet.
func (t *tx) counters(n uint64) (counters, error) {
	value := t.Bucket(bucketCounts).Get(db.Key8(n))
	if value == nil {
		return counters{}, nil
	}
	return decodeCounters(value)
}

func (t *tx) putCounters(n uint64, b *counters) error {
	return t.Ascending(bucketCounts).Put(db.Key8(n), b.encode())
}

// chunk unpacks a chunk into rows.
func (t *tx) chunk(n uint64, chunk uint32, u *unpacker, rows *campaign.Rows) error {
	value := t.Bucket(bucketChunks).Get(key12(n, chunk))
	if value == nil {
		return fmt.Errorf("read chunk %d: %w", chunk, ErrNotFound)
	}
	return u.chunk(value, chunk*campaign.ChunkRows, rows)
}

// putRetry stores a message that waits until due, with the error of its last attempt.
func (t *tx) putRetry(n uint64, due int64, e *campaign.Entry) error {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(due))
	if err := t.Bucket(bucketWaiting).Put(keyWaiting(n, e.Row, e.Message), value); err != nil {
		return err
	}
	note := binary.BigEndian.AppendUint64([]byte{e.Attempts}, uint64(e.At.UnixNano()))
	note = codec.AppendText(note, e.Code)
	note = codec.AppendText(note, e.Detail)
	note = codec.AppendBool(note, e.MaybeDelivered)
	return t.Bucket(bucketRetries).Put(keyRetry(n, due, e.Row, e.Message), note)
}

func (t *tx) dropRetry(n uint64, row uint32, message uint8) error {
	key := keyWaiting(n, row, message)
	value := t.Bucket(bucketWaiting).Get(key)
	if len(value) != 8 {
		return fmt.Errorf("forget retry: %w: it has no time", ErrDamaged)
	}
	due := int64(binary.BigEndian.Uint64(value))
	if err := t.Bucket(bucketWaiting).Delete(key); err != nil {
		return err
	}
	return t.Bucket(bucketRetries).Delete(keyRetry(n, due, row, message))
}

// Retry implements send.Store: it returns why a message waits for its next attempt.
func (s Timeline) Retry(id campaign.ID, row uint32, message uint8) (code, detail string, err error) {
	err = s.view(func(t *tx) error {
		n := id.Number()
		due := t.Bucket(bucketWaiting).Get(keyWaiting(n, row, message))
		if len(due) != 8 {
			return nil
		}
		r := codec.Reader{B: t.Bucket(bucketRetries).Get(keyRetry(n, int64(binary.BigEndian.Uint64(due)), row, message))}
		r.Byte()
		r.Fixed64()
		code, detail = r.Text(), r.Text()
		return nil
	})
	return code, detail, err
}

// Retries implements send.Store: it lists the messages that wait for their next attempt, in order of
// NextAt, at most limit (0: all).
func (s Timeline) Retries(id campaign.ID, limit int) ([]campaign.Entry, error) {
	var out []campaign.Entry
	err := s.view(func(t *tx) error {
		for k, v := range t.Prefixed(bucketRetries, db.Key8(id.Number())) {
			if limit > 0 && len(out) == limit {
				break
			}
			r := codec.Reader{B: v}
			e := campaign.Entry{Sending: id, Outcome: campaign.Retrying, Attempts: r.Byte()}
			e.At = time.Unix(0, int64(r.Fixed64())).UTC()
			e.Code, e.Detail = r.Text(), r.Text()
			e.MaybeDelivered = len(r.B) == 0 || r.Byte() == 1 // version 2 didn't know
			if len(k) != 21 {
				r.Fail()
			}
			if err := r.Done("retry"); err != nil {
				return err
			}
			e.NextAt = time.Unix(0, int64(binary.BigEndian.Uint64(k[8:]))).UTC()
			e.Row, e.Message = binary.BigEndian.Uint32(k[16:]), k[20]
			out = append(out, e)
		}
		return nil
	})
	return out, err
}
