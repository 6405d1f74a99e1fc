package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The witness is a small file beside the store that says how far the store had
// come. A store that is behind its witness is an older copy, put in the place of the
// one that ran here last: it would send again what that one has sent (PITFALLS 20).
// It is written after every commit and never synced: after a power cut it may be
// behind the store, which is no harm, and never before it.
type generation struct {
	tag   string
	count uint64 // commits, as kept in the sequence of the bucket meta: a compaction keeps it
	last  uint64 // number of the newest sending
}

const (
	generationMagic = "campaignd store\n"
	generationBytes = len(generationMagic) + 8 + 8 + 8 + 16
)

func generationName(path string) string { return path + ".latest" }

func (w generation) encode() []byte {
	b := make([]byte, 0, generationBytes)
	b = append(b, generationMagic...)
	b = append(b, w.tag...)
	b = binary.BigEndian.AppendUint64(b, w.count)
	b = binary.BigEndian.AppendUint64(b, w.last)
	sum := sha256.Sum256(b)
	return append(b, sum[:16]...)
}

// readWitness is what the file says; the zero value if there is none, or none that can be read.
func readGeneration(path string) (generation, error) {
	b, err := os.ReadFile(generationName(path))
	if errors.Is(err, fs.ErrNotExist) {
		return generation{}, nil
	}
	if err != nil {
		return generation{}, fmt.Errorf("read witness: %w", err)
	}
	if len(b) != generationBytes {
		return generation{}, nil
	}
	at := b[len(generationMagic):]
	w := generation{tag: string(at[:8]), count: binary.BigEndian.Uint64(at[8:]), last: binary.BigEndian.Uint64(at[16:])}
	if !bytes.Equal(w.encode(), b) {
		return generation{}, nil
	}
	return w, nil
}

// stand is what the witness of the store as this transaction leaves it says.
func (t *tx) generation() generation {
	meta := t.bucket(bucketMeta)
	return generation{tag: string(meta.Get(metaTag)), count: meta.Sequence(), last: t.bucket(bucketSendings).Sequence()}
}

// step counts this transaction as a commit and returns what the witness is to say of it.
func (t *tx) advance() (generation, error) {
	meta := t.bucket(bucketMeta)
	err := meta.SetSequence(meta.Sequence() + 1)
	return t.generation(), err
}

// testify writes the witness. What it can't write is no failure of the commit: an older
// witness sees less, and is never wrong.
func (s *Store) writeGeneration(w generation) {
	if s.generation != nil {
		_, _ = s.generation.WriteAt(w.encode(), 0)
	}
}

// openWitness makes the file if there is none, and anew if it says nothing that can be read. On a full
// disk there is none until the next start.
func (s *Store) openGeneration(past generation) {
	flag := os.O_CREATE | os.O_RDWR
	if past == (generation{}) {
		flag |= os.O_TRUNC
	}
	f, err := os.OpenFile(generationName(s.path), flag, 0o600)
	if err != nil {
		return
	}
	s.generation = f
}

// behind says from what the store must have been restored if it is not the one of the last run here, or lacks
// something of it; "" if all is well.
func (w generation) behind(now generation, sendings bool) string {
	switch {
	case w == generation{} || !sendings:
		return ""
	case w.tag != now.tag:
		return "from another store than the one that ran here last"
	case now.count < w.count:
		return fmt.Sprintf("from an older copy, which lacks the last %d changes", w.count-now.count)
	}
	return ""
}
