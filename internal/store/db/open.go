package db

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"campaignd/internal/failpoint"
	"campaignd/internal/safeio"
)

// Open opens the file at path, and creates it if there is none. It returns ErrLocked, ErrNewer or
// ErrDamaged, each with advice. An empty file is damaged: a lost store is never replaced by a new one.
func Open(path string, opts Options, schema Schema) (*DB, error) {
	opts = opts.withDefaults()
	d := newDB(path, opts, schema)
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path, opts, schema); err != nil {
			return nil, fmt.Errorf("make store %q: %w", path, err)
		}
	case err != nil:
		return nil, fmt.Errorf("open store: %w", err)
	case info.Size() == 0: // bbolt would create a new store in it
		return nil, fmt.Errorf("open store %q: %w: it is empty; %s", path, ErrDamaged, damagedAdvice)
	}
	restored, err := readTrailer(path)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	if err := d.openFile(); err != nil {
		return nil, err
	}
	_ = os.Remove(compactName(path)) // left by an interrupted compaction
	if err := d.ready(restored); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", path, err), d.Close())
	}
	return d, nil
}

func newDB(path string, opts Options, schema Schema) *DB {
	return &DB{path: path, opts: opts, schema: schema, CommitTx: (*bbolt.Tx).Commit, guard: guard{path: path, ended: make(chan struct{})}}
}

// ready migrates an opened file to the current version and finds out whether it was restored.
func (d *DB) ready(end *trailer) error {
	version, err := d.version()
	if err != nil {
		return err
	}
	if err := d.migrate(version); err != nil {
		return err
	}
	d.pageSize = d.bolt.Info().PageSize
	if err := d.View(d.readTag); err != nil {
		return err
	}
	return d.checkRestored(end)
}

func (d *DB) readTag(t *Tx) error {
	d.tag = string(t.Bucket(Meta).Get(metaTag))
	if len(d.tag) != 8 {
		return fmt.Errorf("%w: it has no tag; %s", ErrDamaged, damagedAdvice)
	}
	return nil
}

// create makes a complete store under a temporary name and then renames it, so that a
// crash leaves either no store or a complete one.
func create(path string, opts Options, schema Schema) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	opts.NoSync = false
	empty, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // bbolt creates the store in it
	if err != nil {
		return err
	}
	if err := empty.Close(); err != nil {
		return err
	}
	d := newDB(temp, opts, schema)
	if err := d.openFile(); err != nil {
		return err
	}
	if err := errors.Join(d.migrate(0), d.Close()); err != nil {
		return err
	}
	failpoint.At(failpoint.StoreMade)
	if err := os.Link(temp, path); err != nil { // fails if somebody else has made a store meanwhile
		return err
	}
	if err := os.Remove(temp); err != nil {
		return err
	}
	return safeio.SyncDir(filepath.Dir(path))
}

const damagedAdvice = "keep the file, and restore a backup or move the file away to begin a new store"

// openFile opens bbolt's file and converts its panics and errors. It never creates a
// file: in place of a lost one it would pass for an empty store.
func (d *DB) openFile() (err error) {
	var file *os.File
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // reading pages of a truncated file faults
	defer func() {
		if p := recover(); p != nil {
			detail := ""
			if _, fault := p.(runtime.Error); !fault { // bbolt's own words; a fault's text helps nobody
				detail = fmt.Sprintf(" (%v)", p)
			}
			err = fmt.Errorf("open store %q: %w: its pages are cut off or overwritten%s; %s", d.path, ErrDamaged, detail, damagedAdvice)
		}
		if err != nil && file != nil {
			// After a panic bbolt's lock and map remain, and the map would keep the lock.
			unlock(file)
		}
	}()
	db, err := bbolt.Open(d.path, 0o600, &bbolt.Options{
		Timeout: d.opts.Timeout, FreelistType: bbolt.FreelistMapType, InitialMmapSize: d.opts.InitialMmapSize, NoSync: d.opts.NoSync,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			if file == nil {
				file = f
			}
			return f, err
		},
	})
	switch {
	case err == nil:
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("open store %q: %w: %s", d.path, ErrLocked, lockHolder(d.path))
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch),
		strings.Contains(err.Error(), "file size too small"):
		return fmt.Errorf("open store %q: %w: %w; %s", d.path, ErrDamaged, err, damagedAdvice)
	default:
		return fmt.Errorf("open store %q: %w", d.path, err)
	}
	size, err := checkComplete(db, file)
	if err != nil {
		return errors.Join(fmt.Errorf("open store %q: %w", d.path, err), db.Close())
	}
	d.bolt, d.guard.file = db, file
	d.guard.least.Store(size)
	return nil
}

