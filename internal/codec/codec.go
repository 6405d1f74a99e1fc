// Package codec reads and writes the building blocks of binary values: varints, and texts preceded by
// their length. It is its own package because the values in the store's file, the write sets of its
// log and the messages between hub and workers are built from the same ones.
package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed is returned when a value ends too early or holds something impossible.
var ErrMalformed = errors.New("value is truncated or malformed")

// Reader decodes B from its beginning. After the first error every read returns zero and Err
// is set, so a decoder checks once at its end. Hostile bytes give an error, never a
// panic, and never allocate more than their length justifies.
type Reader struct {
	B   []byte // what is left
	Err error
}

// Fail makes the value malformed; every further read returns zero.
func (r *Reader) Fail() {
	if r.Err == nil {
		r.Err = ErrMalformed
	}
	r.B = nil
}

// Byte reads a byte.
func (r *Reader) Byte() byte {
	if len(r.B) == 0 {
		r.Fail()
		return 0
	}
	v := r.B[0]
	r.B = r.B[1:]
	return v
}

// Uvarint reads an unsigned varint.
func (r *Reader) Uvarint() uint64 {
	if len(r.B) > 0 && r.B[0] < 0x80 { // as most are
		v := r.B[0]
		r.B = r.B[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Varint reads a signed varint.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.B)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Uint32 reads an unsigned varint of at most 32 bits.
func (r *Reader) Uint32() uint32 {
	v := r.Uvarint()
	if v > math.MaxUint32 {
		r.Fail()
		return 0
	}
	return uint32(v)
}

// Count reads an unsigned varint that is at most most.
func (r *Reader) Count(most int) int {
	v := r.Uvarint()
	if v > uint64(most) {
		r.Fail()
		return 0
	}
	return int(v)
}

// Bool reads a byte that is 0 or 1.
func (r *Reader) Bool() bool {
	v := r.Byte()
	if v > 1 {
		r.Fail()
	}
	return v == 1
}

// Fixed64 reads 8 bytes, big endian.
func (r *Reader) Fixed64() uint64 {
	if len(r.B) < 8 {
		r.Fail()
		return 0
	}
	v := binary.BigEndian.Uint64(r.B)
	r.B = r.B[8:]
	return v
}

// Bytes returns the next n bytes without copying them.
func (r *Reader) Bytes(n uint64) []byte {
	if n > uint64(len(r.B)) {
		r.Fail()
		return nil
	}
	v := r.B[:n:n]
	r.B = r.B[n:]
	return v
}

// Text reads a string preceded by its length.
func (r *Reader) Text() string { return string(r.Bytes(r.Uvarint())) }

// Done returns the decoder's error, or ErrMalformed if bytes are left over.
func (r *Reader) Done(what string) error {
	if r.Err == nil && len(r.B) > 0 {
		r.Err = ErrMalformed
	}
	if r.Err != nil {
		return fmt.Errorf("decode %s: %w", what, r.Err)
	}
	return nil
}

// AppendText appends a string preceded by its length.
func AppendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// AppendBool appends a byte that is 0 or 1.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}
