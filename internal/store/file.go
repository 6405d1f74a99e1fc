package store

import (
	"context"
	"io"

	"campaignd/internal/store/db"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/optout"
	"campaignd/internal/store/quota"
	"campaignd/internal/store/slots"
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

// What package inbound has for others.
type (
	Receipt        = inbound.Receipt
	ReceiptResult  = inbound.ReceiptResult
	Reply          = inbound.Reply
	NewReply       = inbound.NewReply
	MatchedReplies = inbound.MatchedReplies
)

// Share holds the messages that a sending has reserved in a slot.
type Share = slots.Share

// Contacts counts the contacts of a moving 24 hours; see quota.Contacts.
type Contacts = quota.Contacts

// What package tables has for others.
type (
	AuditEntry = tables.AuditEntry
	Request    = tables.Request
	Notice     = tables.Notice
)

// ErrTooManyOptOuts is returned when an opt-out would exceed OptOutRules.Max.
var ErrTooManyOptOuts = optout.ErrTooManyOptOuts

// OpenFollower opens the file at path as a copy; see db.OpenFollower.
func OpenFollower(path string, opts Options) (*Follower, error) {
	return db.OpenFollower(path, opts.file(), schema())
}

// File is the store's file, as far as others may use it: package db has it.
type File interface {
	// Tag returns the store's random tag: 8 hex digits, part of every message key.
	Tag() string
	// Close waits for running transactions and releases the file.
	Close() error
	// Ended is closed when the store is abandoned because its file was truncated while open or can't be synced.
	// Every method returns Err from then on, and the process should end.
	Ended() <-chan struct{}
	// Err returns the ErrDamaged or ErrUnsynced for which the store was abandoned, or nil.
	Err() error
	// Writable returns why the last write failed, nil if it succeeded; see db.DB.Writable.
	Writable() error
	// Backup writes a consistent copy of the store while it is in use; see db.DB.Backup. A store opened
	// from that copy starts with every sending held and says why (docs/contract.md 12).
	Backup(w io.Writer) error
	// Compact returns the store's free space to the disk; see db.DB.Compact.
	Compact(ctx context.Context) (Compacted, error)
	// Compacting reports whether a compaction makes every write wait.
	Compacting() bool
	// Replicate makes every commit from here on wait for log as well as for the disk; see db.DB.Replicate.
	Replicate(log Log, epoch uint64) error
	// Position returns the store's position.
	Position() (Position, error)
	// Snapshot copies the store's file for a follower; see db.DB.Snapshot.
	Snapshot(urgent bool, begin func(at Position, size int64) error, chunk func(packed []byte) error) error
}