// closeFile closes the file. In an abandoned store bbolt may still hold locks of the
// transaction that hit the missing page, so only the file is released.
func (d *DB) closeFile() error {
	if d.Err() != nil {
		unlock(d.guard.file)
		return nil
	}
	return d.bolt.Close()
}

func unlock(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
	_ = file.Close()
}

// checkComplete refuses a file shorter than its meta page says, before a page beyond its
// end is read. size is the length according to the meta page.
func checkComplete(db *bbolt.DB, file *os.File) (size int64, err error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return size, db.View(func(t *bbolt.Tx) error {
		if size = t.Size(); info.Size() < size {
			return fmt.Errorf("%w: it is cut off at %d of %d bytes; %s", ErrDamaged, info.Size(), size, damagedAdvice)
		}
		return nil
	})
}

// version returns the schema version of the file.
func (d *DB) version() (version uint32, err error) {
	err = d.guard.catchFaults(func() error {
		return d.bolt.View(func(t *bbolt.Tx) error {
			meta := t.Bucket(Meta)
			if meta == nil {
				return fmt.Errorf("%w: it is not a store of campaignd; %s", ErrDamaged, damagedAdvice)
			}
			value := meta.Get(metaVersion)
			if len(value) != 4 {
				return fmt.Errorf("%w: it has no version; %s", ErrDamaged, damagedAdvice)
			}
			version = binary.BigEndian.Uint32(value)
			return nil
		})
	})
	return version, err
}

// migrate brings the file from a version to the current one.
func (d *DB) migrate(version uint32) error {
	steps := d.schema.Migrations
	if int(version) > len(steps) {
		return fmt.Errorf("%w: its version is %d, this campaignd knows up to %d; install that version again, or restore a backup made before it",
			ErrNewer, version, len(steps))
	}
	for i := int(version); i < len(steps); i++ {
		err := d.Update(func(t *Tx) error {
			if i == 0 {
				if err := makeMeta(t.Tx); err != nil {
					return err
				}
			}
			if err := steps[i](t.Tx); err != nil {
				return err
			}
			return t.Bucket(Meta).Put(metaVersion, binary.BigEndian.AppendUint32(nil, uint32(i+1)))
		})
		if err != nil {
			return fmt.Errorf("bring store to version %d: %w", i+1, err)
		}
	}
	return nil
}

// makeMeta begins an empty file.
func makeMeta(t *bbolt.Tx) error {
	meta, err := t.CreateBucket(Meta)
	if err != nil {
		return err
	}
	_, err = newTag(meta)
	return err
}

// newTag gives the file a new random tag for the message keys of later sendings, and returns it.
func newTag(meta interface{ Put(key, value []byte) error }) (string, error) {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make tag: %w", err)
	}
	tag := hex.EncodeToString(random[:])
	return tag, meta.Put(metaTag, []byte(tag))
}

// lockHolder names the process that has the file open, or tells how to find it.
func lockHolder(path string) string {
	const how = `stop the other campaignd, or ask "fuser -v" who has the file open`
	info, err := os.Stat(path)
	if err != nil {
		return how
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return how
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return how
	}
	inode := fmt.Sprintf(":%d", stat.Ino)
	for line := range strings.Lines(string(locks)) {
		f := strings.Fields(line) // 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END
		if len(f) < 6 || f[1] != "FLOCK" || !strings.HasSuffix(f[5], inode) {
			continue
		}
		name := "a process"
		if comm, err := os.ReadFile("/proc/" + f[4] + "/comm"); err == nil {
			name = strings.TrimSpace(string(comm))
		}
		return fmt.Sprintf("%s with process id %s holds it; stop that one first", name, f[4])
	}
	return how
}
