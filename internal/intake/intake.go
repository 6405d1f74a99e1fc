// Package intake takes one drop from the inbox to accepted/, or to failed/ with
// a report: examine, claim, check, commit; and at its end from accepted/ to done/
// or failed/. It also obeys control files and, at start, brings to an end what a
// crash cut off.
//
// It joins what other rooms know: watch says what is there, plan's rooms what is
// wrong and what each row becomes, store keeps it, report words it. It sends nothing.
//
// What is wrong with a drop becomes a report and never an error. What is wrong
// with the machine (a full disk, lost permissions) is logged, leaves files and
// store as they are, and is tried again until it works; other drops are not held up.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// Steering acts on sendings: the dispatcher. Each method returns when nothing new goes
// out against the caller's will.
type Dispatcher interface {
	Pause(ctx context.Context, id campaign.ID) (campaign.State, error)
	Resume(ctx context.Context, id campaign.ID) (campaign.State, error)
	Cancel(ctx context.Context, id campaign.ID) (campaign.State, error)
}

// Options are what an Intake works with.
type Options struct {
	Store      *store.Store
	StateDir   string // where temporary files of a check lie
	Checker    *Checker
	Dispatcher Dispatcher
	Accepted   func(campaign.ID)                                 // called when something new may be due
	WaitReason func(application int64, channels []string) string // why sendings on these channels wait, "" if they don't; nil: nobody knows
	Decided    func(campaign.ID)                                 // called when a drop was accepted or refused; nil: nobody counts
	Log        *slog.Logger
	Now        func() time.Time // nil: time.Now
}

// Intake is watch's handler and keeps the folders of all sendings. Its methods
// are safe for concurrent use.
type Intake struct {
	store      *store.Store
	stateDir   string
	check      atomic.Pointer[Checker]
	dispatcher Dispatcher
	accepted   func(campaign.ID)
	waitReason func(application int64, channels []string) string
	decided    func(campaign.ID)
	log        *slog.Logger
	now        func() time.Time
	free       func(path string) (uint64, error) // free bytes; tests say what they are

	small, large *queue[task]
	claims       *claims
	pending      *pending
	keeper       *folderKeeper
	folders      *keyedLock // held by what moves a sending's folder

	mu               sync.Mutex // guards all below
	waits            map[[2]string]wait
	deferredControls map[[2]string][]watch.Control // to be obeyed when their drop is accepted, by inbox and name
	loggedKeys       map[string]bool               // what was logged once
	lastLogged       map[string]time.Time          // when each was last logged
	working          map[campaign.ID]float64       // being checked, 0 to 1
}

// task is something a worker does for one name of an inbox.
type task func(ctx context.Context) error

// New makes an Intake. It starts nothing and does no I/O.
func New(o Options) *Intake {
	in := &Intake{
		store: o.Store, stateDir: o.StateDir, dispatcher: o.Dispatcher, accepted: o.Accepted, decided: o.Decided, waitReason: o.WaitReason, log: o.Log, now: o.Now,
		free: safeio.FreeSpace, small: newQueue[task](), large: newQueue[task](), claims: newClaims(), pending: newPending(), folders: newKeyedLock(),
		waits: map[[2]string]wait{}, deferredControls: map[[2]string][]watch.Control{}, loggedKeys: map[string]bool{}, lastLogged: map[string]time.Time{}, working: map[campaign.ID]float64{},
	}
	if in.now == nil {
		in.now = time.Now
	}
	if in.decided == nil {
		in.decided = func(campaign.ID) {}
	}
	in.check.Store(o.Checker)
	in.keeper = newFolderKeeper(in)
	return in
}

// Configure replaces configuration and campaigns; drops under way keep what they began with.
func (in *Intake) Configure(c *Checker) { in.check.Store(c) }

func (in *Intake) checker() *Checker { return in.check.Load() }

// inbox is the configuration of a watched folder, nil if it is watched no more.
func (in *Intake) inbox(path string) *config.Inbox {
	inboxes := in.checker().Config.Inboxes
	for i := range inboxes {
		if filepath.Clean(inboxes[i].Path) == filepath.Clean(path) { // watch names it cleaned, the configuration as written
			return &inboxes[i]
		}
	}
	return nil
}

// Changed has a sending's folder brought up to date; it is called after every
// change of its state and returns at once.
func (in *Intake) Changed(id campaign.ID) { in.keeper.enqueue(id) }

// retryStuck is how long work that failed for the machine's reasons rests.
const retryInterval = 10 * time.Second

