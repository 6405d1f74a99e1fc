package optout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"go.etcd.io/bbolt"

	"campaignd/internal/store/db"
)

// A block's key is its prefix (application, channel, 0) and the lowest contact that it may
// hold. The first block of a prefix has nothing after it, so every contact has its block.

// findBlock returns the key and value of the block for a contact, and the key of the next
// block of the same prefix; all nil where there is none.
func findBlock(t *db.Tx, prefix, contact []byte) (key, value, next []byte) {
	c := t.Bucket(bucketOptOuts).Cursor()
	wanted := append(append(make([]byte, 0, len(prefix)+len(contact)), prefix...), contact...)
	k, v := c.Seek(wanted)
	if !bytes.Equal(k, wanted) {
		if k == nil {
			k, v = c.Last()
		} else {
			k, v = c.Prev()
		}
	}
	if !bytes.HasPrefix(k, prefix) {
		return nil, nil, nil
	}
	key, value = k, v
	if k, _ = c.Next(); bytes.HasPrefix(k, prefix) {
		next = k
	}
	return key, value, next
}

// optedOut reports whether a contact, in its normal form, has an opt-out.
func optedOut(b *bbolt.Bucket, application int64, channelType string, contact []byte) (bool, error) {
	var buf [128]byte
	prefix := groupPrefix(buf[:0], application, channelType)
	wanted := append(prefix, contact...)
	c := b.Cursor()
	k, v := c.Seek(wanted)
	if !bytes.Equal(k, wanted) {
		if k == nil {
			k, v = c.Last()
		} else {
			k, v = c.Prev()
		}
	}
	if !bytes.HasPrefix(k, prefix) {
		return false, nil
	}
	return blockHas(v, contact)
}

// merger adds opt-outs in one transaction.
type merger struct {
	t       *db.Tx
	filter  *filter
	max     uint64
	origins map[origin]uint32 // stored by this transaction
	added   int
}

// add merges sorted changes into the blocks, and returns those for which the transaction has
// no room any more.
func (m *merger) add(changes []change) (left []change, err error) {
	for blocks := 0; len(changes) > 0 && blocks < commitBlocks; {
		prefix := changes[0].prefix
		key, value, next := findBlock(m.t, prefix, changes[0].key)
		if key == nil {
			key = prefix
		}
		n := 0
		for n < len(changes) && bytes.Equal(changes[n].prefix, prefix) &&
			(next == nil || bytes.Compare(changes[n].key, next[len(prefix):]) < 0) && n < commitBlocks*blockEntries {
			n++
		}
		written, err := m.merge(bytes.Clone(key), prefix, value, changes[:n])
		if err != nil {
			return nil, err
		}
		blocks += max(written, 1)
		changes = changes[n:]
	}
	return changes, m.count()
}

// count adds the new opt-outs to the number of all.
func (m *merger) count() error {
	if m.added == 0 {
		return nil
	}
	b := m.t.Bucket(bucketOptOuts)
	total := b.Sequence() + uint64(m.added)
	if m.max > 0 && total > m.max {
		return fmt.Errorf("%w (%d)", ErrTooManyOptOuts, m.max)
	}
	return b.SetSequence(total)
}

// merge adds changes to one block, and returns how many blocks were written.
func (m *merger) merge(key, prefix, value []byte, changes []change) (int, error) {
	var old []entry
	if value != nil {
		var err error
		if old, err = decodeBlock(value); err != nil {
			return 0, err
		}
	}
	merged := make([]entry, 0, len(old)+len(changes))
	before := m.added
	for i := range changes {
		c := &changes[i]
		for len(old) > 0 && bytes.Compare(old[0].key, c.key) < 0 {
			merged, old = append(merged, old[0]), old[1:]
		}
		known := len(old) > 0 && bytes.Equal(old[0].key, c.key) || len(merged) > 0 && bytes.Equal(merged[len(merged)-1].key, c.key)
		if known {
			continue
		}
		number, err := m.origin(c)
		if err != nil {
			return 0, err
		}
		merged = append(merged, entry{c.key, number, c.spelling})
		m.filter.add(prefix, c.key) // before it is durable: the filter may have too much
		m.added++
	}
	if m.added == before {
		return 0, nil
	}
	return putBlock(m.t, key, prefix, append(merged, old...))
}

func (m *merger) origin(c *change) (uint32, error) {
	if c.number != 0 {
		return c.number, nil
	}
	if n, ok := m.origins[c.origin]; ok {
		return n, nil
	}
	b := m.t.Ascending(bucketOrigins)
	n, err := b.NextSequence()
	if err != nil {
		return 0, err
	}
	if n > math.MaxUint32 {
		return 0, errors.New("store the origin of an opt-out: their numbers are used up")
	}
	value, err := json.Marshal(c.origin)
	if err != nil {
		return 0, err
	}
	m.origins[c.origin] = uint32(n)
	return uint32(n), b.Put(db.Key8(n), value)
}

// putBlock writes the entries of a block, in several blocks of about the same size if they
// are too many for one, and returns how many blocks it wrote. The first block of a prefix
// stays even if it is empty.
func putBlock(t *db.Tx, key, prefix []byte, entries []entry) (int, error) {
	b := t.Ascending(bucketOptOuts)
	blocks := (len(entries) + blockEntries - 1) / blockEntries
	if blocks == 0 && len(key) > len(prefix) {
		return 1, b.Delete(key)
	}
	blocks = max(blocks, 1)
	for i := range blocks {
		part := entries[len(entries)*i/blocks : len(entries)*(i+1)/blocks]
		if i > 0 {
			key = append(bytes.Clone(prefix), part[0].key...)
		}
		if err := b.Put(key, encodeBlock(part)); err != nil {
			return 0, err
		}
	}
	return blocks, nil
}

// remove removes one opt-out and reports whether it existed.
func remove(t *db.Tx, prefix, contact []byte) (bool, error) {
	key, value, _ := findBlock(t, prefix, contact)
	if key == nil {
		return false, nil
	}
	entries, err := decodeBlock(value)
	if err != nil {
		return false, err
	}
	for i := range entries {
		if !bytes.Equal(entries[i].key, contact) {
			continue
		}
		b := t.Bucket(bucketOptOuts)
		if err := b.SetSequence(b.Sequence() - min(b.Sequence(), 1)); err != nil {
			return false, err
		}
		_, err := putBlock(t, bytes.Clone(key), prefix, append(entries[:i:i], entries[i+1:]...))
		return true, err
	}
	return false, nil
}
