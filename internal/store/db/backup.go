package db

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

// A backup is the store's file as one read transaction saw it, followed by a trailer.
// It needs no second copy on disk, and the trailer identifies a restored store
// whatever its name.
const (
	trailerBytes = 4096
	trailerMagic = "campaignd backup\n"
)

// trailer ends a backup.
type trailer struct {
	at   time.Time
	size int64 // of the file without the trailer
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

// Backup writes a consistent copy of the store while it is in use. A store opened from
// that copy starts with every sending held and says why (docs/contract.md 12). w should
// be fast: pages freed meanwhile can't be reused.
func (d *DB) Backup(w io.Writer) error {
	d.wholeFile.RLock()
	defer d.wholeFile.RUnlock()
	err := d.View(func(t *Tx) error {
		size, err := t.WriteTo(w)
		if err != nil {
			return err
		}
		_, err = w.Write(trailer{at: time.Now().UTC(), size: size}.encode())
		return err
	})
	if err != nil {
		return fmt.Errorf("back up store: %w", err)
	}
	return nil
}

// restoredMark names a file that keeps the trailer while the sendings are being held.
// bbolt may overwrite the trailer before the transaction that holds them is committed.
func restoredMark(path string) string { return path + ".restored" }

// readTrailer returns the trailer at the end of the file or in the mark next to it, nil
// if there is none. An empty mark was made by a person; its trailer has no time.
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

// decodeTrailer decodes a trailer; it returns nil for any other bytes.
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

// removeTrailer clears the trailer where bbolt hasn't overwritten it, and then removes the mark.
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
		return fmt.Errorf("clear the trailer of a restored store: %w", err)
	}
	if err := safeio.SyncFile(path); err != nil {
		return err
	}
	if err := os.Remove(restoredMark(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return safeio.SyncDir(filepath.Dir(path))
}
