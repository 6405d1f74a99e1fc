package store

import (
	"context"
	"io"

	"campaignd/internal/store/db"
	"campaignd/internal/store/optout"
	"campaignd/internal/store/quota"
	"campaignd/internal/store/tables"
)

// What the store's file does for others, as package db says.
type (
	Position  = db.Position
	Log       = db.Log
	Follower  = db.Follower
	Base      = db.Base
	Compacted = db.Compacted
)

// What package optout has for others.
type (
	OptOut      = optout.OptOut
	OptOutRules = optout.Rules
	Place       = optout.Place
)

// Contacts counts the contacts of a moving 24 hours; see quota.Contacts.
type Contacts = quota.Contacts

// What package tables has for others.
type (
	AuditEntry = tables.AuditEntry
	Request    = tables.Request
)

// ErrTooManyOptOuts is returned when an opt-out would exceed OptOutRules.Max.
var ErrTooManyOptOuts = optout.ErrTooManyOptOuts

// OpenFollower opens the file at path as a copy; see db.OpenFollower.
func OpenFollower(path string, opts Options) (*Follower, error) {
	return db.OpenFollower(path, opts.file(), schema())
}

// Ended is closed when the store is abandoned because its file was truncated while open or can't be synced.
// Every method returns Err from then on, and the process should end.
func (s *Store) Ended() <-chan struct{} { return s.db.Ended() }

// Err returns the ErrDamaged or ErrUnsynced for which the store was abandoned, or nil.
func (s *Store) Err() error { return s.db.Err() }

// Writable returns why the last write failed, nil if it succeeded; see db.DB.Writable.
func (s *Store) Writable() error { return s.db.Writable() }

// Backup writes a consistent copy of the store while it is in use; see db.DB.Backup. A store opened
// from that copy starts with every sending held and says why (docs/contract.md 12).
func (s *Store) Backup(w io.Writer) error { return s.db.Backup(w) }

// Compact returns the store's free space to the disk; see db.DB.Compact.
func (s *Store) Compact(ctx context.Context) (Compacted, error) { return s.db.Compact(ctx) }

// Compacting reports whether a compaction makes every write wait.
func (s *Store) Compacting() bool { return s.db.Compacting() }

// Replicate makes every commit from here on wait for log as well as for the disk; see db.DB.Replicate.
func (s *Store) Replicate(log Log, epoch uint64) error { return s.db.Replicate(log, epoch) }

// Position returns the store's position.
func (s *Store) Position() (Position, error) { return s.db.Position() }

// Snapshot copies the store's file for a follower; see db.DB.Snapshot.
func (s *Store) Snapshot(urgent bool, begin func(at Position, size int64) error, chunk func(packed []byte) error) error {
	return s.db.Snapshot(urgent, begin, chunk)
}
