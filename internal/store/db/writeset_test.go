package db

import (
	"bytes"
	"testing"
)

// FuzzWriteSet applies hostile bytes: they give an error, and nothing panics.
func FuzzWriteSet(f *testing.F) {
	w := newWriteSet()
	w.put([]byte("meta"), []byte("k"), []byte("v"), true)
	w.put(pathOf([]byte("contacts"), []byte("n")), []byte("k"), nil, false)
	w.delete([]byte("meta"), []byte("k"))
	w.sequence([]byte("meta"), 7)
	w.bucket([]byte("made"))
	at := Position{Tag: "0123abcd", Epoch: 3, Commit: 9}
	f.Add(w.encode(at, Position{at.Tag, 3, 10}))
	f.Add([]byte{setVersion, 0, 0, 0, 0, 0, 0, setPlain, opBucket, 0, 1, 'x', opSequence, 1, 5})
	f.Fuzz(func(t *testing.T, set []byte) {
		before, after, rest, err := setHead(set)
		if err != nil {
			return
		}
		ops, err := unpackSet(rest)
		if err != nil || len(ops) > 1<<20 {
			return
		}
		again := newWriteSet()
		if err := eachOperation(ops, func(o *operation) error {
			switch o.op {
			case opPut, opPutDense:
				again.put(o.path, o.key, o.value, o.op == opPutDense)
			case opDelete:
				again.delete(o.path, o.key)
			case opSequence:
				again.sequence(o.path, o.sequence)
			case opBucket:
				again.bucket(o.path)
			}
			return nil
		}); err != nil {
			return
		}
		_, _, rest, err = setHead(again.encode(before, after))
		if err != nil {
			t.Fatal(err)
		}
		once, err := unpackSet(rest)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, again.ops) {
			t.Error("encoded again it differs")
		}
	})
}
