package store

import (
	"errors"
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound is returned when no sending has that id, or it has no such chunk.
	ErrNotFound = errors.New("no such sending")
	// ErrState is returned when the sending's state doesn't allow the operation.
	ErrState = errors.New("not possible in this state")
)

// Errors of the store's file.
var (
	ErrLocked     = db.ErrLocked
	ErrNewer      = db.ErrNewer
	ErrDamaged    = db.ErrDamaged
	ErrBusy       = db.ErrBusy
	ErrMoved      = db.ErrMoved
	ErrUnsynced   = db.ErrUnsynced
	ErrDeposed    = db.ErrDeposed
	ErrUncertain  = db.ErrUncertain
	ErrGap        = db.ErrGap
	ErrSetVersion = db.ErrSetVersion
)

// DuplicateDrop is returned by Accept when the same drop was accepted before.
type DuplicateDrop struct{ Earlier campaign.ID }

// Error names the earlier sending and the way out.
func (d *DuplicateDrop) Error() string {
	return fmt.Sprintf(`the same drop was accepted before as %s; "resend": true in the schedule sends it again. If an export wrote the same file once more, check that it ran`, d.Earlier)
}
