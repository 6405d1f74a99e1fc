// Package filing keeps the folders of sendings in step with the store: status.json while a sending is
// under way, its reports at the end, the move of the folder from accepted/ to done/ or failed/, files
// renewed with later receipts and replies, and what retention and forgetting remove. It is a room of its
// own because intake only takes drops in, and because it must outlive intake and the dispatcher at a
// stop.
//
// It decides nothing about a sending: it reads its state and writes what report makes of it. What can't be
// written, because a disk is full or away, is logged and tried again.
package filing

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/failpoint"
	"campaignd/internal/folders"
	"campaignd/internal/keylock"
	"campaignd/internal/plan"
	"campaignd/internal/rarelog"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// statusEvery is the interval between updates of status.json while a sending sends
// (docs/contract.md 9).
const statusEvery = 5 * time.Second

// dueEvery limits the time until a scheduled sending is looked at again: the wall clock may jump.
const dueEvery = time.Minute

// largeReport is the number of rows from which a worker of its own writes the final files:
// results.csv of a million rows takes a second, and no status update should wait for it.
const largeReport = 50_000

// lastUpdates limits the time for updating folders at a stop. The next start updates the others.
const lastUpdates = 5 * time.Second

// Store keeps the sendings whose folders these are. *store.Store implements it.
type Store interface {
	report.Source
	Header(campaign.ID) (*campaign.Sending, error)
	Update(campaign.ID, func(*campaign.Sending) error) error
	Filed(id campaign.ID, notify bool) error

	// Receipts and replies that a report doesn't have yet.
	StaleReports() ([]campaign.ID, error)
	MarkReported(id campaign.ID, version uint64) error

	// Retention.
	EndedBefore(before time.Time, after campaign.ID, limit int) ([]*campaign.Sending, error)
	Remove(campaign.ID) (bool, error)
	FinishRemovals() error
	Audit(store.AuditEntry) error
}

