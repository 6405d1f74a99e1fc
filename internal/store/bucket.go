package store

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// bucket is a bbolt bucket that records its changes for the log. Every write goes through it;
// code that deletes through a cursor calls tx.deleting itself.
type bucket struct {
	*bbolt.Bucket
	t    *tx
	path []byte // names of the enclosing buckets and its own, joined by pathMark
}

// pathMark separates the names in a path. No bucket's name contains it.
const pathMark = "\x00\x00"

func (b bucket) Put(key, value []byte) error {
	if b.t.set != nil {
		b.t.set.put(b.path, key, value, b.FillPercent == dense)
	}
	return b.Bucket.Put(key, value)
}

func (b bucket) Delete(key []byte) error {
	b.t.deleting(b.path, key)
	return b.Bucket.Delete(key)
}

// SetSequence sets the sequence of the bucket.
func (b bucket) SetSequence(n uint64) error {
	if b.t.set != nil {
		b.t.set.sequence(b.path, n)
	}
	return b.Bucket.SetSequence(n)
}

// NextSequence increments the sequence of the bucket and returns it.
func (b bucket) NextSequence() (uint64, error) {
	n := b.Sequence() + 1
	return n, b.SetSequence(n)
}

// deleting records that a key is being deleted.
func (t *tx) deleting(path, key []byte) {
	if t.set != nil {
		t.set.delete(path, key)
	}
}

// nested returns the bucket of that name within b, which must exist.
func (b bucket) nested(name []byte) bucket {
	inner := b.Bucket.Bucket(name)
	if inner == nil {
		panic(fmt.Sprintf("bucket %q is missing", name))
	}
	return bucket{inner, b.t, pathOf(b.path, name)}
}

// made is nested for a bucket that may not exist yet.
func (b bucket) made(name []byte) (bucket, error) {
	if inner := b.Bucket.Bucket(name); inner != nil {
		return b.nested(name), nil
	}
	if b.t.set != nil {
		b.t.set.bucket(pathOf(b.path, name))
	}
	if _, err := b.CreateBucket(name); err != nil {
		return bucket{}, err
	}
	return b.nested(name), nil
}

// made returns the outermost bucket of that name and creates it if it is missing.
func (t *tx) made(name []byte) (bucket, error) {
	if t.Bucket(name) == nil {
		if t.set != nil {
			t.set.bucket(name)
		}
		if _, err := t.CreateBucket(name); err != nil {
			return bucket{}, err
		}
	}
	return t.bucket(name), nil
}

func pathOf(outer, name []byte) []byte {
	return append(append(bytes.Clone(outer), pathMark...), name...)
}

// makeAt returns the bucket with that path and makes it where it is missing.
func makeAt(t *bbolt.Tx, path string) (*bbolt.Bucket, error) {
	names := bytes.Split([]byte(path), []byte(pathMark))
	b, err := t.CreateBucketIfNotExists(names[0])
	for _, name := range names[1:] {
		if err != nil {
			return nil, err
		}
		b, err = b.CreateBucketIfNotExists(name)
	}
	return b, err
}

// removeExpired finds the entries of a bucket whose values have expired, removes them in one
// transaction and returns how many. A bucket that was never used has none.
func (s *Store) removeExpired(name []byte, expired func(value []byte) bool, remove func(t *tx, key []byte) error) (int, error) {
	var old [][]byte
	err := s.view(func(t *tx) error {
		b := t.Bucket(name)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, value []byte) error {
			if expired(value) {
				old = append(old, bytes.Clone(k))
			}
			return nil
		})
	})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	return len(old), s.update(func(t *tx) error {
		for _, k := range old {
			if err := remove(t, k); err != nil {
				return err
			}
		}
		return nil
	})
}

// putJSON stores a value as JSON in a bucket that is made on first use.
func (t *tx) putJSON(name, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode a value of %s: %w", name, err)
	}
	b, err := t.made(name)
	if err != nil {
		return err
	}
	return b.Put(key, text)
}
