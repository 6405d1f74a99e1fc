package intake

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// statusEvery is how often status.json is replaced while a sending sends (SPEC 9).
const statusEvery = 5 * time.Second

// slicesATick is how many slices a status.json may hold to be replaced at every
// tick. One of 172,800 slots of a second is 19 MB: every 5s that would be 8% of a core
// and a third of a terabyte a day on the disk, so it is replaced more rarely, in proportion.
const slicesATick = 4000

// largeReport is from how many rows on the final files are written at a desk of
// their own: results.csv of a million rows takes a second, and no one's status waits for it.
const largeReport = 50_000

// clerk keeps the folders in step with the store: status.json at every change,
// and, when a sending has ended, its reports and the one rename into done/ or failed/.
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

// notice asks for a look at a sending's folder. It returns at once.
func (k *folderKeeper) enqueue(id campaign.ID) { k.quick.enqueue(id) }

// run looks after the folders until ctx ends, and then once more after those that were noticed.
func (k *folderKeeper) run(ctx context.Context) error {
	slow, end := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	wait.Go(func() { k.slow.run(slow) })
	k.quick.run(ctx)
	end() // after the quick one, which may have handed over its last
	wait.Wait()
	return nil
}

// reopen keeps a finished sending's folder in accepted/ until closed.
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

// desk is one place at which folders are worked on, one after the other.
type reportWorker struct {
	keeper *folderKeeper
	slow   bool // for large reports alone
	mu     sync.Mutex
	due    map[campaign.ID]bool // guarded by mu
	signal chan struct{}

	ticksLeft map[campaign.ID]int    // owned by run: to be looked at after so many ticks
	failed    map[campaign.ID]string // owned by run: what was logged
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
	for {
		select {
		case <-ctx.Done():
			w.updateDue()
			w.advance(math.MaxInt) // what was sent last
			return
		case <-w.signal:
			w.updateDue()
		case <-tick:
			w.advance(1)
			tick = nil
		}
		if tick == nil && len(w.ticksLeft) > 0 {
			timer = time.NewTimer(statusEvery)
			tick = timer.C
		}
	}
}

func (w *reportWorker) updateDue() {
	w.mu.Lock()
	ids := w.due
	w.due = map[campaign.ID]bool{}
	w.mu.Unlock()
	for id := range ids {
		w.update(id)
	}
}

// lookAgain looks at those whose ticks are over after so many more.
func (w *reportWorker) advance(ticks int) {
	for id, left := range w.ticksLeft {
		if left > ticks {
			w.ticksLeft[id] = left - ticks
			continue
		}
		w.update(id)
	}
}

// look brings one folder up to date. What fails is logged, once until it fails in
// another way, and tried again at every tick.
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
	if err == nil {
		delete(w.failed, id)
	} else if w.failed[id] != err.Error() {
		w.failed[id] = err.Error()
		w.keeper.in.log.Error("a sending's files can't be written; it is tried again", "sending", id, "err", err, "todo", safeio.Advice(err))
	}
}

// work does what is to be done for a sending now, and says after how many ticks
// there will be more; 0 if not.
func (w *reportWorker) updateFolder(id campaign.ID) (again int, err error) {
	in := w.keeper.in
	unlock := in.folders.lock(id)
	defer unlock()
	s, err := in.store.Header(id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil // gone by retention
	}
	if err != nil {
		return 1, err
	}
	switch {
	case s.Filed || s.State == campaign.StateChecking || w.keeper.isReopened(id):
		return 0, nil
	case !s.State.Final():
		slices, err := in.status(s)
		if s.State != campaign.StateSending {
			return 0, err
		}
		return 1 + slices/slicesATick, err
	case !w.slow && s.Rows.Total >= largeReport:
		w.keeper.slow.enqueue(id)
		return 0, nil
	}
	return 0, in.fileFolder(s)
}

// status replaces status.json of an accepted sending and says how many slices are in it.
func (in *Intake) status(s *campaign.Sending) (int, error) {
	s, slices, counts, err := in.store.Load(s.ID)
	if err != nil {
		return 0, err
	}
	if err := in.ensureFolder(s); err != nil {
		return 0, err
	}
	if in.waitReason != nil && s.State.Active() && s.Reason == "" {
		s.Reason = in.waitReason(s.ApplicationID, s.Channels)
	}
	err = report.WriteStatus(folder(s), report.Status(s, slices, counts, in.now(), in.checker().Config.SlowestRate(s.ApplicationID, s.Channels)))
	failpoint.At(failpoint.StatusWritten)
	return len(slices), err
}

// keyedLock locks sendings one by one.
type keyedLock struct {
	mu   sync.Mutex // guards held
	held map[campaign.ID]chan struct{}
}

func newKeyedLock() *keyedLock { return &keyedLock{held: map[campaign.ID]chan struct{}{}} }

// lock waits until no one else holds id.
func (k *keyedLock) lock(id campaign.ID) (unlock func()) {
	mine := make(chan struct{})
	for {
		k.mu.Lock()
		other, taken := k.held[id]
		if !taken {
			k.held[id] = mine
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, id)
				k.mu.Unlock()
				close(mine)
			}
		}
		k.mu.Unlock()
		<-other
	}
}
