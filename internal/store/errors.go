package store

import (
	"errors"
	"fmt"

	"campaignd/internal/campaign"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrLocked is returned when another process has the store open.
	ErrLocked = errors.New("the store is open in another process")
	// ErrNewer is returned when a later version of campaignd has written the store.
	ErrNewer = errors.New("the store was written by a later version of campaignd")
	// ErrDamaged is returned when the file is not a complete store. It is left unchanged.
	ErrDamaged = errors.New("the store is damaged")
	// ErrNotFound is returned when no sending has that id, or it has no such chunk.
	ErrNotFound = errors.New("no such sending")
	// ErrState is returned when the sending's state doesn't allow the operation.
	ErrState = errors.New("not possible in this state")
	// ErrBusy is returned while another operation reads or replaces the whole file.
	ErrBusy = errors.New("a backup, a deep check or a compaction is at work; try again when it has ended")
)

// DuplicateDrop is returned by Accept when the same drop was accepted before.
type DuplicateDrop struct{ Earlier campaign.ID }

// Error names the earlier sending and the way out.
func (d *DuplicateDrop) Error() string {
	return fmt.Sprintf(`the same drop was accepted before as %s; "resend": true in the sidecar sends it again. If an export wrote the same file once more, check that it ran`, d.Earlier)
}
