package store

import (
	"context"
	"io"
	"iter"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// Options are how a store is opened. The zero value is right for the daemon.
type Options struct {
	Timeout         time.Duration // how long to wait for another holder of the file; 0: 1s
	InitialMmapSize int           // bytes mapped at once, about twice what is expected; 0: 64 MiB
	Gather          time.Duration // how long a commit may wait for others to join, when others did the last time; 0: 500us
	NoSync          bool          // for the power-cut test alone: commits don't reach the disk
}

// Store is an open store. All its methods are safe for concurrent use.
type Store struct{}

// Open opens the store at path, and makes it if there is no such file. Errors:
// ErrLocked, ErrNewer, ErrDamaged, each with words on what to do.
func Open(path string, opts Options) (*Store, error) { panic("being built") }

// Close waits for transactions under way and gives the file free.
func (s *Store) Close() error { panic("being built") }

// Tag is the store's own random mark: 8 hex digits, part of every message key.
func (s *Store) Tag() string { panic("being built") }

// Begin records a claim: it gives head its ID, Tag, ReceivedAt (now, unless set)
// and the state checking, and returns when that is durable.
func (s *Store) Begin(head *campaign.Sending) error { panic("being built") }

// Update changes a sending's header in one transaction. fn gets the header as it
// stands; its error leaves everything as it was and is returned. An illegal
// move of State is an error. A state that becomes final sets FinishedAt if fn doesn't.
func (s *Store) Update(id campaign.ID, fn func(*campaign.Sending) error) error { panic("being built") }

// Header is a sending's header; ErrNotFound if there is none.
func (s *Store) Header(id campaign.ID) (*campaign.Sending, error) { panic("being built") }

// Load is a sending's header, its slices in order of time and its counts.
func (s *Store) Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error) {
	panic("being built")
}

// Filter chooses sendings. The zero value chooses all.
type Filter struct {
	States      []campaign.State // none: any
	Application int64            // 0: any
	Limit       int              // most to return; 0: no limit
	Before      campaign.ID      // only such with a smaller number; "": from the newest
}

// Sendings are the headers that f chooses, newest first.
func (s *Store) Sendings(f Filter) ([]*campaign.Sending, error) { panic("being built") }

// Unfiled yields, oldest first, the sendings that a start has to look after:
// checking, or final and not Filed. Each is read in its own short transaction.
func (s *Store) Unfiled() iter.Seq2[*campaign.Sending, error] { panic("being built") }

// Packed is a chunk of rows ready to be stored.
type Packed struct {
	first uint32
	rows  int
	data  []byte
	err   error
}

// Size is the chunk's size on disk in bytes.
func (p Packed) Size() int { return len(p.data) }

// Pack encodes and compresses rows. It keeps nothing of rows and is safe to
// call from many workers at once, outside of any transaction.
func Pack(rows *campaign.Rows) Packed { panic("being built") }

// AppendRows stores chunks of a sending that is being checked, in one
// transaction. Each chunk but the last has campaign.ChunkRows rows; they may come in any order. 4 to 8 MB
// a call keep memory and the number of syncs low.
func (s *Store) AppendRows(id campaign.ID, chunks []Packed) error { panic("being built") }

// AppendRefusals stores rows that were not accepted, in order of line.
func (s *Store) AppendRefusals(id campaign.ID, refusals []campaign.Refusal) error {
	panic("being built")
}

// DiscardRows removes the rows and refusals of a sending that is being checked.
func (s *Store) DiscardRows(id campaign.ID) error { panic("being built") }

// Terms are what a sending is accepted under.
type Terms struct {
	// DuplicateWindow is how long an accepted drop refuses the same one again; 0 doesn't look.
	DuplicateWindow time.Duration
	// Resend allows the same drop again.
	Resend bool
	// Grid is the application's slots; nil leaves the sending unsliced, due at ScheduledAt.
	Grid *plan.Grid
	// Place gives head.Rows.Accepted recipients their slots. It is called inside
	// the transaction, at most once; its error rolls everything back and is returned as it is.
	Place func(plan.Bookings) ([]plan.Placement, error)
}

