package store

import (
	"bytes"
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
	"slices"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/safeio"
)

// Open opens the store at path, and creates it if there is no such file. It returns
// ErrLocked, ErrNewer or ErrDamaged, each with advice. An empty file : a lost
// store is never replaced by a new one.
func Open(path string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := newStore(path, opts)
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path, opts); err != nil {
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
	if err := s.openFile(); err != nil {
		return nil, err
	}
	_ = os.Remove(compactName(path)) // left by an interrupted compaction
	if err := s.ready(restored); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", path, err), s.Close())
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	if o.InitialMmapSize <= 0 {
		o.InitialMmapSize = 1 << 30
	}
	if o.Gather <= 0 {
		o.Gather = 500 * time.Microsecond
	}
	return o
}

func newStore(path string, opts Options) *Store {
	s := &Store{path: path, opts: opts, commitTx: (*bbolt.Tx).Commit, scans: scans{byNumber: map[uint64]*scan{}},
		guard: guard{ended: make(chan struct{})}}
	s.optOuts.Store(plainOptOuts())
	s.optOutFilter.Store(newOptOutFilter(0))
	return s
}

// ready migrates an opened file to the current version and loads the state kept in memory.
func (s *Store) ready(restored *trailer) error {
	version, err := s.version()
	if err != nil {
		return err
	}
	if err := migrate(s, version); err != nil {
		return err
	}
	s.pageSize = s.db.Info().PageSize
	if err := s.view(s.readTag); err != nil {
		return err
	}
	if err := s.checkRestored(restored); err != nil {
		return err
	}
	return s.view(func(t *tx) error {
		forgotten, _ := t.bucket(bucketForgotten).Cursor().First()
		if forgotten != nil {
			secret := bytes.Clone(t.bucket(bucketMeta).Get(metaForgetKey))
			s.forgetSecret.Store(&secret)
		}
		groups := t.optOutGroups()
		s.optOutGroups.Store(&groups)
		s.optOutFilter.Load().filled.Store(len(groups) == 0 && forgotten == nil)
		return nil
	})
}

func (s *Store) readTag(t *tx) error {
	s.tag = string(t.bucket(bucketMeta).Get(metaTag))
	if len(s.tag) != 8 {
		return fmt.Errorf("%w: it has no tag; %s", ErrDamaged, damagedAdvice)
	}
	return nil
}

