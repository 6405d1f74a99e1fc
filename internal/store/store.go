package store

import (
	"cmp"
	"errors"
	"fmt"
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
	*core
	File
	Acceptance
	Timeline
	*committer
	Recovery
	Retention
	slots.Slots       // reservations of applications
	*inbound.Receipts // of messages
	inbound.Replies   // of recipients
	*optout.Table     // opt-outs, user ids and forgotten contacts
	quota.Counters    // of contacts in 24 hours
	tables.Tables     // audit trail, records of drivers, ids of inboxes, uploads, notices

	restored string // see Restored; set by Open, or by Hold before anything is sent
}

// core runs transactions on the sendings. Every part of a Store that changes sendings has it.
type core struct {
	db    *db.DB
	scans scans
}

// Open opens the store at path, and creates it if there is no such file. It returns
// ErrLocked, ErrNewer or ErrDamaged, each with advice.
func Open(path string, opts Options) (*Store, error) {
	file, err := db.Open(path, opts.file(), schema())
	if err != nil {
		return nil, err
	}
	c := &core{db: file, scans: scans{byNumber: map[uint64]*scan{}}}
	s := &Store{core: c, File: file, Acceptance: Acceptance{c}, Timeline: Timeline{c}, Recovery: Recovery{c}, Retention: Retention{c},
		committer: &committer{core: c, wait: cmp.Or(max(opts.Gather, 0), 500*time.Microsecond)},
		Slots:     slots.Open(file, ownerOf, headerOrNil),
		Counters:  quota.Open(file), Tables: tables.Open(file)}
	file.Reopened = s.scans.forgetAll
	if err = s.holdRestored(); err == nil {
		s.Table, err = optout.Open(file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", path, err), s.Close())
	}
	s.Receipts, s.Replies = inbound.Open(file, inbound.Sendings{Header: headerOrNil, EachChunk: s.EachChunk, Resolve: s.resolveUnknown,
		Newest: func() ([]*campaign.Sending, error) { return s.Sendings(Filter{}) }}, s.Table)
	return s, nil
}

// view runs fn in a read transaction; see db.DB.View.
func (c *core) view(fn func(*tx) error) error {
	return c.db.View(func(t *db.Tx) error { return fn(&tx{Tx: t, s: c}) })
}

// update runs fn once in the only write transaction and returns when it is durable. An error of
// fn leaves everything unchanged.
func (c *core) update(fn func(*tx) error) error {
	return c.db.Update(func(t *db.Tx) error { return fn(&tx{Tx: t, s: c}) })
}

// tx is a transaction on the buckets of this package.
type tx struct {
	*db.Tx
	s *core
}

func now() time.Time { return time.Now().UTC() }
