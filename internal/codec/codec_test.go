package codec

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// encoded is a value with one of each part.
func encoded() []byte {
	b := []byte{7}
	b = binary.AppendUvarint(b, 300)
	b = binary.AppendVarint(b, -300)
	b = binary.AppendUvarint(b, math.MaxUint32)
	b = binary.AppendUvarint(b, 12)
	b = AppendBool(b, true)
	b = binary.BigEndian.AppendUint64(b, math.MaxUint64)
	return AppendText(b, "ñandú")
}

// parts are the values in encoded, in order.
type parts struct {
	first    byte
	unsigned uint64
	signed   int64
	small    uint32
	count    int
	flag     bool
	fixed    uint64
	text     string
}

func read(r *Reader) parts {
	return parts{r.Byte(), r.Uvarint(), r.Varint(), r.Uint32(), r.Count(12), r.Bool(), r.Fixed64(), r.Text()}
}

func TestPartsReadBackAsWritten(t *testing.T) {
	r := Reader{B: encoded()}
	got := read(&r)
	if want := (parts{7, 300, -300, math.MaxUint32, 12, true, math.MaxUint64, "ñandú"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := r.Done("value"); err != nil {
		t.Error(err)
	}
}

func TestAValueCutShortIsMalformed(t *testing.T) {
	whole := encoded()
	for n := range whole {
		r := Reader{B: whole[:n]}
		read(&r)
		if err := r.Done("value"); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes of %d: got %v, want %v", n, len(whole), err, ErrMalformed)
		}
	}
}

func TestMalformedValues(t *testing.T) {
	long := binary.AppendUvarint(nil, math.MaxUint64)
	tests := map[string]struct {
		value []byte
		read  func(*Reader)
	}{
		"bytes left over":          {[]byte{1, 2}, func(r *Reader) { r.Byte() }},
		"a varint of 11 bytes":     {[]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, func(r *Reader) { r.Uvarint() }},
		"more than 32 bits":        {binary.AppendUvarint(nil, math.MaxUint32+1), func(r *Reader) { r.Uint32() }},
		"a count above its limit":  {[]byte{13}, func(r *Reader) { r.Count(12) }},
		"a flag of 2":              {[]byte{2}, func(r *Reader) { r.Bool() }},
		"7 bytes of 8":             {make([]byte, 7), func(r *Reader) { r.Fixed64() }},
		"a text longer than bytes": {long, func(r *Reader) { r.Text() }},
		"the caller's own check":   {nil, func(r *Reader) { r.Fail() }},
	}
	for name, test := range tests {
		r := Reader{B: test.value}
		test.read(&r)
		if err := r.Done("value"); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
	}
}

func TestNothingIsReadAfterAnError(t *testing.T) {
	r := Reader{B: append([]byte{200}, encoded()...)}
	r.Count(12)
	if got, want := read(&r), (parts{}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestBytesCannotOverwriteWhatFollows(t *testing.T) {
	r := Reader{B: []byte{1, 2, 3}}
	_ = append(r.Bytes(1), 9)
	if got := r.Byte(); got != 2 {
		t.Errorf("the second byte is %d, want 2", got)
	}
}
