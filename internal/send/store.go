package send

import (
	"context"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// Book is what the dispatcher needs of the store. Every method that writes
// returns only when the change is durable; then it is true after a crash too.
type Store interface {
	// Due returns the active sendings (scheduled, sending) that have something due
	// at or before until, and the next instant after until at which one
	// more will (zero if none). Retries count as due at their time.
	Due(until time.Time) (ids []campaign.ID, next time.Time, err error)

	// Load is a sending's header, its slices in order of time and its counts.
	Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error)

	// Rows fills rows and marks with chunk number chunk of the sending. marks has
	// Sending.Messages marks a row, row by row; messages a row's channel doesn't
	// have are Skipped with 0 attempts and count nowhere.
	Rows(id campaign.ID, chunk uint32, rows *campaign.Rows, marks []campaign.MessageStatus) ([]campaign.MessageStatus, error)

	// Retries are the sending's messages that wait for their next attempt, in order of time.
	Retries(id campaign.ID) ([]campaign.Entry, error)

	// Commit writes entries, of any number of sendings, in one transaction
	// shared with whoever commits at the same moment. The first attempt moves a
	// sending from scheduled to sending and sets StartedAt. An attempt (Outcome
	// InFlight) for a sending that is not active, or for a message that is neither
	// Pending nor Retrying, is not written and the error is a *campaign.Refused
	// that lists it; everything else is written all the same, and results are always
	// taken. A final outcome but Sent makes the recipient's later messages
	// Skipped in the same transaction.
	Commit(ctx context.Context, entries []campaign.Entry) error

	// SetState moves a sending if it is in one of from, else it returns the state
	// it found and false.
	SetState(id campaign.ID, from []campaign.State, to campaign.State, reason string) (campaign.State, bool, error)

	// Replan slices what is unsent of passed slices again from now by the
	// fragmented rule (SPEC 8) in one transaction with the bookings, marks
	// Expired what doesn't fit before T+48h, and returns the slices there are then and how many messages
	// expired. With nothing unsent in passed slices it changes nothing. A recipient whose next message is in
	// flight or waits for its retry stays within a slice, so that its later messages are found after a restart.
	Replan(id campaign.ID, grid plan.Grid, now time.Time) ([]campaign.Slice, uint64, error)

	// CloseOut gives every message of the sending without a final outcome (but those
	// in flight) the outcome o, frees its bookings, and returns how many there were.
	Finalize(id campaign.ID, o campaign.Outcome) (uint64, error)

	// Finish moves a sending whose books balance to its final state (one that was
	// canceled stays so) and sets FinishedAt; false if they don't balance yet.
	Finish(id campaign.ID) (bool, error)

	// Suppressed reports whether contactCode has opted out of the application's channel.
	OptedOut(application int64, channelType string, contactCode []byte) (bool, error)
}
