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
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/report"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// Steering acts on sendings: the dispatcher. Each method returns when nothing new goes
// out against the caller's will.
type Steering interface {
	Pause(ctx context.Context, id campaign.ID) (campaign.State, error)
	Resume(ctx context.Context, id campaign.ID) (campaign.State, error)
	Cancel(ctx context.Context, id campaign.ID) (campaign.State, error)
}

// Options are what an Intake works with.
type Options struct {
	Store    *store.Store
	StateDir string // where temporary files of a check lie
	Checker  *Checker
	Steering Steering
	Accepted func(campaign.ID) // called when something new may be due
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Intake is watch's handler and keeps the folders of all sendings. Its methods
// are safe for concurrent use.
type Intake struct {
	store    *store.Store
	stateDir string
	check    atomic.Pointer[Checker]
	steering Steering
	accepted func(campaign.ID)
	log      *slog.Logger
	now      func() time.Time

	small, large *queue[task]
	clerk        *clerk

	mu      sync.Mutex // guards waits, stuck, told
	waits   map[[2]string]wait
	stuck   map[campaign.ID]*campaign.Sending // claimed, to be checked again
	told    map[string]bool                   // what was logged once
	working map[campaign.ID]float64           // being checked, 0 to 1
}

// task is something a worker does for one name of an inbox.
type task func(ctx context.Context) error

// New makes an Intake. It starts nothing and does no I/O.
func New(o Options) *Intake {
	in := &Intake{
		store: o.Store, stateDir: o.StateDir, steering: o.Steering, accepted: o.Accepted, log: o.Log, now: o.Now,
		small: newQueue[task](), large: newQueue[task](),
		waits: map[[2]string]wait{}, stuck: map[campaign.ID]*campaign.Sending{}, told: map[string]bool{},
		working: map[campaign.ID]float64{},
	}
	if in.now == nil {
		in.now = time.Now
	}
	in.check.Store(o.Checker)
	in.clerk = newClerk(in)
	return in
}

// Configure replaces configuration and campaigns; drops under way keep what they began with.
func (in *Intake) Configure(c *Checker) { in.check.Store(c) }

func (in *Intake) checker() *Checker { return in.check.Load() }

// inbox is the configuration of a watched folder, nil if it is watched no more.
func (in *Intake) inbox(path string) *config.Inbox {
	inboxes := in.checker().Config.Inboxes
	for i := range inboxes {
		if inboxes[i].Path == path {
			return &inboxes[i]
		}
	}
	return nil
}

// Changed has a sending's folder brought up to date; it is called after every
// change of its state and returns at once.
func (in *Intake) Changed(id campaign.ID) { in.clerk.notice(id) }

// retryStuck is how long work that failed for the machine's reasons rests.
const retryStuck = 10 * time.Second

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
func (in *Intake) RunClerk(ctx context.Context) error { return in.clerk.run(ctx) }

func (in *Intake) work(ctx context.Context, q *queue[task]) error {
	for {
		do, done, err := q.take(ctx)
		if err != nil {
			return err
		}
		err = do(ctx)
		done()
		if err != nil && ctx.Err() == nil {
			in.log.Error("take in; it is tried again", "err", err)
		}
	}
}

// retry puts claimed drops whose check failed for the machine's reasons back to work.
func (in *Intake) retry(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryStuck):
		}
		in.mu.Lock()
		stuck := in.stuck
		in.stuck = map[campaign.ID]*campaign.Sending{}
		in.mu.Unlock()
		for _, s := range stuck {
			in.resume(s)
		}
	}
}

// Ready implements watch.Handler.
func (in *Intake) Ready(d watch.Drop) {
	if in.stillWaits(d) {
		return
	}
	q := in.small
	if d.CSV.ID.Size > smallCSV {
		q = in.large
	}
	q.put(d.Inbox, d.Name, func(ctx context.Context) error {
		err := in.take(ctx, d)
		if vanished(err) {
			return nil // the next scan meets it as it is then
		}
		if err != nil {
			return fmt.Errorf("drop %q: %w", d.Name, err)
		}
		return nil
	})
}