// Accept makes a checked sending a scheduled one: it looks for an earlier drop of
// the same Digest (a *DuplicateDrop then), counts and books slots, and stores
// header, slices and timeline, all in one transaction. head.State must be checking or scheduled; Accept sets
// State, AcceptedAt (now, unless set) and Sliced. A dry run books nothing and is completed at once; its slices are
// stored for the report. Rows must all have been appended.
func (s *Store) Accept(head *campaign.Sending, terms Terms) ([]campaign.Slice, error) {
	panic("being built")
}

// Refuse ends a sending that was being checked: rejected (its rows are removed)
// or canceled (every message counts as Canceled). head replaces the header, so it carries Problems and counts.
func (s *Store) Refuse(head *campaign.Sending, state campaign.State, reason string) error {
	panic("being built")
}

// Filed records that the sending's folder stands in done/ or failed/.
func (s *Store) Filed(id campaign.ID) error { panic("being built") }

// Due implements send.Book: the active sendings with something due at or before
// until. A sending is due when a slice that starts by then has a recipient whose next
// message waits, when a retry is due, or when its books balance and it wants
// Finish. Pacing inside a slice is the caller's.
func (s *Store) Due(until time.Time) (ids []campaign.ID, next time.Time, err error) {
	panic("being built")
}

// Rows implements send.Book: it fills rows and marks with one chunk. A message
// that a row's channel doesn't have is Skipped with 0 attempts. Past the last chunk: ErrNotFound.
func (s *Store) Rows(id campaign.ID, chunk uint32, rows *campaign.Rows, marks []campaign.Mark) ([]campaign.Mark, error) {
	panic("being built")
}

// Retries implements send.Book: what waits for its next attempt, in order of NextAt.
func (s *Store) Retries(id campaign.ID) ([]campaign.Entry, error) { panic("being built") }

// Commit implements send.Book: it returns when entries are durable, in a
// transaction shared with whoever commits at the same moment. Attempts for a
// sending that isn't active, or for a message that is neither Pending nor Retrying, are not
// written: the rest is, and the error is a *campaign.Refused that lists them. A final
// outcome but Sent makes the recipient's later messages Skipped.
func (s *Store) Commit(ctx context.Context, entries []campaign.Entry) error { panic("being built") }

// SetState implements send.Book.
func (s *Store) SetState(id campaign.ID, from []campaign.State, to campaign.State, reason string) (campaign.State, bool, error) {
	panic("being built")
}

// Replan implements send.Book.
func (s *Store) Replan(id campaign.ID, grid plan.Grid, now time.Time) ([]campaign.Slice, uint64, error) {
	panic("being built")
}

// CloseOut implements send.Book: every message without a final outcome, but those
// in flight, gets the outcome o; bookings of what will not be sent are freed. It returns how many messages.
func (s *Store) CloseOut(id campaign.ID, o campaign.Outcome) (uint64, error) { panic("being built") }

// Finish implements send.Book: a sending whose books balance becomes completed
// (or stays canceled) and gets FinishedAt; false if they don't balance yet.
func (s *Store) Finish(id campaign.ID) (bool, error) { panic("being built") }

// Suppressed implements send.Book.
func (s *Store) Suppressed(application int64, channelType string, contactCode []byte) (bool, error) {
	panic("being built")
}

// Recover settles what was in flight when the store was last closed or the
// process killed. retry says, for an application's channel, whether such a message is sent again under the
// same key (Pending) or is Unknown. To be called once, before anything is sent.
func (s *Store) Recover(retry func(application int64, channelType string) bool) (Recovered, error) {
	panic("being built")
}

// Recovered is what Recover found.
type Recovered struct {
	Retried uint64 // messages that are Pending again
	Unknown uint64 // messages whose outcome no one can tell
}

