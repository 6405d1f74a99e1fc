// Package intake takes a drop from the inbox to accepted/, or refuses it, in four steps: examine,
// claim, check, commit. It also obeys control files and, at start, finishes what a crash interrupted.
// Reports, and the way of a folder to done/ or failed/, are the folder keeper's (filing).
//
// It joins other rooms: watch finds files, check finds out what a drop would get, store keeps its
// rows, filing writes the answer. It sends nothing.
//
// Its parts: workQueue (what is to be done, fairly by inbox), dropTable (what is known about each drop, in
// memory), waits (why drops stay in the inbox), noteKeeper (the notes that say so), claimer (out of the
// inbox, back, refused), controls (control files), restoreCheck (is the store older than the folders?).
// Intake has the way of a drop through them.
//
// A fault of a drop becomes a report, never an error. A fault of the machine (a full disk, lost
// permissions) is logged, leaves files and store as they are, and the work is tried again until it
// succeeds; other drops are not held up.
package intake

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/filing"
	"campaignd/internal/folders"
	"campaignd/internal/optouts"
	"campaignd/internal/plan"
	"campaignd/internal/plan/document"
	"campaignd/internal/rarelog"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// Store keeps drops from their claim on. *store.Store implements it.
type Store interface {
	// A drop, from its claim until it is decided.
	Begin(*campaign.Sending, *store.Request) error
	AppendRows(campaign.ID, []store.Packed) error
	AppendRefusals(campaign.ID, []campaign.Refusal) error
	DiscardRows(campaign.ID) error
	Reservations(application int64, slot time.Duration) plan.Reservations
	Accept(*campaign.Sending, store.Terms) ([]campaign.Slice, error)
	Refuse(s *campaign.Sending, state campaign.State, reason string) error

	// Drops of before.
	Header(campaign.ID) (*campaign.Sending, error)
	Load(campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error)
	Sendings(store.Filter) ([]*campaign.Sending, error)
	Unfiled() iter.Seq2[*campaign.Sending, error]
	Update(campaign.ID, func(*campaign.Sending) error) error

	// Control files.
	Reschedule(id campaign.ID, at time.Time, terms store.Terms) ([]campaign.Slice, error)
	optouts.Adder
	Audit(store.AuditEntry) error

	// A store that is older than the folders.
	Highest() (uint64, error)
	Hold(why string, last uint64) (held int, err error)
}

// Dispatcher pauses, resumes and cancels sendings. After a method has returned, nothing leaves
// against the command.
type Dispatcher interface {
	Pause(ctx context.Context, id campaign.ID) (campaign.State, error)
	Resume(ctx context.Context, id campaign.ID) (campaign.State, error)
	Cancel(ctx context.Context, id campaign.ID) (campaign.State, error)
	Reschedule(ctx context.Context, id campaign.ID, change func() error) error
	HoldAll(hold func() error) error
}

// Media keeps the content of files that campaigns send (package media).
type Media interface {
	// Keep copies the content of files durably.
	Keep([]campaign.MediaFile) error
}

// Options configure an Intake.
type Options struct {
	Store      Store
	StateDir   string // folder for the temporary files of a check
	Checker    *check.Checker
	Dispatcher Dispatcher
	Inboxes    *folders.Inboxes
	Keeper     *filing.Keeper    // of the folders
	Media      Media             // keeps the files of campaigns; nil: none have any
	Accepted   func(campaign.ID) // called after a sending was accepted
	Decided    func(campaign.ID) // called after a drop was accepted or refused; may be nil
	Log        *slog.Logger
	Now        func() time.Time // nil: time.Now
}

// common is what Intake, its claimer and its controls share.
type common struct {
	store   Store
	inboxes *folders.Inboxes
	keeper  *filing.Keeper
	drops   *dropTable
	notes   *noteKeeper
	newest  *newestByName
	log     *rarelog.Log
	now     func() time.Time
}

// Intake implements watch.Handler. Its methods are safe for
// concurrent use.
type Intake struct {
	common
	stateDir string
	check    atomic.Pointer[check.Checker]
	media    Media
	accepted func(campaign.ID)
	decided  func(campaign.ID)
	free     func(path string) (uint64, error) // returns free bytes; replaced by tests

	queue    workQueue
	waits    *waits
	claims   *claimer
	controls *controls
	restored *restoreCheck
}

// New returns an Intake. It starts nothing and does no I/O.
func New(o Options) *Intake {
	in := &Intake{
		common:   common{store: o.Store, inboxes: o.Inboxes, keeper: o.Keeper, drops: newDropTable(), newest: &newestByName{store: o.Store}, now: o.Now},
		stateDir: o.StateDir, media: o.Media, accepted: o.Accepted, free: safeio.FreeSpace, queue: newWorkQueue(),
	}
	if in.now == nil {
		in.now = time.Now
	}
	in.log = rarelog.New(o.Log, in.now)
	in.decided = func(id campaign.ID) {
		if o.Decided != nil {
			o.Decided(id)
		}
		in.drops.decide(id)
	}
	in.check.Store(o.Checker)
	in.waits = &waits{drops: in.drops, inbox: in.inbox, log: in.log, now: in.now}
	in.notes = newNoteKeeper(in)
	in.claims = &claimer{common: in.common, waits: in.waits, decided: in.decided}
	in.controls = &controls{common: in.common, dispatcher: o.Dispatcher, checker: in.Checker, queue: in.queue}
	in.restored = &restoreCheck{store: o.Store, inboxes: o.Inboxes, dispatcher: o.Dispatcher, config: func() *config.Config { return in.Checker().Config }, log: in.log,
		late: map[string]*compared{}}
	in.inboxes.OnOpen(in.restored.compareLate)
	return in
}

