package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"campaignd/internal/safeio"
)

// A backup is the store's file as one read transaction saw it, followed by one
// trailer: so it needs no second copy on disk, and what is opened with the
// trailer at its end is known to be a restored one, whatever it is named.
const (
	trailerBytes = 4096
	trailerMagic = "campaignd backup\n"
)

// trailer is the end of a backup.
type trailer struct {
	at   time.Time
	size int64 // of the file without it
}

func (b trailer) encode() []byte {
	out := make([]byte, 0, trailerBytes)
	out = append(out, trailerMagic...)
	out = binary.BigEndian.AppendUint64(out, uint64(b.at.UnixNano()))
	out = binary.BigEndian.AppendUint64(out, uint64(b.size))
	sum := sha256.Sum256(out)
	out = append(out, sum[:]...)
	return out[:trailerBytes]
}

// Backup writes a consistent copy of the store while it is in use. The copy is
// marked: opened as a store, it starts with every sending held and says why
// (SPEC 12). Its writer should be quick, since what is freed meanwhile can't be used again.
func (s *Store) Backup(w io.Writer) error {
	s.wholeFile.RLock()
	defer s.wholeFile.RUnlock()
	err := s.view(func(t *tx) error {
		size, err := t.WriteTo(w)
		if err != nil {
			return err
		}
		_, err = w.Write(trailer{at: now(), size: size}.encode())
		return err
	})
	if err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	return nil
}

// restoredMark is a file beside the store that stands in for the trailer while the
// sendings are being held: bbolt's own pages may come to lie over the trailer
// before the transaction that holds them is committed.
func restoredMark(path string) string { return path + ".restored" }

// readTrailer is the trailer at the end of the file or in the mark beside it, nil if there is
// none. A mark without a trailer in it is one that a person made: that has no time.
func readTrailer(path string) (*trailer, error) {
	if end, err := os.ReadFile(restoredMark(path)); err == nil {
		if b := decodeTrailer(end); b != nil {
			return b, nil
		}
		return &trailer{}, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < trailerBytes {
		return nil, nil
	}
	end := make([]byte, trailerBytes)
	if _, err := f.ReadAt(end, info.Size()-trailerBytes); err != nil {
		return nil, err
	}
	b := decodeTrailer(end)
	if b == nil || b.size != info.Size()-trailerBytes {
		return nil, nil
	}
	return b, safeio.WriteFile(restoredMark(path), 0o600, func(w io.Writer) error {
		_, err := w.Write(end)
		return err
	})
}

// decodeTrailer is the trailer that these bytes are, nil if they are none.
func decodeTrailer(end []byte) *trailer {
	if len(end) != trailerBytes || !bytes.HasPrefix(end, []byte(trailerMagic)) {
		return nil
	}
	n := len(trailerMagic)
	b := trailer{
		at:   time.Unix(0, int64(binary.BigEndian.Uint64(end[n:]))).UTC(),
		size: int64(binary.BigEndian.Uint64(end[n+8:])),
	}
	if !bytes.Equal(b.encode(), end) {
		return nil
	}
	return &b
}

// removeTrailer wipes the trailer where it still stands (bbolt may have written
// over it or behind it), and then the mark.
func removeTrailer(path string, b trailer) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if b.size > 0 {
		there := make([]byte, trailerBytes)
		_, err = f.ReadAt(there, b.size)
		if err == nil && bytes.Equal(there, b.encode()) {
			_, err = f.WriteAt(make([]byte, trailerBytes), b.size)
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("unmark restored store: %w", err)
	}
	if err := safeio.SyncFile(path); err != nil {
		return err
	}
	if err := os.Remove(restoredMark(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return safeio.SyncDir(filepath.Dir(path))
}
