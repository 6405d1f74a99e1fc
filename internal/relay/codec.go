package relay

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"campaignd/internal/codec"
)

// Versions is a range of versions of the wire format: the oldest and the newest.
type Versions [2]byte

// Versions of the wire format that this program reads and writes. The hub writes a batch in the
// newest that it shares with the workers of the channel, and whatever is said about the batch
// afterwards is in its version: only its two sides need to read it. Version 2 adds Unwritten and Said of send.Result.
const (
	MinVersion byte = 1
	MaxVersion byte = 2
)

// OwnVersions returns the versions of this program.
func OwnVersions() Versions { return Versions{MinVersion, MaxVersion} }

// Has reports whether the range has a version.
func (v Versions) Has(version byte) bool { return v[0] <= version && version <= v[1] }

// ErrVersion is returned when a message has a version that this program doesn't read.
var ErrVersion = errors.New("unknown version of the wire format")

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
		return BatchID{}, fmt.Errorf("decode batch id: %w", codec.ErrMalformed)
	}
	return BatchID{binary.BigEndian.Uint64(data[1:]), binary.BigEndian.Uint64(data[9:])}, nil
}

// appendHead appends version and batch id. Version 0 is MaxVersion.
func appendHead(dst []byte, version byte, id BatchID) []byte {
	dst = append(dst, cmp.Or(version, MaxVersion))
	dst = binary.BigEndian.AppendUint64(dst, id.Epoch)
	return binary.BigEndian.AppendUint64(dst, id.Number)
}

// decoder decodes a message.
type decoder struct {
	codec.Reader
	read Versions
}

// head reads version and batch id.
func (d *decoder) head() (version byte, id BatchID) {
	id, d.Err = DecodeID(d.B)
	if d.Err != nil {
		d.B = nil
		return 0, id
	}
	version = d.B[0]
	if !d.read.Has(version) {
		d.Err = fmt.Errorf("%w: %d", ErrVersion, version)
		d.B = nil
		return version, id
	}
	d.B = d.B[headSize:]
	return version, id
}
