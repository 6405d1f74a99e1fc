package db

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

// Meta is the bucket of the file itself. The keys version, tag and epoch are this package's; its
// sequence counts the commits.
var Meta = []byte("meta")

var (
	metaVersion = []byte("version")
	metaTag     = []byte("tag")
	metaEpoch   = []byte("epoch")
)

// Dense is the fill percentage of buckets whose keys come in ascending order. A page
// that was split is never inserted into again; half-full pages would double the file.
const Dense = 0.98

// Tx is a bbolt transaction whose changes go to the log.
type Tx struct {
	*bbolt.Tx
	db    *DB
	after []func()

	set          *writeSet    // nil: the file isn't replicated
	acknowledged func() error // see Log.Append
}

// After calls do once the transaction is on the disk, before the next one begins.
func (t *Tx) After(do func()) { t.after = append(t.after, do) }

// Bucket returns the outermost bucket of that name, which must exist.
func (t *Tx) Bucket(name []byte) Bucket {
	b := t.Tx.Bucket(name)
	if b == nil {
		panic(fmt.Sprintf("bucket %s is missing", name))
	}
	return Bucket{b, t, name}
}

// Existing returns the outermost bucket of that name for reading, nil if it wasn't made yet.
func (t *Tx) Existing(name []byte) *bbolt.Bucket { return t.Tx.Bucket(name) }

// Ascending returns a bucket whose keys come in order, so that its pages may be filled.
func (t *Tx) Ascending(name []byte) Bucket {
	b := t.Bucket(name)
	b.FillPercent = Dense
	return b
}

// Value returns the value of a key in an outermost bucket, nil if there is none or the bucket wasn't made yet.
func (t *Tx) Value(bucket, key []byte) []byte {
	if b := t.Existing(bucket); b != nil {
		return b.Get(key)
	}
	return nil
}

// Prefixed yields the keys of an outermost bucket that have the prefix, in order, and their values. A bucket that
// wasn't made yet has none.
func (t *Tx) Prefixed(bucket, prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		b := t.Existing(bucket)
		if b == nil {
			return
		}
		c := b.Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix) && yield(k, v); k, v = c.Next() {
		}
	}
}

// DeletePrefixed removes at most limit keys that have the prefix from an outermost bucket and returns how many.
func (t *Tx) DeletePrefixed(bucket, prefix []byte, limit int) (n int, err error) {
	c := t.Bucket(bucket).Cursor()
	for k, _ := c.Seek(prefix); n < limit && k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		t.Deleting(bucket, k)
		if err := c.Delete(); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// Bucket is a bbolt bucket that records its changes for the log. Every write goes through it;
// code that deletes through a cursor calls Tx.Deleting itself.
type Bucket struct {
	*bbolt.Bucket
	t    *Tx
	path []byte // names of the enclosing buckets and its own, joined by pathMark
}

// pathMark separates the names in a path. No bucket's name contains it.
const pathMark = "\x00\x00"

func (b Bucket) Put(key, value []byte) error {
	if b.t.set != nil {
		b.t.set.put(b.path, key, value, b.FillPercent == Dense)
	}
	return b.Bucket.Put(key, value)
}

func (b Bucket) Delete(key []byte) error {
	b.t.Deleting(b.path, key)
	return b.Bucket.Delete(key)
}

// SetSequence sets the sequence of the bucket.
func (b Bucket) SetSequence(n uint64) error {
	if b.t.set != nil {
		b.t.set.sequence(b.path, n)
	}
	return b.Bucket.SetSequence(n)
}

// NextSequence increments the sequence of the bucket and returns it.
func (b Bucket) NextSequence() (uint64, error) {
	n := b.Sequence() + 1
	return n, b.SetSequence(n)
}

// Deleting records that a key is being deleted.
func (t *Tx) Deleting(path, key []byte) {
	if t.set != nil {
		t.set.delete(path, key)
	}
}

// Nested returns the bucket of that name within b, which must exist.
func (b Bucket) Nested(name []byte) Bucket {
	inner := b.Bucket.Bucket(name)
	if inner == nil {
		panic(fmt.Sprintf("bucket %q is missing", name))
	}
	return Bucket{inner, b.t, pathOf(b.path, name)}
}

// Made is Nested for a bucket that may not exist yet.
func (b Bucket) Made(name []byte) (Bucket, error) {
	if inner := b.Bucket.Bucket(name); inner != nil {
		return b.Nested(name), nil
	}
	if b.t.set != nil {
		b.t.set.bucket(pathOf(b.path, name))
	}
	if _, err := b.CreateBucket(name); err != nil {
		return Bucket{}, err
	}
	return b.Nested(name), nil
}

// Made returns the outermost bucket of that name and creates it if it is missing.
func (t *Tx) Made(name []byte) (Bucket, error) {
	if t.Existing(name) == nil {
		if t.set != nil {
			t.set.bucket(name)
		}
		if _, err := t.CreateBucket(name); err != nil {
			return Bucket{}, err
		}
	}
	return t.Bucket(name), nil
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

// listPage limits the values that EachPage reads in one transaction.
const listPage = 1000

// EachPage calls fn with copies of the keys that have the prefix and are not before from, and
// of their values, one page a transaction; no transaction is open while fn runs.
func (d *DB) EachPage(bucket, prefix, from []byte, fn func(key, value []byte) error) error {
	for from != nil {
		var page []struct{ key, value []byte }
		err := d.View(func(t *Tx) error {
			c := t.Bucket(bucket).Cursor()
			k, v := c.Seek(from)
			for ; bytes.HasPrefix(k, prefix) && k != nil && len(page) < listPage; k, v = c.Next() {
				page = append(page, struct{ key, value []byte }{bytes.Clone(k), bytes.Clone(v)})
			}
			from = nil
			if bytes.HasPrefix(k, prefix) && k != nil {
				from = bytes.Clone(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := fn(p.key, p.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// RemoveExpired finds the entries of a bucket whose values have expired, removes them in one
// transaction and returns how many. A bucket that was never used has none.
func (d *DB) RemoveExpired(name []byte, expired func(value []byte) bool, remove func(t *Tx, key []byte) error) (int, error) {
	var old [][]byte
	err := d.View(func(t *Tx) error {
		for k, value := range t.Prefixed(name, nil) {
			if expired(value) {
				old = append(old, bytes.Clone(k))
			}
		}
		return nil
	})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	return len(old), d.Update(func(t *Tx) error {
		for _, k := range old {
			if err := remove(t, k); err != nil {
				return err
			}
		}
		return nil
	})
}

// PutJSON stores a value as JSON in a bucket that is made on first use.
func (t *Tx) PutJSON(name, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode a value of %s: %w", name, err)
	}
	b, err := t.Made(name)
	if err != nil {
		return err
	}
	return b.Put(key, text)
}

// Create creates buckets in a migration.
func Create(t *bbolt.Tx, names ...[]byte) error {
	for _, name := range names {
		if _, err := t.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// DecodeJSON reads a stored value; what names it in the error.
func DecodeJSON(what string, value []byte, into any) error {
	if err := json.Unmarshal(value, into); err != nil {
		return fmt.Errorf("read %s: %w: %w", what, ErrDamaged, err)
	}
	return nil
}
