package optout

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"campaignd/internal/codec"
)

// Opt-outs are stored in blocks of up to blockEntries entries in order of key, so that ten
// million of them take about as much room as the list they came from. A block has one byte of
// format, the length of its classes and the classes, then the entries. Entries with the same
// origin and spelling are of one class. An entry is the length that its key shares with the
// one before, the length of the rest, the rest, and the number of its class.
const (
	blockFormat  = 1
	blockEntries = 64
)

// entry is one stored opt-out. Its application and channel are in the block's key.
type entry struct {
	key      []byte // the contact's normal form
	origin   uint32 // number in the bucket origins
	spelling string // how the text as given follows from key; see spell
}

type class struct {
	origin   uint32
	spelling string
}

func encodeBlock(entries []entry) []byte {
	numbers := map[class]uint64{}
	var classes, body []byte
	last := []byte{}
	for i := range entries {
		e := &entries[i]
		class := class{e.origin, e.spelling}
		n, known := numbers[class]
		if !known {
			n = uint64(len(numbers))
			numbers[class] = n
			classes = binary.AppendUvarint(classes, uint64(e.origin))
			classes = codec.AppendText(classes, e.spelling)
		}
		shared := sharedPrefix(last, e.key)
		body = binary.AppendUvarint(body, uint64(shared))
		body = codec.AppendText(body, string(e.key[shared:]))
		body = binary.AppendUvarint(body, n)
		last = e.key
	}
	out := binary.AppendUvarint([]byte{blockFormat}, uint64(len(classes)))
	return append(append(out, classes...), body...)
}

func sharedPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// blockBody returns the classes and the entries of a block, both still encoded.
func blockBody(value []byte) (classes []byte, body codec.Reader) {
	r := codec.Reader{B: value}
	if r.Byte() != blockFormat {
		r.Fail()
	}
	classes = r.Bytes(r.Uvarint())
	return classes, r
}

func decodeBlock(value []byte) ([]entry, error) {
	encoded, r := blockBody(value)
	var classes []class
	c := codec.Reader{B: encoded}
	for c.Err == nil && len(c.B) > 0 {
		classes = append(classes, class{c.Uint32(), c.Text()})
	}
	if err := c.Done("opt-outs"); err != nil {
		return nil, err
	}
	var entries []entry
	if len(r.B) > 0 {
		entries = make([]entry, 0, blockEntries)
	}
	keys := make([]byte, 0, 2*len(r.B)) // of all entries, end to end; more room is allocated where they need it
	last := []byte{}
	for r.Err == nil && len(r.B) > 0 {
		shared := r.Uvarint()
		rest := r.Bytes(r.Uvarint())
		class := r.Uvarint()
		if shared > uint64(len(last)) || class >= uint64(len(classes)) {
			r.Fail()
			break
		}
		start := len(keys)
		keys = append(append(keys, last[:shared]...), rest...)
		key := keys[start:len(keys):len(keys)]
		if len(entries) > 0 && bytes.Compare(last, key) >= 0 {
			r.Fail()
			break
		}
		entries = append(entries, entry{key, classes[class].origin, classes[class].spelling})
		last = key
	}
	return entries, r.Done("opt-outs")
}

// blockHas reports whether a block has an entry with that key. It decodes nothing: matched is
// how much of key the entry before shares, and entries that share more with that one than key
// does are smaller than key too.
func blockHas(value, key []byte) (bool, error) {
	_, r := blockBody(value)
	b, matched := r.B, 0
	for len(b) > 0 {
		var shared, length uint64
		if shared, b = shortUvarint(b); len(b) > 0 {
			length, b = shortUvarint(b)
		}
		if length >= uint64(len(b)) { // the class has a byte at least
			return false, fmt.Errorf("decode opt-outs: %w", codec.ErrMalformed)
		}
		rest := b[:length]
		_, b = shortUvarint(b[length:])
		if shared > uint64(matched) {
			continue
		}
		if shared < uint64(matched) {
			return false, nil
		}
		n := sharedPrefix(rest, key[matched:])
		matched += n
		if n == len(rest) {
			if matched == len(key) {
				return true, nil
			}
		} else if matched == len(key) || rest[n] > key[matched] {
			return false, nil
		}
	}
	return false, r.Err
}

// shortUvarint reads a number that mostly has one byte, and returns what follows it: nothing
// where the number is cut off.
func shortUvarint(b []byte) (uint64, []byte) {
	if b[0] < 0x80 {
		return uint64(b[0]), b[1:]
	}
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil
	}
	return v, b[n:]
}

// spell returns how given follows from key, as steps that skip bytes of key, insert text and
// copy bytes of key: "" if they are equal. Numbers written in one style have one spelling, so a
// block stores it once.
func spell(key, given []byte) string {
	if bytes.Equal(key, given) {
		return ""
	}
	for skip := range min(len(key), maxSpellSkip) {
		if steps, ok := spellFrom(key, given, skip); ok {
			return string(steps)
		}
	}
	return string(append(codec.AppendText([]byte{0}, string(given)), 0))
}

// maxSpellSkip limits the bytes at a key's beginning that a spelling may leave out: a calling code.
const maxSpellSkip = 5

func spellFrom(key, given []byte, skip int) (steps []byte, ok bool) {
	steps = append(steps, byte(skip))
	at := skip
	for i := 0; i < len(given); {
		start := i
		for i < len(given) && (at == len(key) || given[i] != key[at]) {
			i++
		}
		steps = codec.AppendText(steps, string(given[start:i]))
		start = i
		for i < len(given) && at < len(key) && given[i] == key[at] {
			i, at = i+1, at+1
		}
		steps = binary.AppendUvarint(steps, uint64(i-start))
		if i < len(given) {
			steps = append(steps, 0)
		}
	}
	return steps, at == len(key)
}

// unspell returns the text that spell encoded.
func unspell(key []byte, spelling string) ([]byte, error) {
	if spelling == "" {
		return key, nil
	}
	var given []byte
	r := codec.Reader{B: []byte(spelling)}
	for r.Err == nil && len(r.B) > 0 {
		skip := r.Uvarint()
		if skip > uint64(len(key)) {
			r.Fail()
			break
		}
		key = key[skip:]
		given = append(given, r.Bytes(r.Uvarint())...)
		n := r.Uvarint()
		if n > uint64(len(key)) {
			r.Fail()
			break
		}
		given = append(given, key[:n]...)
		key = key[n:]
	}
	if err := r.Done("spelling"); err != nil {
		return nil, fmt.Errorf("decode opt-outs: %w", err)
	}
	return given, nil
}
