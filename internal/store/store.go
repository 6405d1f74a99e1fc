package store

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/optout"
	"campaignd/internal/store/quota"
	"campaignd/internal/store/slots"
	"campaignd/internal/store/tables"
)

// Options configure Open. The zero value suits the daemon.
type Options struct {
	Timeout         time.Duration // how long to wait for another holder of the file; 0: 1s
	InitialMmapSize int           // address space mapped at once, about twice the expected file size; 0: 1 GiB
	Gather          time.Duration // how long a commit may wait for others to join, if others did the last time; 0: 500us
	NoSync          bool          // only for the power-cut test: commits don't reach the disk

	// Checked says that the log in NATS has nothing that a store of a cluster lacks. Such a store that
	// is opened without it is taken for a restored one: another hub may have gone on since.
	Checked bool
}

// file returns the options of the store's file.
func (o Options) file() db.Options {
	return db.Options{Timeout: o.Timeout, InitialMmapSize: o.InitialMmapSize, NoSync: o.NoSync, Checked: o.Checked}
}

// Store is an open store. Its methods are safe for concurrent use.
type Store struct {
	File
	*optout.Table     // opt-outs, user ids and forgotten contacts
	quota.Counters    // of contacts in 24 hours
	tables.Tables     // audit trail, records of drivers, ids of inboxes, uploads
	*inbound.Receipts // of messages
	inbound.Replies   // of recipients
	slots.Slots       // of applications

	db       *db.DB // File, for this package
	restored string // see Restored; set by Open, or by Hold before anything is sent

	group   committer
	scans   scans
	entries atomic.Uint64
}

// Open opens the store at path, and creates it if there is no such file. It returns
// ErrLocked, ErrNewer or ErrDamaged, each with advice.
func Open(path string, opts Options) (*Store, error) {
	file, err := db.Open(path, opts.file(), schema())
	if err != nil {
		return nil, err
	}
	s := &Store{File: file, db: file, Counters: quota.Open(file), Tables: tables.Open(file),
		Slots: slots.Open(file, ownerOf, func(t *db.Tx, n uint64) (*campaign.Sending, error) { return (&tx{Tx: t}).header(n) }), scans: scans{byNumber: map[uint64]*scan{}}}
	s.group.wait = cmp.Or(max(opts.Gather, 0), 500*time.Microsecond)
	file.Reopened = s.scans.forgetAll
	if err = s.holdRestored(); err == nil {
		s.Table, err = optout.Open(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", path, err), s.Close())
	}
	s.Receipts, s.Replies = inbound.Open(file, inbound.Sendings{Header: headerOrNil, EachChunk: s.EachChunk,
		Newest: func() ([]*campaign.Sending, error) { return s.Sendings(Filter{}) }}, s.Table)
	return s, nil
}

// view runs fn in a read transaction; see db.DB.View.
func (s *Store) view(fn func(*tx) error) error {
	return s.db.View(func(t *db.Tx) error { return fn(&tx{Tx: t, s: s}) })
}

// update runs fn once in the only write transaction and returns when it is durable. An error of
// fn leaves everything unchanged.
func (s *Store) update(fn func(*tx) error) error {
	return s.db.Update(func(t *db.Tx) error { return fn(&tx{Tx: t, s: s}) })
}

// tx is a transaction on the buckets of this package.
type tx struct {
	*db.Tx
	s *Store
}

// number returns the sequence part of id.
func number(id campaign.ID) (uint64, error) {
	n := id.Number()
	if n == 0 {
		return 0, fmt.Errorf("sending %q: %w", id, ErrNotFound)
	}
	return n, nil
}

func now() time.Time { return time.Now().UTC() }
