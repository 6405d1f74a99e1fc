package intake

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/failpoint"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// statusEvery is the interval between updates of status.json while a sending sends
// (docs/contract.md 9).
const statusEvery = 5 * time.Second

// largeReport is the number of rows from which a worker of its own writes the final files:
// results.csv of a million rows takes a second, and no status update should wait for it.
const largeReport = 50_000

// lastUpdates limits the time for updating folders at a stop. The next start updates the others.
const lastUpdates = 5 * time.Second

// folderKeeper keeps the folders in step with the store. It writes status.json at every change,
// and when a sending has ended its reports, followed by the rename into done/ or failed/.
type folderKeeper struct {
	in          *Intake
	quick, slow *reportWorker

	mu       sync.Mutex // guards reopened
	reopened map[campaign.ID]bool
}

func newFolderKeeper(in *Intake) *folderKeeper {
	k := &folderKeeper{in: in, reopened: map[campaign.ID]bool{}}
	k.quick, k.slow = newReportWorker(k, false), newReportWorker(k, true)
	return k
}

// enqueue requests an update of a sending's folder. It returns at once.
func (k *folderKeeper) enqueue(id campaign.ID) { k.quick.enqueue(id) }

// run updates folders until ctx ends, and then once more those that were requested.
func (k *folderKeeper) run(ctx context.Context) error {
	slow, end := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	wait.Go(func() { k.slow.run(slow) })
	k.quick.run(ctx)
	end() // after the quick worker, which may have passed on its last folder
	wait.Wait()
	return nil
}

// reopen keeps a finished sending's folder in accepted/ until closeReopened.
func (k *folderKeeper) reopen(id campaign.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reopened[id] = true
}

func (k *folderKeeper) closeReopened(id campaign.ID) {
	k.mu.Lock()
	delete(k.reopened, id)
	k.mu.Unlock()
	k.enqueue(id)
}

func (k *folderKeeper) isReopened(id campaign.ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reopened[id]
}

// reportWorker updates folders one after the other.
type reportWorker struct {
	keeper *folderKeeper
	slow   bool // for large reports only
	mu     sync.Mutex
	due    map[campaign.ID]bool // guarded by mu
	signal chan struct{}

	ticksLeft map[campaign.ID]int    // owned by run: ticks until the next update
	failed    map[campaign.ID]string // owned by run: error that was logged last
}

func newReportWorker(k *folderKeeper, slow bool) *reportWorker {
	return &reportWorker{keeper: k, slow: slow, due: map[campaign.ID]bool{}, signal: make(chan struct{}, 1),
		ticksLeft: map[campaign.ID]int{}, failed: map[campaign.ID]string{}}
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
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
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
			timer = time.NewTimer(statusEvery)
			tick = timer.C
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
		w.update(id)
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
			w.update(id)
		}
	}
}

// update updates one folder. An error is logged once until it changes, and the update is retried
// at every tick.
func (w *reportWorker) update(id campaign.ID) {
	again, err := w.updateFolder(id)
	if err != nil {
		again = 1
	}
	if again > 0 {
		w.ticksLeft[id] = again
	} else {
		delete(w.ticksLeft, id)
	}
	switch {
	case err == nil || folders.IsAway(err):
		delete(w.failed, id)
	case w.failed[id] != err.Error():
		w.failed[id] = err.Error()
		w.keeper.in.log.Error("a sending's files can't be written; retrying", "sending", id, "err", err, "todo", safeio.Advice(err))
	}
}

// updateFolder does what is due for a sending now. It returns the number of ticks until there is
// more to do, or 0.
func (w *reportWorker) updateFolder(id campaign.ID) (again int, err error) {
	in := w.keeper.in
	unlock := in.folders.Lock(id)
	defer unlock()
	s, err := in.store.Header(id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil // removed by retention
	}
	if err != nil {
		return 1, err
	}
	switch {
	case s.Filed || s.State == campaign.StateChecking || w.keeper.isReopened(id):
		return 0, nil
	case !s.State.Final():
		err := in.status(s)
		if s.State != campaign.StateSending {
			return 0, err
		}
		return 1, err
	case !w.slow && s.Rows.Total >= largeReport:
		w.keeper.slow.enqueue(id)
		return 0, nil
	}
	return 0, in.fileFolder(s)
}

// status replaces status.json and status.txt of an accepted sending.
func (in *Intake) status(s *campaign.Sending) error {
	s, slices, counts, err := in.store.Load(s.ID)
	if err != nil {
		return err
	}
	if err := in.ensureFolder(s); err != nil {
		return err
	}
	c := in.checker().Config
	outlook := report.Outlook{Rate: c.SlowestRate(s.ApplicationID, s.Channels), Windows: windowsOf(c, s.ApplicationID), Zone: in.zoneOf(s)}
	if s.State == campaign.StatePaused {
		outlook.Stopped = stopFile(folders.Of(s))
	}
	if in.waitsFor != nil && s.State.Active() {
		if outlook.Waits = in.waitsFor(s.ID); outlook.Waits != nil && s.Reason == "" {
			s.Reason = outlook.Waits.Reason
		}
	}
	err = report.WriteStatus(folders.Of(s), s, slices, counts, in.now(), outlook)
	failpoint.At(failpoint.StatusWritten)
	return err
}

// zoneOf returns the time zone of a sending's application, nil if it has none.
func (in *Intake) zoneOf(s *campaign.Sending) *time.Location {
	if a := in.checker().Config.Application(s.ApplicationID); a != nil {
		return a.Location
	}
	return nil
}

// windowsOf returns the application's sending windows, nil if it is always open.
func windowsOf(c *config.Config, application int64) *calendar.Windows {
	if a := c.Application(application); a != nil {
		return a.Windows
	}
	return nil
}
