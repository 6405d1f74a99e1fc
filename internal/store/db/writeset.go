package db

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
	"go.etcd.io/bbolt"

	"campaignd/internal/codec"
)

// A write set is everything that one commit has written, in order, as keys and values. Encoded:
// its version (1 byte), the position before and the position after the commit (each tag, epoch and
// commit), its packing (1 byte), and the operations.

// setVersion is the version of encoded write sets.
const setVersion = 1

// ErrSetVersion is returned for a write set of a later version of campaignd.
var ErrSetVersion = errors.New("the write set was written by a later version of campaignd")

// Position names a state of a store. Two stores at the same position hold the same: an epoch has
// one hub, and each of its commits is recorded in the log once.
type Position struct {
	Tag    string // of the store; "": there is no store
	Epoch  uint64 // of the hub that made the last commit; 0: the store was never replicated
	Commit uint64 // commits so far, over all epochs
}

// String returns the position for logs, such as "commit 1024 of epoch 3".
func (p Position) String() string { return fmt.Sprintf("commit %d of epoch %d", p.Commit, p.Epoch) }

// The operations of a write set. Each names a bucket: 0 and a path, which gets the next number,
// or the number of an earlier path.
const (
	opPut      byte = 1 + iota // key, value
	opPutDense                 // the same, in a bucket whose pages are filled
	opDelete                   // key
	opSequence                 // number
	opBucket                   // creates the bucket
)

// The packings of operations.
const (
	setPlain byte = iota
	setPacked
)

// Limits of the operations that decodeSet unpacks: a write set from anywhere else must not take
// all memory.
const (
	setUnpacked = 32 << 20 // bytes at least
	setRatio    = 1024     // of the packed bytes
)

func unpackedLimit(packed int) int { return setUnpacked + setRatio*packed }

// writeSet collects the operations of a transaction.
type writeSet struct {
	ops   []byte
	paths map[string]uint64
}

func newWriteSet() *writeSet { return &writeSet{paths: map[string]uint64{}} }

func (w *writeSet) op(op byte, path []byte) {
	w.ops = append(w.ops, op)
	n := w.paths[string(path)]
	w.ops = binary.AppendUvarint(w.ops, n)
	if n == 0 {
		w.paths[string(path)] = uint64(len(w.paths)) + 1
		w.bytes(path)
	}
}

func (w *writeSet) bytes(b []byte) {
	w.ops = append(binary.AppendUvarint(w.ops, uint64(len(b))), b...)
}

func (w *writeSet) put(path, key, value []byte, filled bool) {
	op := opPut
	if filled {
		op = opPutDense
	}
	w.op(op, path)
	w.bytes(key)
	w.bytes(value)
}

func (w *writeSet) delete(path, key []byte) {
	w.op(opDelete, path)
	w.bytes(key)
}

func (w *writeSet) sequence(path []byte, n uint64) {
	w.op(opSequence, path)
	w.ops = binary.AppendUvarint(w.ops, n)
}

func (w *writeSet) bucket(path []byte) { w.op(opBucket, path) }

// encode returns the encoded write set.
func (w *writeSet) encode(before, after Position) []byte {
	head := appendPosition(appendPosition([]byte{setVersion}, before), after)
	packed := s2.Encode(make([]byte, len(head)+1+s2.MaxEncodedLen(len(w.ops)))[len(head)+1:], w.ops)
	if len(w.ops) > unpackedLimit(len(packed)) {
		return append(append(head, setPlain), w.ops...)
	}
	return append(append(head, setPacked), packed...)
}

func appendPosition(dst []byte, p Position) []byte {
	dst = append(append(dst, byte(len(p.Tag))), p.Tag...)
	return binary.AppendUvarint(binary.AppendUvarint(dst, p.Epoch), p.Commit)
}

func readPosition(r *codec.Reader) Position {
	return Position{Tag: string(r.Bytes(uint64(r.Byte()))), Epoch: r.Uvarint(), Commit: r.Uvarint()}
}

var errSet = errors.New("the write set is truncated or malformed")

// setHead reads the head of a write set. It returns the positions before and after its commit, and the packed rest.
func setHead(set []byte) (before, after Position, rest []byte, err error) {
	r := codec.Reader{B: set}
	switch v := r.Byte(); {
	case r.Err != nil:
		return before, after, nil, errSet
	case v != setVersion:
		return before, after, nil, fmt.Errorf("%w: its version is %d", ErrSetVersion, v)
	}
	before, after = readPosition(&r), readPosition(&r)
	if r.Err != nil {
		return before, after, nil, errSet
	}
	return before, after, r.B, nil
}

// unpackSet returns the operations after a write set's head.
func unpackSet(rest []byte) ([]byte, error) {
	r := codec.Reader{B: rest}
	switch packing := r.Byte(); {
	case r.Err != nil:
		return nil, errSet
	case packing == setPlain:
		return r.B, nil
	case packing != setPacked:
		return nil, fmt.Errorf("%w: its packing is %d", ErrSetVersion, packing)
	}
	if size, err := s2.DecodedLen(r.B); err != nil || size > unpackedLimit(len(r.B)) {
		return nil, errSet
	}
	ops, err := s2.Decode(nil, r.B)
	if err != nil {
		return nil, errSet
	}
	return ops, nil
}

// operation is one operation of a write set. Its slices share the operations' memory.
type operation struct {
	op         byte
	path       []byte
	key, value []byte
	sequence   uint64
}

// eachOperation calls fn with the operations of a write set.
func eachOperation(ops []byte, fn func(*operation) error) error {
	r := codec.Reader{B: ops}
	var paths [][]byte
	for len(r.B) > 0 {
		o := operation{op: r.Byte()}
		switch n := r.Uvarint(); {
		case n == 0:
			if o.path = r.Bytes(r.Uvarint()); len(o.path) == 0 {
				return errSet
			}
			paths = append(paths, o.path)
		case n > uint64(len(paths)):
			return errSet
		default:
			o.path = paths[n-1]
		}
		switch o.op {
		case opPut, opPutDense:
			o.key, o.value = r.Bytes(r.Uvarint()), r.Bytes(r.Uvarint())
		case opDelete:
			o.key = r.Bytes(r.Uvarint())
		case opSequence:
			o.sequence = r.Uvarint()
		case opBucket:
		default:
			return errSet
		}
		if r.Err != nil {
			return errSet
		}
		if err := fn(&o); err != nil {
			return err
		}
	}
	if r.Err != nil {
		return errSet
	}
	return nil
}

// applySet does the operations of a write set in a transaction.
func applySet(t *bbolt.Tx, rest []byte) error {
	ops, err := unpackSet(rest)
	if err != nil {
		return err
	}
	buckets := map[string]*bbolt.Bucket{}
	return eachOperation(ops, func(o *operation) error {
		b := buckets[string(o.path)]
		if b == nil {
			if b, err = makeAt(t, string(o.path)); err != nil {
				return err
			}
			buckets[string(o.path)] = b
		}
		switch o.op {
		case opPutDense:
			b.FillPercent = Dense
			return b.Put(o.key, o.value)
		case opPut:
			return b.Put(o.key, o.value)
		case opDelete:
			return b.Delete(o.key)
		case opSequence:
			return b.SetSequence(o.sequence)
		}
		return nil
	})
}
