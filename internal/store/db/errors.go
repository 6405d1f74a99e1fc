package db

import "errors"

// Errors that callers tell apart with errors.Is.
var (
	// ErrLocked is returned when another process has the store open.
	ErrLocked = errors.New("the store is open in another process")
	// ErrNewer is returned when a later version of campaignd has written the store.
	ErrNewer = errors.New("the store was written by a later version of campaignd")
	// ErrDamaged is returned when the file is not a complete store. It is left unchanged.
	ErrDamaged = errors.New("the store is damaged")
	// ErrBusy is returned while another operation reads or replaces the whole file.
	ErrBusy = errors.New("a backup, a deep check or a compaction is at work; try again when it has ended")
)
