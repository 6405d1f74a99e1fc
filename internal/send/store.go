package send

import (
	"context"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// Store keeps the dispatcher's messages and outcomes. Every method that writes returns only when the
// change is durable.
type Store interface {
	// Due returns the active sendings (scheduled, sending) with something due at or before until,
	// and the next instant after until at which one more becomes due (zero if none). Retries are
	// due at their time.
	Due(until time.Time) (ids []campaign.ID, next time.Time, err error)

	// Load returns a sending's header, its slices in order of time and its counts.
	Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error)

	// Rows fills rows and marks with chunk number chunk of the sending. marks has Sending.Messages
	// statuses for each row. Messages that a row's channel doesn't have are Skipped with 0
	// attempts and aren't counted.
	Rows(id campaign.ID, chunk uint32, rows *campaign.Rows, marks []campaign.MessageStatus) ([]campaign.MessageStatus, error)

	// Retries returns the sending's messages that wait for their next attempt, in order of time, at
	// most limit (0: all).
	Retries(id campaign.ID, limit int) ([]campaign.Entry, error)

	// Retry returns the code and detail of the last attempt of a message that waits for its next, both
	// empty if it doesn't wait.
	Retry(id campaign.ID, row uint32, message uint8) (code, detail string, err error)

	// Commit writes entries of any number of sendings in one transaction shared with concurrent
	// callers. The first attempt moves a sending from scheduled to sending and sets StartedAt. An
	// attempt (Outcome InFlight) for a sending that isn't active, or for a message that is neither
	// Pending nor Retrying, is not written; the error is a *campaign.Refused that lists it, and
	// everything else is written all the same. Results are always written. A final outcome other
	// than Sent ends the recipient's later messages in the same transaction (campaign.MessageStatus.After).
	//
	// A result with MaybeDelivered is remembered for the message: any final outcome but
	// Sent then becomes Unknown (campaign.Outcome.IfMaybeDelivered). A result without it
	// clears nothing. A result sets the message's Attempts as given, so an attempt that
	// doesn't count is one whose result has the Attempts from before it.
	Commit(ctx context.Context, entries []campaign.Entry) error

	// SetState moves a sending to state to if it is in one of from. Otherwise it returns the state
	// that it found and false.
	SetState(id campaign.ID, from []campaign.State, to campaign.State, reason string) (campaign.State, bool, error)

	// Replan plans the unsent recipients of passed slices again from now on by the fragmented rule
	// (docs/contract.md 8) in one transaction with the reservations. It marks Expired what doesn't
	// fit before T + 48 h, and returns all slices and the number of messages that expired. Without
	// unsent recipients in passed slices it changes nothing. A recipient whose next message is in
	// flight or waits for its retry stays in a slice, so that its later messages are found after a
	// restart.
	Replan(id campaign.ID, grid plan.Grid, now time.Time) ([]campaign.Slice, uint64, error)

	// Finalize gives every message of the sending without a final outcome, except those in
	// flight, the outcome o, or Unknown if one of its attempts may have been delivered
	// (docs/contract.md 8). It frees their reservations and returns how many got which. A message
	// in flight whose result is Retrying or Pending then gets the same outcome.
	Finalize(id campaign.ID, o campaign.Outcome) (ended, unknown uint64, err error)

	// SetBlocked records that a rule of our own begins or ceases to prevent sending.
	SetBlocked(id campaign.ID, blocked bool, at time.Time) error

	// Finish moves a sending whose messages all have a final outcome to its final state (a
	// canceled one stays canceled) and sets FinishedAt. It returns false if some have none yet.
	Finish(id campaign.ID) (bool, error)

	// AttemptsSince returns how many results with Seen an application has had in the slot that
	// begins at since, those of earlier processes included, and what Recover found in flight in
	// it. It is asked once, at a start.
	AttemptsSince(application int64, since time.Time) (uint64, error)

	// OptedOut reports whether a contact, in the form of campaign.AppendContact, has opted out of the application's channel.
	OptedOut(application int64, channelType string, contact []byte) (bool, error)

	// OptOutVersion returns a number that changes whenever an opt-out is added, before the
	// call that adds it returns. It is cheap: it is asked before every call of a driver.
	OptOutVersion() uint64
}
