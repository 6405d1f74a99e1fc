package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"go.etcd.io/bbolt"
)

// A block's key is its prefix (application, channel, 0) and the lowest contact that it may
// hold. The first block of a prefix has nothing after it, so every contact has its block.

// optOutBlock returns the key and value of the block for a contact, and the key of the next
// block of the same prefix; all nil where there is none.
func (t *tx) optOutBlock(prefix, contact []byte) (key, value, next []byte) {
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
	prefix := optOutPrefix(buf[:0], application, channelType)
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
	return hasOptOut(v, contact)
}

// optOutMerger adds opt-outs in one transaction.
type optOutMerger struct {
	t       *tx
	max     uint64
	origins map[origin]uint32 // stored by this transaction
	added   int
}

// add merges sorted changes into the blocks, and returns those for which the transaction has
// no room any more.
func (m *optOutMerger) add(changes []optOutChange) (left []optOutChange, err error) {
	for blocks := 0; len(changes) > 0 && blocks < optOutCommit; {
		prefix := changes[0].prefix
		key, value, next := m.t.optOutBlock(prefix, changes[0].key)
		if key == nil {
			key = prefix
		}
		n := 0
		for n < len(changes) && bytes.Equal(changes[n].prefix, prefix) &&
			(next == nil || bytes.Compare(changes[n].key, next[len(prefix):]) < 0) && n < optOutCommit*blockOptOuts {
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
func (m *optOutMerger) count() error {
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
func (m *optOutMerger) merge(key, prefix, value []byte, changes []optOutChange) (int, error) {
	var old []optOutEntry
	if value != nil {
		var err error
		if old, err = decodeOptOuts(value); err != nil {
			return 0, err
		}
	}
	merged := make([]optOutEntry, 0, len(old)+len(changes))
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
		merged = append(merged, optOutEntry{c.key, number, c.spelling})
		m.t.s.optOutFilter.Load().add(prefix, c.key) // before it is durable: the filter may have too much
		m.added++
	}
	if m.added == before {
		return 0, nil
	}
	return m.t.putOptOuts(key, prefix, append(merged, old...))
}

func (m *optOutMerger) origin(c *optOutChange) (uint32, error) {
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
		return 0, fmt.Errorf("store the origin of an opt-out: %w", errLayout)
	}
	value, err := json.Marshal(c.origin)
	if err != nil {
		return 0, err
	}
	m.origins[c.origin] = uint32(n)
	return uint32(n), b.Put(key8(n), value)
}

// putOptOuts writes the entries of a block, in several blocks of about the same size if they
// are too many for one, and returns how many blocks it wrote. The first block of a prefix
// stays even if it is empty.
func (t *tx) putOptOuts(key, prefix []byte, entries []optOutEntry) (int, error) {
	b := t.Ascending(bucketOptOuts)
	blocks := (len(entries) + blockOptOuts - 1) / blockOptOuts
	if blocks == 0 && len(key) > len(prefix) {
		return 1, b.Delete(key)
	}
	blocks = max(blocks, 1)
	for i := range blocks {
		part := entries[len(entries)*i/blocks : len(entries)*(i+1)/blocks]
		if i > 0 {
			key = append(bytes.Clone(prefix), part[0].key...)
		}
		if err := b.Put(key, encodeOptOuts(part)); err != nil {
			return 0, err
		}
	}
	return blocks, nil
}

// removeOptOut removes one opt-out and reports whether it existed.
func (t *tx) removeOptOut(prefix, contact []byte) (bool, error) {
	key, value, _ := t.optOutBlock(prefix, contact)
	if key == nil {
		return false, nil
	}
	entries, err := decodeOptOuts(value)
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
		_, err := t.putOptOuts(bytes.Clone(key), prefix, append(entries[:i:i], entries[i+1:]...))
		return true, err
	}
	return false, nil
}
