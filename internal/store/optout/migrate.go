package optout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

// Until version 3 of the store each opt-out was a JSON value of its own. Version 1 had its key from the
// contact as it was written, later ones from campaign.ContactKey.

// Create is the part of the first migration: it makes the bucket of version 1.
func Create(t *bbolt.Tx) error {
	return db.Create(t, bucketSuppressions)
}

func keySuppression(one *OptOut) []byte {
	prefix := groupPrefix(nil, one.ApplicationID, one.ChannelType)
	return append(prefix, plainRules().key(nil, one.ApplicationID, one.ChannelType, []byte(one.ContactCode))...)
}

// Rekey migrates version 1 of the store to 2: it moves each opt-out to the key of version 2. Of two with the same key the first is kept.
func Rekey(t *bbolt.Tx) error {
	b := t.Bucket(bucketSuppressions)
	type move struct{ key, value []byte }
	moved := map[string]move{} // by the old key
	err := b.ForEach(func(k, v []byte) error {
		var one OptOut
		if err := db.DecodeJSON("opt-outs", v, &one); err != nil {
			return err
		}
		if key := keySuppression(&one); !bytes.Equal(k, key) {
			moved[string(k)] = move{key, bytes.Clone(v)}
		}
		return nil
	})
	for _, k := range slices.Sorted(maps.Keys(moved)) {
		if err == nil {
			err = b.Delete([]byte(k))
		}
		if m := moved[k]; err == nil && b.Get(m.key) == nil {
			err = b.Put(m.key, m.value)
		}
	}
	return err
}

// Pack migrates version 3 of the store to 4: opt-outs were one JSON value each, under the key of campaign.ContactKey.
func Pack(t *bbolt.Tx) error {
	if err := db.Create(t, bucketOptOuts, bucketOrigins, bucketForgotten); err != nil {
		return err
	}
	packed := t.Bucket(bucketOptOuts)
	packed.FillPercent = db.Dense
	p := packer{to: packed, from: t.Bucket(bucketOrigins), origins: map[origin]uint32{}}
	old := t.Bucket(bucketSuppressions)
	err := old.ForEach(func(k, v []byte) error { return p.add(k, v) })
	return errors.Join(err, p.flush(), packed.SetSequence(p.count), t.DeleteBucket(bucketSuppressions))
}

// packer packs the opt-outs of version 3, which come in order of key.
type packer struct {
	to, from *bbolt.Bucket
	origins  map[origin]uint32
	prefix   []byte
	entries  []entry
	first    bool // the next block is the first of its prefix
	count    uint64
}

func (p *packer) add(k, v []byte) error {
	var one OptOut
	if err := db.DecodeJSON("opt-outs", v, &one); err != nil {
		return err
	}
	prefix := groupPrefix(nil, one.ApplicationID, one.ChannelType)
	if !bytes.HasPrefix(k, prefix) {
		return fmt.Errorf("read opt-outs: %w: %w", db.ErrDamaged, codec.ErrMalformed)
	}
	if !bytes.Equal(prefix, p.prefix) || len(p.entries) == blockEntries {
		if err := p.flush(); err != nil {
			return err
		}
		p.first = !bytes.Equal(prefix, p.prefix)
		p.prefix = prefix
	}
	key := bytes.Clone(k[len(prefix):])
	came := origin{one.Source, one.At.UTC().Truncate(1e9)}
	n, known := p.origins[came]
	if !known {
		seq, err := p.from.NextSequence()
		if err != nil {
			return err
		}
		value, err := json.Marshal(came)
		if err != nil {
			return err
		}
		n = uint32(seq)
		p.origins[came] = n
		if err := p.from.Put(db.Key8(seq), value); err != nil {
			return err
		}
	}
	p.entries = append(p.entries, entry{key, n, spell(key, []byte(one.ContactCode))})
	p.count++
	return nil
}

func (p *packer) flush() error {
	if len(p.entries) == 0 {
		return nil
	}
	key := bytes.Clone(p.prefix)
	if !p.first {
		key = append(key, p.entries[0].key...)
	}
	value := encodeBlock(p.entries)
	p.entries = p.entries[:0]
	return p.to.Put(key, value)
}