// Options configure a Keeper.
type Options struct {
	Store    Store
	Inboxes  *folders.Inboxes
	Config   func() *config.Config                      // the one in force
	WaitsFor func(*campaign.Sending) *campaign.WaitsFor // why an active sending waits, nil if it doesn't; may be nil
	Filed    func(campaign.ID)                          // called when a folder is in done/ or failed/
	Ended    func()                                     // called after a notice was recorded for an inbox with a notify_url; may be nil
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Keeper keeps the folders in step with the store. Its methods are safe for concurrent use.
type Keeper struct {
	store       Store
	inboxes     *folders.Inboxes
	config      func() *config.Config
	waitsFor    func(*campaign.Sending) *campaign.WaitsFor
	filedFolder func(campaign.ID)
	ended       func()
	log         *rarelog.Log
	now         func() time.Time
	folders     keylock.Locks[campaign.ID] // held while a sending's folder is written or moved
	quick, slow *reportWorker

	mu       sync.Mutex // guards reopened
	reopened map[campaign.ID]bool
}

// New returns a Keeper. It starts nothing and does no I/O.
func New(o Options) *Keeper {
	k := &Keeper{store: o.Store, inboxes: o.Inboxes, config: o.Config, waitsFor: o.WaitsFor, filedFolder: o.Filed, ended: o.Ended, now: o.Now,
		reopened: map[campaign.ID]bool{}}
	if k.now == nil {
		k.now = time.Now
	}
	if k.ended == nil {
		k.ended = func() {}
	}
	k.log = rarelog.New(o.Log, k.now)
	k.quick, k.slow = newReportWorker(k, false), newReportWorker(k, true)
	return k
}

// Changed requests an update of a sending's folder. It must be called after every change of state and
// returns at once.
func (k *Keeper) Changed(id campaign.ID) { k.quick.enqueue(id) }

// Run updates folders until ctx ends, and then once more those that were requested. At a stop it must
// outlive intake and the dispatcher, so that the last outcomes are written too.
func (k *Keeper) Run(ctx context.Context) error {
	slow, end := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	wait.Go(func() { k.slow.run(slow) })
	k.quick.run(ctx)
	end() // after the quick worker, which may have passed on its last folder
	wait.Wait()
	return nil
}

// reopen keeps a finished sending's folder in accepted/ until closeReopened.
func (k *Keeper) reopen(id campaign.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reopened[id] = true
}

func (k *Keeper) closeReopened(id campaign.ID) {
	k.mu.Lock()
	delete(k.reopened, id)
	k.mu.Unlock()
	k.Changed(id)
}

func (k *Keeper) isReopened(id campaign.ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reopened[id]
}

// reportWorker updates folders one after the other.
type reportWorker struct {
	keeper *Keeper
	slow   bool // for large reports only
	mu     sync.Mutex
	due    map[campaign.ID]bool // guarded by mu
	signal chan struct{}

	ticksLeft map[campaign.ID]int               // owned by run: ticks until the next update
	failed    map[campaign.ID]string            // owned by run: error that was logged last
	waits     map[campaign.ID]campaign.WaitsFor // owned by run: the last written wait of each scheduled sending
}

func newReportWorker(k *Keeper, slow bool) *reportWorker {
	return &reportWorker{keeper: k, slow: slow, due: map[campaign.ID]bool{}, signal: make(chan struct{}, 1),
		ticksLeft: map[campaign.ID]int{}, failed: map[campaign.ID]string{}, waits: map[campaign.ID]campaign.WaitsFor{}}
}

func (w *reportWorker) enqueue(id campaign.ID) {
	w.mu.Lock()
	w.due[id] = true
	w.mu.Unlock()
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

func (w *reportWorker) run(ctx context.Context) {
	var tick <-chan time.Time
	stopped := func() bool { return ctx.Err() != nil }
	for {
		select {
		case <-ctx.Done():
			end := time.Now().Add(lastUpdates)
			enough := func() bool { return time.Now().After(end) }
			w.advance(math.MaxInt, enough) // write the last outcomes
			w.updateDue(enough)
			return
		case <-w.signal:
			w.updateDue(stopped)
		case <-tick:
			w.advance(1, stopped)
			tick = nil
		}
		if tick == nil && len(w.ticksLeft) > 0 {
			tick = time.After(statusEvery)
		}
	}
}

// updateDue updates the requested folders until there is no more or it is enough.
func (w *reportWorker) updateDue(enough func() bool) {
	for !enough() {
		id, ok := w.next()
		if !ok {
			return
		}
		w.update(id, true)
	}
}

// next returns a sending whose folder is to be updated, if there is one.
func (w *reportWorker) next() (id campaign.ID, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.due {
		delete(w.due, id)
		return id, true
	}
	return "", false
}

// advance counts down the given number of ticks and updates the folders that are due, until it is enough.
func (w *reportWorker) advance(ticks int, enough func() bool) {
	for id, left := range w.ticksLeft {
		switch {
		case left > ticks:
			w.ticksLeft[id] = left - ticks
		case enough():
			return
		default:
			w.update(id, false)
		}
	}
}

// update updates one folder. An error is logged once until it changes, and the update is retried
// at every tick. changed reports that the update was requested.
func (w *reportWorker) update(id campaign.ID, changed bool) {
	again, err := w.updateFolder(id, changed)
	if err != nil {
		again = 1
	}
	if again > 0 {
		w.ticksLeft[id] = again
	} else {
		delete(w.ticksLeft, id)
		delete(w.waits, id)
	}
	switch {
	case err == nil || folders.IsAway(err):
		delete(w.failed, id)
	case w.failed[id] != err.Error():
		w.failed[id] = err.Error()
		w.keeper.log.Error("a sending's files can't be written; retrying", "sending", id, "err", err, "todo", safeio.Advice(err))
	}
}

// updateFolder does what is due for a sending now. It returns the number of ticks until there is
// more to do, or 0.
func (w *reportWorker) updateFolder(id campaign.ID, changed bool) (again int, err error) {
	k := w.keeper
	unlock := k.folders.Lock(id)
	defer unlock()
	s, err := k.store.Header(id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil // removed by retention
	}
	if err != nil {
		return 1, err
	}
	switch {
	case s.Filed || s.State == campaign.StateChecking || k.isReopened(id):
		return 0, nil
	case s.State == campaign.StateScheduled:
		return w.updateScheduled(s, changed)
	case !s.State.Final():
		err := k.status(s)
		if s.State != campaign.StateSending {
			return 0, err
		}
		return 1, err
	case !w.slow && s.Rows.Total >= largeReport:
		k.slow.enqueue(id)
		return 0, nil
	}
	return 0, k.fileFolder(s)
}

// updateScheduled updates the folder of a sending that hasn't begun: when it has changed, and once it
// is due, when the reason for its wait has. There can be thousands of them.
func (w *reportWorker) updateScheduled(s *campaign.Sending, changed bool) (again int, err error) {
	var waits campaign.WaitsFor
	if found := w.keeper.waitOf(s); found != nil {
		waits = *found
	}
	if last, written := w.waits[s.ID]; changed || !written || waits != last {
		delete(w.waits, s.ID)
		if err := w.keeper.status(s); err != nil {
			return 1, err
		}
		w.waits[s.ID] = waits
	}
	untilDue := s.ScheduledAt.Sub(w.keeper.now())
	return int(min(max(untilDue, 0), dueEvery)/statusEvery) + 1, nil
}

// waitOf returns why an unfinished sending waits, or nil if it doesn't. A wait that ends before status.json is
// written again has no end there: it would be read when it is over.
func (k *Keeper) waitOf(s *campaign.Sending) *campaign.WaitsFor {
	if k.waitsFor == nil || !s.State.Active() && !s.State.Stopped() {
		return nil
	}
	w := k.waitsFor(s)
	if w != nil && w.Until.Before(k.now().Add(statusEvery)) {
		w.Until = time.Time{}
	}
	return w
}

// status replaces status.json and status.txt of an accepted sending.
func (k *Keeper) status(s *campaign.Sending) error {
	s, slices, counts, err := k.store.Load(s.ID)
	if err != nil {
		return err
	}
	if err := k.ensureFolder(s); err != nil {
		return err
	}
	outlook := OutlookOf(k.config(), s, slices)
	outlook.Zone = k.config().Zone(s.ApplicationID)
	if s.State == campaign.StatePaused {
		outlook.Stopped = stopFile(folders.Of(s))
	}
	if outlook.Waits = k.waitOf(s); outlook.Waits != nil && s.Reason == "" {
		s.Reason = outlook.Waits.Reason
	}
	err = report.WriteStatus(folders.Of(s), s, slices, counts, k.now(), outlook)
	failpoint.At(failpoint.StatusWritten)
	return err
}

// OutlookOf returns what the configuration says about the end of a sending: the rate of its slowest
// channel, the contacts a day of its narrowest, its windows and its expiry.
func OutlookOf(c *config.Config, s *campaign.Sending, slices []campaign.Slice) report.Outlook {
	a := c.Application(s.ApplicationID)
	if a == nil {
		return report.Outlook{}
	}
	o := report.Outlook{Rate: c.SlowestRate(s.ApplicationID, s.Channels), Windows: a.Windows}
	o.Expiry, _ = plan.Expiry(s, slices, a.Windows)
	for _, name := range s.Channels {
		if most := a.Channels[name].DailyContacts(); most > 0 && (o.Daily == 0 || most < o.Daily) {
			o.Daily = most
		}
	}
	return o
}
