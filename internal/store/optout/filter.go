package optout

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

const (
	// filterBits is the room of an opt-out in the filter: 15 MB for 10,000,000. Of contacts without an
	// opt-out, about one in a hundred is looked for in the store all the same.
	filterBits   = 12
	filterProbes = 6
	blockBits    = 512
	// minFilter is the number of opt-outs in the smallest layer, maxFilter in all: beyond it every
	// contact is looked for in the store.
	minFilter = 1 << 15
	maxFilter = 100_000_000
)

// filter answers from memory that a contact has not opted out and wasn't forgotten, as is so
// for most: a look at the store costs ten times as much. It has every key that an opt-out has or
// had, so its "perhaps" may be wrong, but never its "no".
//
// It is a Bloom filter in layers, each as large as all before it, because its final size isn't known.
// The bits of one key are in one block, which is a line of the processor's cache.
type filter struct {
	seed   maphash.Seed
	filled atomic.Bool // every opt-out is in it

	mu     sync.Mutex // held to add
	keys   int        // in all layers
	layers atomic.Pointer[[]*layer]
}

type layer struct {
	words []atomic.Uint64
	room  int // for more keys
}

// newFilter returns an empty filter whose first layer has room for n keys.
func newFilter(n int) *filter {
	f := &filter{seed: maphash.MakeSeed()}
	layers := []*layer{}
	if n > 0 {
		layers = append(layers, newLayer(n))
	}
	f.layers.Store(&layers)
	return f
}

func newLayer(n int) *layer {
	n = min(max(n, minFilter), maxFilter)
	return &layer{words: make([]atomic.Uint64, (n*filterBits/blockBits+1)*(blockBits/64)), room: n}
}

// add adds the key of an opt-out.
func (f *filter) add(parts ...[]byte) {
	hash := f.hash(parts)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys++; f.keys > maxFilter {
		f.filled.Store(false)
		return
	}
	layers := *f.layers.Load()
	if len(layers) == 0 || layers[len(layers)-1].room == 0 {
		layers = append(slices.Clip(layers), newLayer(f.keys))
		f.layers.Store(&layers)
	}
	last := layers[len(layers)-1]
	last.room--
	block, bits := last.place(hash)
	for range filterProbes {
		block[bits>>6&7].Or(1 << (bits & 63))
		bits >>= 9
	}
}

// mayHave reports whether the filter may have a key.
func (f *filter) mayHave(parts ...[]byte) bool {
	hash := f.hash(parts)
	return slices.ContainsFunc(*f.layers.Load(), func(l *layer) bool {
		block, bits := l.place(hash)
		for range filterProbes {
			if block[bits>>6&7].Load()&(1<<(bits&63)) == 0 {
				return false
			}
			bits >>= 9
		}
		return true
	})
}

func (f *filter) hash(parts [][]byte) uint64 {
	var h maphash.Hash
	h.SetSeed(f.seed)
	for _, p := range parts {
		_, _ = h.Write(p) // a hash never fails
	}
	return h.Sum64()
}

// place returns a key's block, and the bits in it: nine bits of the number are the place of one.
func (l *layer) place(hash uint64) (block []atomic.Uint64, bits uint64) {
	blocks := uint64(len(l.words)) / (blockBits / 64)
	at := (hash >> 32) * blocks >> 32 * (blockBits / 64)
	return l.words[at : at+blockBits/64], hash * 0x9e3779b97f4a7c15 >> 3
}

// FillOptOutFilter reads all opt-outs into a filter in memory, so that most look-ups don't cost a look
// at the store. Until it returns, and if it isn't called, OptedOut uses the store alone.
func (o *Table) FillOptOutFilter(ctx context.Context) error {
	n, err := o.OptOuts()
	if err != nil {
		return err
	}
	if secret := o.secret.Load(); n > maxFilter || secret != nil && len(*secret) != sha256.Size {
		return nil // the store says what is wrong with the latter
	}
	// What is added from here on is in the filter, what was added before is read.
	f := newFilter(int(n + n/8))
	o.db.Exclusively(func() { o.filter.Store(f) })
	err = o.db.EachPage(bucketOptOuts, nil, []byte{}, func(key, value []byte) error {
		_, _, prefix, ok := splitKey(key)
		if !ok {
			return fmt.Errorf("%w: %w", db.ErrDamaged, codec.ErrMalformed)
		}
		entries, err := decodeBlock(value)
		for i := range entries {
			f.add(prefix, entries[i].key)
		}
		return cmp.Or(err, ctx.Err())
	})
	if err == nil {
		err = o.db.EachPage(bucketForgotten, nil, []byte{}, func(key, _ []byte) error {
			f.add(key)
			return ctx.Err()
		})
	}
	if err != nil {
		return fmt.Errorf("read opt-outs into memory: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filled.Store(f.keys <= maxFilter)
	return nil
}
