package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/klauspost/compress/s2"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
)

// Details of outcomes are stored in blocks, several a chunk. A block has one byte of
// format (open or packed with s2), the time of its first entry (milliseconds, varint),
// and then the entries: row in the chunk and message (uvarint, three bits for the
// message), status, flags, time since the first entry (milliseconds, varint), and the
// fields named by the flags. The last block of a chunk stays open. It is packed when it
// reaches blockBytes, and the next one begins.
const (
	blockOpen   = 0
	blockPacked = 1
	blockBytes  = 16 << 10
	maxBlock    = 64 << 20

	hasProvider = 1
	hasCode     = 2
	hasDetail   = 4
	hasAttempts = 8 // more than a status can count, as a byte after the texts
)

// blockWriter appends entries to an open block.
type blockWriter struct {
	b     []byte
	first int64 // time of the first entry in milliseconds
}

// resume continues an open block.
func (w *blockWriter) resume(value []byte) error {
	r := codec.Reader{B: value}
	r.Byte()
	w.first = r.Varint()
	// room for a group's entries, so that the buffer doesn't grow step by step
	w.b = append(make([]byte, 0, 2*blockBytes), value...)
	if r.Err != nil {
		return fmt.Errorf("decode outcomes: %w", r.Err)
	}
	return nil
}

func (w *blockWriter) add(e *campaign.Entry, status campaign.MessageStatus) {
	at := e.At.UnixMilli()
	if len(w.b) == 0 {
		w.b = binary.AppendVarint(append(make([]byte, 0, 2*blockBytes), blockOpen), at)
		w.first = at
	}
	w.b = binary.AppendUvarint(w.b, uint64(e.Row%campaign.ChunkRows)<<3|uint64(e.Message))
	flags := byte(0)
	if e.Provider != "" {
		flags |= hasProvider
	}
	if e.Code != "" {
		flags |= hasCode
	}
	if e.Detail != "" {
		flags |= hasDetail
	}
	if e.Attempts > campaign.MaxAttempts {
		flags |= hasAttempts
	}
	w.b = append(w.b, byte(status), flags)
	w.b = binary.AppendVarint(w.b, at-w.first)
	for _, s := range []string{e.Provider, e.Code, e.Detail} {
		if s != "" {
			w.b = codec.AppendText(w.b, s)
		}
	}
	if flags&hasAttempts != 0 {
		w.b = append(w.b, e.Attempts)
	}
}

// packBlock compresses a full block, or returns it unchanged if compression gains little.
func packBlock(open []byte) []byte {
	packed := make([]byte, 1+s2.MaxEncodedLen(len(open)-1))
	packed[0] = blockPacked
	packed = packed[:1+len(s2.Encode(packed[1:], open[1:]))]
	if len(packed) > len(open)*9/10 {
		return open
	}
	return packed
}

// decodeBlock calls fn with each entry of a block. Entries have no Sending; their Row
// counts from first.
func decodeBlock(value []byte, first uint32, fn func(campaign.Entry)) error {
	r := codec.Reader{B: value}
	switch r.Byte() {
	case blockOpen:
	case blockPacked:
		size, err := s2.DecodedLen(r.B)
		if err != nil || size > maxBlock {
			return fmt.Errorf("decode outcomes: %w", codec.ErrMalformed)
		}
		raw, err := s2.Decode(nil, r.B)
		if err != nil {
			return fmt.Errorf("decode outcomes: %w", err)
		}
		r.B = raw
	default:
		r.Fail()
	}
	all := string(r.B) // one allocation for the strings of all entries
	begin := r.Varint()
	for r.Err == nil && len(r.B) > 0 {
		which := r.Uvarint()
		status := campaign.MessageStatus(r.Byte())
		flags := r.Byte()
		at := begin + r.Varint()
		message := which & 7
		if which>>3 >= campaign.ChunkRows || message == 0 || message > campaign.MaxMessages ||
			flags > hasProvider|hasCode|hasDetail|hasAttempts || at > math.MaxInt64/2 || at < math.MinInt64/2 {
			r.Fail()
			break
		}
		e := campaign.Entry{
			Row: first + uint32(which>>3), Message: uint8(message), Outcome: status.Outcome(), Attempts: uint8(status.Attempts()),
			At: time.UnixMilli(at).UTC(), MaybeDelivered: status.MaybeDelivered(),
		}
		for i, s := range []*string{&e.Provider, &e.Code, &e.Detail} {
			if flags&(1<<i) != 0 {
				n := len(r.Bytes(r.Uvarint()))
				end := len(all) - len(r.B)
				if r.Err == nil {
					*s = all[end-n : end]
				}
			}
		}
		if flags&hasAttempts != 0 {
			e.Attempts = r.Byte()
		}
		if r.Err == nil {
			fn(e)
		}
	}
	return r.Done("outcomes")
}