// Configure replaces configuration and campaigns. Running checks keep the old ones.
func (in *Intake) Configure(c *check.Checker) { in.check.Store(c) }

// Checker returns the checker in force.
func (in *Intake) Checker() *check.Checker { return in.check.Load() }

// inbox returns the configuration of a watched folder, or nil if it is no longer configured.
func (in *Intake) inbox(path string) *config.Inbox { return in.Checker().Config.Inbox(path) }

// Filed stops counting a drop among the unfinished ones of its inbox. It must be called when its folder
// is in done/ or failed/.
func (in *Intake) Filed(id campaign.ID) { in.drops.remove(id) }

// retryInterval is the pause before work is retried that failed because of the machine.
const retryInterval = 10 * time.Second

// Run takes drops in until ctx ends, and then finishes the current step. A drop whose check is
// interrupted is checked again at the next start.
func (in *Intake) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	in.queue.start(ctx, group, in.logFault)
	group.Go(func() error { return in.retry(ctx) })
	group.Go(func() error { return in.notes.run(ctx) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (in *Intake) logFault(err error) {
	if !folders.IsAway(err) && !in.log.Recently(err.Error()) {
		in.log.Error("a drop can't be taken in; it will be retried", "err", err, "todo", safeio.Advice(err))
	}
}

// retry requeues claimed drops whose check failed because of the machine.
func (in *Intake) retry(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryInterval):
		}
		in.waits.forgetGone()
		for _, s := range in.drops.takeRetries() {
			in.resume(s)
		}
	}
}

// Ready implements watch.Handler.
func (in *Intake) Ready(d watch.Drop) {
	if in.waits.still(d) || in.drops.claimed(d.Inbox, d.Name) {
		return
	}
	if inbox := in.inbox(d.Inbox); inbox != nil && in.waits.overLimit(d, inbox) == nil && in.waits.forRoom(d, inbox, in.drops.room(inbox, sizeOf(fileIDs(d)))) {
		return // without opening it
	}
	in.queue.put(d.Inbox, d.Name, weight(d.CSV.Name, d.CSV.ID.Size), func(ctx context.Context) error {
		if err := in.takeDrop(ctx, d); err != nil {
			if !in.waits.still(d) { // otherwise the failed step has set a wait of its own
				in.waits.note(d, "it can't be taken in now, and is tried again: "+err.Error(), in.now(), endsWithCause)
			}
			return fmt.Errorf("drop %q: %w", d.Name, err)
		}
		return nil
	})
}

// Control implements watch.Handler.
func (in *Intake) Control(c watch.Control) { in.controls.put(c) }

// Notes implements watch.Handler.
func (in *Intake) Notes(inbox string, notes []watch.Note) { in.notes.want(inbox, notes) }

// Waits returns the drops of an inbox that wait for a proof, a line end or free space, and its
// lists of opt-outs that wait for room, oldest first.
func (in *Intake) Waits(inbox string) []watch.Wait { return in.waits.of(inbox) }

// UnknownFolders returns the folders in accepted/ that belong to no sending under way.
func (in *Intake) UnknownFolders() []string { return in.restored.unknownFolders() }

// Reschedule gives an accepted sending that has not begun another time, by scheduleAt or delay of when
// (docs/contract.md 10). The error is a *NotRescheduled if the sending or the time doesn't allow it.
func (in *Intake) Reschedule(ctx context.Context, id campaign.ID, when *document.Sidecar) error {
	return in.controls.retime(ctx, id, when)
}

// takeDrop examines, claims, checks and commits one drop. If the drop has changed since the
// watcher saw it, the next scan finds it again.
func (in *Intake) takeDrop(ctx context.Context, d watch.Drop) error {
	c := in.Checker() // one for all steps, so that what was examined isn't read again
	inbox := c.Config.Inbox(d.Inbox)
	if inbox == nil || in.drops.claimed(d.Inbox, d.Name) {
		return nil // no longer configured, or queued before its claim
	}
	in.log.Debug("drop ready", "inbox", d.Inbox, "drop", d.Name)
	if no := in.waits.overLimit(d, inbox); no != nil {
		return in.claims.refuseUnclaimed(d, no)
	}
	found, err := in.examine(ctx, c, d, inbox)
	if vanished(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.reason != "" {
		in.waits.set(d, found.reason, found.until, found.end)
		return nil
	}
	defer found.parts.Close()
	if err := unchanged(found.parts, d); vanished(err) {
		return nil
	} else if err != nil {
		return err
	}
	room, full := in.drops.reserve(inbox, load{drops: 1, bytes: sizeOf(fileIDs(d))})
	if in.waits.forRoom(d, inbox, full) {
		return nil
	}
	s, err := in.claims.claim(d, nil)
	room.leave()
	if s == nil || err != nil {
		return err
	}
	in.drops.endWait(nameOf(d.Inbox, d.Name))
	in.log.Info("drop claimed", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name)
	return in.claims.end(s, in.decide(ctx, c, s, inbox, found.parts, found.info))
}

// Checking returns the progress of a claimed drop's check, 0 to 1.
func (in *Intake) Checking(id campaign.ID) float64 {
	return in.drops.checked(id)
}

// progress returns a function that updates the status of a drop while it is checked, at most once
// a second.
func (in *Intake) progress(c *check.Checker, s *campaign.Sending) func(float64) {
	last := in.now() // decide wrote the first status
	return func(share float64) {
		in.drops.setChecked(s.ID, share)
		if now := in.now(); now.Sub(last) >= time.Second {
			last = now
			if err := report.WriteChecking(folders.Of(s), s, share, now, c.Config.Zone(s.ApplicationID)); err != nil {
				in.log.Warn("write status", "sending", s.ID, "err", err)
			}
		}
	}
}