// create makes a complete store under a temporary name and then renames it, so that a
// crash leaves either no store or a complete one.
func create(path string, opts Options) error {
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
	s := newStore(temp, opts)
	if err := s.openFile(); err != nil {
		return err
	}
	if err := errors.Join(migrate(s, 0), s.Close()); err != nil {
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
func (s *Store) openFile() (err error) {
	var file *os.File
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // reading pages of a truncated file faults
	defer func() {
		if p := recover(); p != nil {
			detail := ""
			if _, fault := p.(runtime.Error); !fault { // bbolt's own words; a fault's text helps nobody
				detail = fmt.Sprintf(" (%v)", p)
			}
			err = fmt.Errorf("open store %q: %w: its pages are cut off or overwritten%s; %s", s.path, ErrDamaged, detail, damagedAdvice)
		}
		if err != nil && file != nil {
			// After a panic bbolt's lock and map remain, and the map would keep the lock.
			unlock(file)
		}
	}()
	db, err := bbolt.Open(s.path, 0o600, &bbolt.Options{
		Timeout: s.opts.Timeout, FreelistType: bbolt.FreelistMapType, InitialMmapSize: s.opts.InitialMmapSize, NoSync: s.opts.NoSync,
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
		return fmt.Errorf("open store %q: %w: %s", s.path, ErrLocked, lockHolder(s.path))
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch),
		strings.Contains(err.Error(), "file size too small"):
		return fmt.Errorf("open store %q: %w: %w; %s", s.path, ErrDamaged, err, damagedAdvice)
	default:
		return fmt.Errorf("open store %q: %w", s.path, err)
	}
	size, err := checkComplete(db, file)
	if err != nil {
		return errors.Join(fmt.Errorf("open store %q: %w", s.path, err), db.Close())
	}
	s.db, s.guard.file = db, file
	s.guard.least.Store(size)
	return nil
}

// closeFile closes the file. In an abandoned store bbolt may still hold locks of the
// transaction that hit the missing page, so only the file is released.
func (s *Store) closeFile() error {
	if s.Err() != nil {
		unlock(s.guard.file)
		return nil
	}
	return s.db.Close()
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
func (s *Store) version() (version uint32, err error) {
	err = s.catchFaults(func() error {
		return s.db.View(func(t *bbolt.Tx) error {
			meta := t.Bucket(bucketMeta)
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

// migrations lists the steps from version i to i+1, one transaction each. Only append:
// today's binary opens a store of every earlier version.
func migrations() []func(*bbolt.Tx) error {
	return []func(*bbolt.Tx) error{makeBuckets, addDeliveries, markMaybeDelivered, packOptOuts, addReplies, addAttempts}
}

func migrate(s *Store, version uint32) error {
	steps := migrations()
	if int(version) > len(steps) {
		return fmt.Errorf("%w: its version is %d, this campaignd knows up to %d; install that version again, or restore a backup made before it",
			ErrNewer, version, len(steps))
	}
	for i := int(version); i < len(steps); i++ {
		err := s.update(func(t *tx) error {
			if err := steps[i](t.Tx); err != nil {
				return err
			}
			return t.bucket(bucketMeta).Put(metaVersion, binary.BigEndian.AppendUint32(nil, uint32(i+1)))
		})
		if err != nil {
			return fmt.Errorf("bring store to version %d: %w", i+1, err)
		}
	}
	return nil
}

// makeBuckets is the first migration: from an empty file to version 1.
func makeBuckets(t *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketSendings, bucketActive, bucketSlices, bucketCounts, bucketChunks, bucketStatuses,
		bucketOutcomes, bucketInFlight, bucketRefusals, bucketTimeline, bucketRetries, bucketWaiting, bucketSlots, bucketGrids,
		bucketDigests, bucketSuppressions, bucketAudit} {
		if _, err := t.CreateBucket(name); err != nil {
			return err
		}
	}
	return newTag(t.Bucket(bucketMeta))
}

// addDeliveries migrates version 1 to 2: receipts, and opt-outs under the normal form of
// a contact (campaign.ContactKey).
func addDeliveries(t *bbolt.Tx) error {
	for _, name := range [][]byte{bucketDeliveries, bucketReceiptCounts, bucketUnmatched} {
		if _, err := t.CreateBucket(name); err != nil {
			return err
		}
	}
	return rekeySuppressions(t)
}

// markMaybeDelivered migrates version 2 to 3. Version 2 didn't record whether an attempt may
// have been delivered, so any message that was attempted and isn't final may have been.
func markMaybeDelivered(t *bbolt.Tx) error {
	b := t.Bucket(bucketStatuses)
	changed := map[string][]byte{}
	if err := b.ForEach(func(k, v []byte) error {
		var fresh []byte
		for i, m := range v {
			status := campaign.MessageStatus(m)
			if o := status.Outcome(); o != campaign.Retrying && (o != campaign.Pending || status.Attempts() == 0) {
				continue
			}
			if fresh == nil {
				fresh = slices.Clone(v)
			}
			fresh[i] = byte(status.WithMaybeDelivered())
		}
		if fresh != nil {
			changed[string(k)] = fresh
		}
		return nil
	}); err != nil {
		return err
	}
	for k, v := range changed {
		if err := b.Put([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}

// addReplies migrates version 4 to 5.
func addReplies(t *bbolt.Tx) error {
	for _, name := range [][]byte{bucketReplies, bucketNewReplies} {
		if _, err := t.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// newTag gives the store a new random tag for the message keys of later sendings.
func newTag(meta interface{ Put(key, value []byte) error }) error {
	var tag [4]byte
	if _, err := rand.Read(tag[:]); err != nil {
		return fmt.Errorf("make tag: %w", err)
	}
	return meta.Put(metaTag, hex.AppendEncode(nil, tag[:]))
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
