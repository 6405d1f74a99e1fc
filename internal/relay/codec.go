package relay

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Versions is a range of versions of the wire format: the oldest and the newest.
type Versions [2]byte

// Versions of the wire format that this program reads and writes. The hub writes a batch in the
// newest that it shares with the workers of the channel, and whatever is said about the batch
// afterwards is in its version: only its two sides need to read it.
const (
	MinVersion byte = 1
	MaxVersion byte = 1
)

// OwnVersions returns the versions of this program.
func OwnVersions() Versions { return Versions{MinVersion, MaxVersion} }

// Has reports whether the range has a version.
func (v Versions) Has(version byte) bool { return v[0] <= version && version <= v[1] }

// ErrVersion is returned when a message has a version that this program doesn't read.
var ErrVersion = errors.New("unknown version of the wire format")

// errMalformed is returned when a message ends too early or holds something impossible.
var errMalformed = errors.New("truncated or malformed")

// BatchID names a batch: the epoch of the hub that made it and a number that this hub never
// uses again.
type BatchID struct {
	Epoch, Number uint64
}

// String returns the id for logs and message ids, such as "3-1024".
func (id BatchID) String() string {
	return strconv.FormatUint(id.Epoch, 10) + "-" + strconv.FormatUint(id.Number, 10)
}

// headSize is the length of version and batch id, with which every message begins in every
// version.
const headSize = 1 + 8 + 8

// DecodeID returns the batch id of an encoded batch, claim or answer of any version.
func DecodeID(data []byte) (BatchID, error) {
	if len(data) < headSize || data[0] == 0 {
		return BatchID{}, fmt.Errorf("decode batch id: %w", errMalformed)
	}
	return BatchID{binary.BigEndian.Uint64(data[1:]), binary.BigEndian.Uint64(data[9:])}, nil
}

// appendHead appends version and batch id. Version 0 is MaxVersion.
func appendHead(dst []byte, version byte, id BatchID) []byte {
	dst = append(dst, cmp.Or(version, MaxVersion))
	dst = binary.BigEndian.AppendUint64(dst, id.Epoch)
	return binary.BigEndian.AppendUint64(dst, id.Number)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// decoder decodes a message. After the first error every read returns zero and err is set, so
// that the caller checks once at its end.
type decoder struct {
	b    []byte
	read Versions
	err  error
}

// head reads version and batch id.
func (d *decoder) head() (version byte, id BatchID) {
	id, d.err = DecodeID(d.b)
	if d.err != nil {
		d.b = nil
		return 0, id
	}
	version = d.b[0]
	if !d.read.Has(version) {
		d.err = fmt.Errorf("%w: %d", ErrVersion, version)
		d.b = nil
		return version, id
	}
	d.b = d.b[headSize:]
	return version, id
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errMalformed
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a number of at most most.
func (d *decoder) count(most int) int {
	v := d.uvarint()
	if v > uint64(most) {
		d.fail()
		return 0
	}
	return int(v)
}

// bytes returns the next n bytes without copying them.
func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// text reads a string preceded by its length.
func (d *decoder) text() string { return string(d.bytes(d.uvarint())) }

// done returns the error, or errMalformed if bytes are left over.
func (d *decoder) done(what string) error {
	if d.err == nil && len(d.b) > 0 {
		d.err = errMalformed
	}
	if d.err != nil {
		return fmt.Errorf("decode %s: %w", what, d.err)
	}
	return nil
}