// Resend moves messages with one of the outcomes (Unknown, Failed) back to
// Pending, with the Skipped ones behind them, unsliced from now on, and returns
// how many messages; dryRun only counts. The sending must be completed, or active, paused or held.
func (s *Store) Resend(id campaign.ID, outcomes []campaign.Outcome, dryRun bool) (uint64, error) {
	panic("being built")
}

// EachChunk calls fn with every chunk of a sending's recipients in order, each
// read in a transaction of its own that ends before fn is called. marks has Sending.Messages marks a row; entries are the latest
// details of its messages, sorted by row then message, at most one each. All
// three are valid during the call only. fn's error ends the walk and is returned.
func (s *Store) EachChunk(id campaign.ID, fn func(rows *campaign.Rows, marks []campaign.Mark, entries []campaign.Entry) error) error {
	panic("being built")
}

// EachRefusal calls fn with every row that was not accepted, in order of line.
func (s *Store) EachRefusal(id campaign.ID, fn func(campaign.Refusal) error) error {
	panic("being built")
}

// Reserved are the messages booked in n slots of an application from slot number first on.
func (s *Store) Reserved(application int64, slot time.Duration, first int64, n int) ([]uint32, error) {
	panic("being built")
}

// Share is what a sending holds of a slot.
type Share struct {
	Sending  campaign.ID
	Slot     int64
	Messages uint32
}

// SendingsInSlots are the sendings that hold any of n slots from number first on,
// ordered by slot then sending.
func (s *Store) SendingsInSlots(application int64, slot time.Duration, first int64, n int) ([]Share, error) {
	panic("being built")
}

// Suppression is an opt-out (SPEC 10).
type Suppression struct {
	ApplicationID int64     `json:"applicationId"`
	ChannelType   string    `json:"channelType,omitempty"` // "": all channels
	ContactCode   string    `json:"contactCode"`
	At            time.Time `json:"at,omitzero"`
	Source        string    `json:"source,omitempty"` // a file's name, "command", a channel
}

// AddSuppressions adds opt-outs in one transaction and returns how many were new.
func (s *Store) AddSuppressions(list []Suppression) (int, error) { panic("being built") }

// RemoveSuppression takes an opt-out back; false if there was none.
func (s *Store) RemoveSuppression(application int64, channelType, contactCode string) (bool, error) {
	panic("being built")
}

// EachSuppression calls fn with the opt-outs of an application (0: of all) in order of channel and contact.
func (s *Store) EachSuppression(application int64, fn func(Suppression) error) error {
	panic("being built")
}

// AuditEntry is something a person or a control file did.
type AuditEntry struct {
	At      time.Time   `json:"at"`
	Who     string      `json:"who"`    // a user, an inbox's control file, "daemon"
	Action  string      `json:"action"` // pause, resume, cancel …
	Sending campaign.ID `json:"sending,omitempty"`
	Detail  string      `json:"detail,omitempty"` // no contact data
}

// Audit records e; a zero At is now.
func (s *Store) Audit(e AuditEntry) error { panic("being built") }

// EachAudit calls fn with the entries since an instant, oldest first.
func (s *Store) EachAudit(since time.Time, fn func(AuditEntry) error) error { panic("being built") }

// Backup writes a consistent copy of the store while it is in use. The copy is
// marked: opened as a store, it starts with every sending held and says why.
func (s *Store) Backup(w io.Writer) error { panic("being built") }

// Verify checks the store's invariants and says what is wrong; nothing if all is
// well. deep also decodes every chunk and recounts every mark.
func (s *Store) Verify(deep bool) []string { panic("being built") }

// Prune removes, with everything that belongs to them, up to limit filed sendings
// that finished before an instant, oldest first, and returns how many (retention).
func (s *Store) Prune(before time.Time, limit int) (int, error) { panic("being built") }

// Stats are figures for metrics.
type Stats struct {
	FileBytes int64
	FreeBytes int64 // of the file, reusable
	Sendings  map[campaign.State]uint64
	Commits   uint64 // write transactions since Open
	Entries   uint64 // entries written by Commit since Open
}

// Stats reads the figures; it is cheap.
func (s *Store) Stats() (Stats, error) { panic("being built") }