// stillWaits reports whether nothing has changed for a drop that was examined and found not whole.
func (in *Intake) stillWaits(d watch.Drop) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	w, ok := in.waits[[2]string{d.Inbox, d.Name}]
	if !ok || !slices.Equal(w.files, fileIDs(d)) {
		return false
	}
	if !w.until.IsZero() {
		return in.now().Before(w.until)
	}
	inbox := in.inbox(d.Inbox)
	return inbox == nil || in.now().Sub(d.FirstSeen) <= inbox.PairTimeout
}

func fileIDs(d watch.Drop) []campaign.FileID {
	var ids []campaign.FileID
	for _, f := range d.Files() {
		id := f.ID
		id.Name = f.Name
		ids = append(ids, id)
	}
	return ids
}

// Wait is a drop that is complete by its names and waits for its contents.
type Wait struct {
	Name, Reason string
	Since        time.Time
}

// Waits are the drops of an inbox that wait for a proof, a line end or free space, the oldest first.
func (in *Intake) Waits(inbox string) []Wait {
	in.mu.Lock()
	defer in.mu.Unlock()
	var list []Wait
	for key, w := range in.waits {
		if key[0] == inbox {
			list = append(list, Wait{Name: key[1], Reason: w.reason, Since: w.since})
		}
	}
	slices.SortFunc(list, func(a, b Wait) int { return a.Since.Compare(b.Since) })
	return list
}

// Checking is how far the check of a claimed drop has come, 0 to 1.
func (in *Intake) Checking(id campaign.ID) float64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.working[id]
}

func (in *Intake) setWait(d watch.Drop, reason string, until time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	key := [2]string{d.Inbox, d.Name}
	old, had := in.waits[key]
	w := wait{files: fileIDs(d), since: in.now(), until: until, reason: reason}
	if had {
		w.since = old.since
	}
	in.waits[key] = w
	if !had || old.reason != reason {
		in.log.Info("drop waits", "inbox", d.Inbox, "drop", d.Name, "reason", reason)
	}
}

func (in *Intake) endWait(inbox, name string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.waits, [2]string{inbox, name})
}

// take examines, claims, checks and commits one drop.
func (in *Intake) take(ctx context.Context, d watch.Drop) error {
	inbox := in.inbox(d.Inbox)
	if inbox == nil {
		return nil // watched no more
	}
	in.log.Debug("drop ready", "inbox", d.Inbox, "drop", d.Name)
	p, info, reason, until, err := in.examine(ctx, d, inbox)
	if err != nil {
		return err
	}
	if reason != "" {
		in.setWait(d, reason, until)
		return nil
	}
	defer p.Close()
	if err := unchanged(p, d); err != nil {
		return err
	}
	s, err := in.claim(d, in.now())
	if err != nil {
		if s != nil && errors.Is(err, errChanged) {
			return in.giveBack(s, err)
		}
		if s != nil {
			in.rest(s)
		}
		return err
	}
	in.endWait(d.Inbox, d.Name)
	in.log.Info("drop claimed", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name)
	if err := in.decide(ctx, s, inbox, p, info); err != nil {
		in.rest(s)
		return err
	}
	return nil
}

// rest notes a claimed drop for another try.
func (in *Intake) rest(s *campaign.Sending) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stuck[s.ID] = s
}

// progress keeps status.json of a drop that is being checked in step, at most once a second.
func (in *Intake) progress(s *campaign.Sending) func(float64) {
	var last time.Time
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

// spillFile is a temporary file without a name in the state folder.
func (in *Intake) spillFile() (*os.File, error) {
	f, err := os.CreateTemp(in.stateDir, "check-*")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make temporary file: %w", err), f.Close())
	}
	return f, nil
}
