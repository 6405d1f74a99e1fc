package recipients

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"campaignd/internal/contact"
)

// Spill keeps the keys of exact de-duplication outside memory: 7 bytes and
// the normal form of the contact for each good row. Written in order, read at any place. Where the CSV is
// small a Memory serves.
type Spill interface {
	io.Writer
	io.ReaderAt
}

// Memory is a Spill in memory. The zero value is ready.
type Memory struct{ data []byte }

// Write appends p.
func (m *Memory) Write(p []byte) (int, error) {
	m.data = append(m.data, p...)
	return len(p), nil
}

// ReadAt reads from offset at.
func (m *Memory) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(m.data)) {
		return 0, io.EOF
	}
	n := copy(p, m.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// keyHead is the length of a key before its contactCode: line, length of the
// contactCode, channel.
const keyHead = 4 + 2 + 1

func appendKey(dst []byte, line uint32, channel uint8, contact []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, line)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(contact)))
	dst = append(dst, channel)
	return append(dst, contact...)
}

// index finds keys that were seen before, exactly. A slot holds 28 bits of
// a key's hash and the key's place in the spill. If the bits agree, the key is read back
// and compared: a collision costs a read and never a recipient.
//
// It takes 8 bytes a slot and has 5 slots for 4 rows: 10 bytes for each row
// that the file can have, for contactCodes of any length (TestIndexBytesPerRow).
type index struct {
	slots      []uint64 // 0 is free
	used       int
	spill      Spill
	written    int64
	key        []byte
	prefetched uint64
}

const (
	placeBits = 36 // 64 GiB of keys: more than max_rows of MaxContact each
	placeMask = 1<<placeBits - 1
)

// errIndexFull is returned when there are more keys than the index has slots for.
var errIndexFull = errors.New("more rows than the line ends of the file allow: the file changed while it was read")

func newIndex(rows int64, spill Spill) *index {
	return &index{slots: make([]uint64, (max(rows, 1)*5+3)/4+1), spill: spill, key: make([]byte, keyHead+contact.BufferSize)}
}

// write appends keys to the spill and returns their offset. They must be written before
// the first of them is looked up: two may be equal.
func (x *index) write(keys []byte) (at int64, err error) {
	at = x.written
	if len(keys) == 0 {
		return at, nil
	}
	n, err := x.spill.Write(keys)
	x.written += int64(n)
	if err == nil && n < len(keys) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return at, fmt.Errorf("write keys of rows: %w", err)
	}
	if x.written > placeMask {
		return at, errIndexFull
	}
	return at, nil
}

// prefetch loads the slots of some keys into the cache together. Loaded one by one, as
// add needs them, each would wait for memory separately.
func (x *index) prefetch(hashes []uint64) {
	n := uint64(len(x.slots))
	var sum uint64
	for _, h := range hashes {
		at, _ := bits.Mul64(h, n)
		sum ^= x.slots[at]
	}
	x.prefetched = sum // or the compiler would drop the loads
}

// add looks up key, which is at place in the spill and has that hash. It returns the
// line of an equal key seen before, or adds the key and returns 0.
func (x *index) add(key []byte, place int64, hash uint64) (line uint32, err error) {
	n := uint64(len(x.slots))
	at, _ := bits.Mul64(hash, n) // by the high bits; the mark is of the low ones
	mark := hash << placeBits
	for {
		slot := x.slots[at]
		if slot == 0 {
			break
		}
		if (slot^mark)>>placeBits == 0 {
			if line, err = x.lineOfEqual(key, int64(slot&placeMask)-1); err != nil || line > 0 {
				return line, err
			}
		}
		if at++; at == n {
			at = 0
		}
	}
	if x.used+1 >= len(x.slots) { // one stays free, so that the search above ends
		return 0, errIndexFull
	}
	x.used++
	x.slots[at] = mark | uint64(place+1)
	return 0, nil
}

// lineOfEqual returns the line of the key at place if it equals key apart from the line, else 0.
func (x *index) lineOfEqual(key []byte, place int64) (line uint32, err error) {
	old := x.key[:len(key)]
	n, err := x.spill.ReadAt(old, place)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("read keys of rows: %w", err)
	}
	if n < len(key) || string(old[4:]) != string(key[4:]) {
		return 0, nil
	}
	return binary.LittleEndian.Uint32(old), nil
}