// Run takes drops in until ctx ends, then finishes the step under way: a drop
// whose check is cut off is checked anew at the next start.
func (in *Intake) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, q := range []*queue[task]{in.small, in.small, in.large} {
		group.Go(func() error { return in.work(ctx, q) })
	}
	group.Go(func() error { return in.retry(ctx) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// RunClerk keeps the folders until ctx ends. It outlives Run at a stop, so that
// what was sent last is still written into them.
func (in *Intake) RunFolderKeeper(ctx context.Context) error { return in.keeper.run(ctx) }

func (in *Intake) work(ctx context.Context, q *queue[task]) error {
	for {
		do, done, err := q.take(ctx)
		if err != nil {
			return err
		}
		err = do(ctx)
		done()
		if err != nil && ctx.Err() == nil && !in.loggedRecently(err.Error()) {
			in.log.Error("a drop can't be taken in; it is tried again", "err", err, "todo", safeio.Advice(err))
		}
	}
}

// retry puts claimed drops whose check failed for the machine's reasons back to work.
func (in *Intake) retry(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryInterval):
		}
		in.forgetGone()
		for _, s := range in.claims.takeRetries() {
			in.resume(s)
		}
	}
}

// lane is the queue for work on a file of size bytes.
func (in *Intake) queueFor(size int64) *queue[task] {
	if size > smallCSV {
		return in.large
	}
	return in.small
}

// Ready implements watch.Handler.
func (in *Intake) Ready(d watch.Drop) {
	if in.stillWaits(d) || in.claims.of(d.Inbox, d.Name) {
		return
	}
	if inbox := in.inbox(d.Inbox); inbox != nil && in.overLimit(d, inbox) == "" && in.waitForRoom(d, inbox, in.pending.room(inbox, sizeOf(fileIDs(d)))) {
		return // not even opened
	}
	in.queueFor(d.CSV.ID.Size).put(d.Inbox, d.Name, func(ctx context.Context) error {
		if err := in.takeDrop(ctx, d); err != nil {
			if !in.stillWaits(d) { // else what failed has said until when
				in.noteWait(d, err.Error(), in.now())
			}
			return fmt.Errorf("drop %q: %w", d.Name, err)
		}
		return nil
	})
}

// take examines, claims, checks and commits one drop. A drop that is no longer as
// the watcher saw it is met anew at the next scan.
func (in *Intake) takeDrop(ctx context.Context, d watch.Drop) error {
	inbox := in.inbox(d.Inbox)
	if inbox == nil || in.claims.of(d.Inbox, d.Name) {
		return nil // watched no more, or told of before its claim
	}
	in.log.Debug("drop ready", "inbox", d.Inbox, "drop", d.Name)
	if why := in.overLimit(d, inbox); why != "" {
		return in.refuseUnclaimed(d, &refusal{reason: why})
	}
	found, err := in.examine(ctx, d, inbox)
	if vanished(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.reason != "" {
		in.setWait(d, found.reason, found.until)
		return nil
	}
	defer found.parts.Close()
	if err := unchanged(found.parts, d); vanished(err) {
		return nil
	} else if err != nil {
		return err
	}
	leave, full := in.pending.admit(inbox, sizeOf(fileIDs(d)))
	if in.waitForRoom(d, inbox, full) {
		return nil
	}
	s, err := in.claim(d, nil)
	leave()
	if s == nil || err != nil {
		return err
	}
	in.endWait(d.Inbox, d.Name)
	in.log.Info("drop claimed", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name)
	return in.endClaim(s, in.decide(ctx, s, inbox, found.parts, found.info))
}

// settle ends a claim by what became of it: decided, to be given back since a
// file changed while it was read (PITFALLS 12), or to be tried again.
func (in *Intake) endClaim(s *campaign.Sending, err error) error {
	switch {
	case err == nil:
		in.claims.end(s.ID)
		return nil
	case errors.Is(err, errChanged):
		return in.releaseClaim(s, err)
	}
	in.claims.retryLater(s.ID)
	return err
}

// Checking is how far the check of a claimed drop has come, 0 to 1.
func (in *Intake) Checking(id campaign.ID) float64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.working[id]
}

// progress keeps status.json of a drop that is being checked in step, at most once a second.
func (in *Intake) progress(s *campaign.Sending) func(float64) {
	last := in.now() // decide has written the first
	return func(share float64) {
		in.mu.Lock()
		in.working[s.ID] = share
		in.mu.Unlock()
		if now := in.now(); now.Sub(last) >= time.Second {
			last = now
			if err := report.WriteStatus(folder(s), report.Checking(s, share)); err != nil {
				in.log.Warn("write status.json", "sending", s.ID, "err", err)
			}
		}
	}
}

// sayAgain is after how long a trouble that lasts is said again.
const logInterval = 10 * time.Minute

// said reports whether something was said a short while ago, and notes that it is now.
func (in *Intake) loggedRecently(text string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := in.now()
	if at, known := in.lastLogged[text]; known && now.Sub(at) < logInterval && !now.Before(at) {
		return true
	}
	maps.DeleteFunc(in.lastLogged, func(_ string, at time.Time) bool { return now.Sub(at) >= logInterval })
	in.lastLogged[text] = now
	return false
}

// logOnce logs a warning the first time that key is met.
func (in *Intake) logOnce(key, message string, args ...any) {
	in.mu.Lock()
	known := in.loggedKeys[key]
	in.loggedKeys[key] = true
	in.mu.Unlock()
	if !known {
		in.log.Warn(message, args...)
	}
}
