package db

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// The generation file is a small file next to the store that repeats the store's commit
// count. A store behind its generation file is an older copy that replaced the one that
// ran here last: it would send again what that one has sent. The file is written after
// every commit and never synced. After a power cut it may be behind the store, which does
// no harm, and never ahead of it.
type generation struct {
	tag   string
	count uint64 // commits: the sequence of the bucket meta, which a compaction keeps
	last  uint64 // highest number given out: the sequence of Schema.Numbered
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

// readGeneration reads the generation file; the zero value if it is missing or unreadable.
func readGeneration(path string) (generation, error) {
	b, err := os.ReadFile(generationName(path))
	if errors.Is(err, fs.ErrNotExist) {
		return generation{}, nil
	}
	if err != nil {
		return generation{}, fmt.Errorf("read generation file: %w", err)
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

// generation returns the generation of the store after this transaction.
func (t *Tx) generation() generation {
	meta := t.Bucket(Meta)
	return generation{tag: string(meta.Get(metaTag)), count: meta.Sequence(), last: t.Bucket(t.db.schema.Numbered).Sequence()}
}

// advance counts this transaction as a commit and returns the new generation.
func (t *Tx) advance() (generation, error) {
	meta := t.Bucket(Meta)
	err := meta.SetSequence(meta.Sequence() + 1)
	return t.generation(), err
}

// writeGeneration writes the generation file. An error doesn't fail the commit: an older
// generation detects less, and is never wrong.
func (d *DB) writeGeneration(w generation) {
	if d.generation != nil {
		_, _ = d.generation.WriteAt(w.encode(), 0)
	}
}

// openGeneration creates the file if it is missing, and empties it if it is unreadable. On
// a full disk there is none until the next start.
func (d *DB) openGeneration(past generation) {
	flag := os.O_CREATE | os.O_RDWR
	if past == (generation{}) {
		flag |= os.O_TRUNC
	}
	f, err := os.OpenFile(generationName(d.path), flag, 0o600)
	if err != nil {
		return
	}
	d.generation = f
}

// behind returns where the store must have been restored from, if it isn't the one of the
// last run here or lacks some of its changes; else "".
func (w generation) behind(now generation, some bool) string {
	switch {
	case w == generation{} || !some:
		return ""
	case w.tag != now.tag:
		return "from another store than the one that ran here last"
	case now.count < w.count:
		if n := w.count - now.count; n > 1 {
			return fmt.Sprintf("from an older copy, which lacks the last %d changes", n)
		}
		return "from an older copy, which lacks the last change"
	}
	return ""
}
