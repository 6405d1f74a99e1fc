// Package media keeps the files that campaigns send: the images, videos and documents that
// an item names with "file" (docs/contract.md 6).
//
// The operator puts them into campaigns_dir. At acceptance the content of each is copied into
// the state folder under its SHA-256, so that a sending sends what it was accepted with,
// whatever happens to the file. Collect removes copies that no sending needs any more.
//
// It knows neither types nor limits, which are the channel's, and uploads nothing. It is a
// room of its own because intake copies files, drivers read them, and the daemon collects
// them. Names are hostile: only a plain name of a regular file with one link is opened.
package media

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/campaign"
	"campaignd/internal/keylock"
	"campaignd/internal/safeio"
)

// ErrGone is returned when the content that a sending was accepted with is nowhere any more.
var ErrGone = errors.New("is not there any more as it was when the drop was accepted")

// errChanged is returned when a file was written to while it was read.
var errChanged = errors.New("changed while it was read")

// Files are the files of one campaigns_dir and their copies. It is safe for concurrent use.
type Files struct {
	campaigns func() string // returns campaigns_dir
	copies    string        // folder of the copies; "": none are made
	uploads   keylock.Locks[string]

	mu     sync.Mutex // guards hashes
	hashes map[campaign.FileID]string
}

// New returns the files of the folder that campaigns returns, which a reload may change, with
// copies in the folder copies. That is made when it is needed; "" makes none. It does no I/O.
func New(campaigns func() string, copies string) *Files {
	return &Files{campaigns: campaigns, copies: copies, hashes: map[campaign.FileID]string{}}
}

// checkName refuses what isn't the plain name of a file.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("has an empty name")
	case strings.ContainsAny(name, `/\`):
		return errors.New("must be a name without a folder: files are in campaigns_dir itself")
	case strings.HasPrefix(name, "."):
		return errors.New("begins with a dot, so it is ignored")
	case len(name) > 255 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("has a name that no file can have")
	}
	return nil
}

// Open opens a file of campaigns_dir. The caller closes it. The error begins with a verb and
// names neither file nor folder.
func (f *Files) Open(name string) (*os.File, int64, error) {
	if err := checkName(name); err != nil {
		return nil, 0, err
	}
	file, info, err := safeio.OpenRegular(filepath.Join(f.campaigns(), name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, errors.New("is not in campaigns_dir")
	case errors.Is(err, fs.ErrPermission):
		return nil, 0, errors.New("can't be read: campaignd's user lacks the permission")
	case errors.Is(err, safeio.ErrLink), errors.Is(err, safeio.ErrNotRegular), errors.Is(err, safeio.ErrHardLinked):
		return nil, 0, errors.New("is a link or not a regular file")
	case err != nil:
		return nil, 0, fmt.Errorf("can't be read: %w", err)
	}
	return file, info.Size(), nil
}

// Hash returns the SHA-256 of an open file of campaigns_dir in hex. It remembers the hashes of
// files that don't change.
func (f *Files) Hash(file *os.File) (string, error) {
	before, err := file.Stat()
	if err != nil {
		return "", err
	}
	id := safeio.FileID(before)
	f.mu.Lock()
	known := f.hashes[id]
	f.mu.Unlock()
	if known != "" {
		return known, nil
	}
	sum, err := hashOf(file)
	if err != nil {
		return "", err
	}
	after, err := file.Stat()
	switch {
	case err != nil:
		return "", err
	case safeio.FileID(after) != id:
		return "", errChanged
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.hashes) >= maxHashes {
		clear(f.hashes)
	}
	f.hashes[id] = sum
	return sum, nil
}

// maxHashes bounds the hashes that are remembered.
const maxHashes = 1000

func hashOf(file *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(file, 0, 1<<62)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Keep copies the content of files durably, unless it is kept already. Until a sending that
// names them is stored, Collect spares the copies for a day.
func (f *Files) Keep(files []campaign.MediaFile) error {
	for _, m := range files {
		if err := f.keep(m); err != nil {
			return fmt.Errorf("keep the file %q: %w", m.Name, err)
		}
	}
	return nil
}

func (f *Files) keep(m campaign.MediaFile) error {
	target := f.path(m)
	now := time.Now()
	if info, err := os.Stat(target); err == nil && info.Size() == m.Size {
		return os.Chtimes(target, now, now) // Collect goes by the time
	}
	file, _, err := f.Open(m.Name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := f.makeFolder(); err != nil {
		return err
	}
	return safeio.WriteFile(target, 0o640, func(w io.Writer) error {
		h := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(file, m.Size+1)); err != nil {
			return err
		}
		if hex.EncodeToString(h.Sum(nil)) != m.SHA256 {
			return errChanged
		}
		return nil
	})
}

// makeFolder makes the folder of the copies durably.
func (f *Files) makeFolder() error {
	if err := os.Mkdir(f.copies, 0o750); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return safeio.SyncDir(filepath.Dir(f.copies))
}

func (f *Files) path(m campaign.MediaFile) string { return filepath.Join(f.copies, m.SHA256) }

// Content opens the content that a sending was accepted with: its copy or, where that is
// lost, the file of campaigns_dir if it is still the same. The error is ErrGone if neither
// is there. The caller closes the file.
func (f *Files) Content(m campaign.MediaFile) (*os.File, error) {
	if f.copies != "" {
		if file, info, err := safeio.OpenRegular(f.path(m)); err == nil {
			if info.Size() == m.Size {
				return file, nil
			}
			_ = file.Close() // read only
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	file, size, err := f.Open(m.Name)
	if err != nil {
		return nil, ErrGone
	}
	if sum, err := f.Hash(file); err != nil || size != m.Size || sum != m.SHA256 {
		_ = file.Close() // read only
		return nil, errors.Join(ErrGone, err)
	}
	return file, nil
}

// Lock serializes the uploads to one account of a receiver, so that channels and sendings
// share them. The error is that of ctx.
func (f *Files) Lock(ctx context.Context, account string) (unlock func(), err error) {
	return f.uploads.LockContext(ctx, account)
}

// Collect removes the copies that were made or kept before an instant and whose SHA-256 isn't in
// what needed returns. It calls needed only if there are such copies. It returns the number of
// removed ones.
func (f *Files) Collect(needed func() (map[string]bool, error), before time.Time) (removed int, err error) {
	entries, err := os.ReadDir(f.copies)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("list copies of media files: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		info, err := e.Info()
		return err != nil || !info.Mode().IsRegular() || !info.ModTime().Before(before)
	})
	if len(entries) == 0 {
		return 0, nil
	}
	keep, err := needed()
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if keep[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(f.copies, e.Name())); err != nil {
			return removed, fmt.Errorf("remove a copy of a media file: %w", err)
		}
		removed++
	}
	return removed, nil
}
