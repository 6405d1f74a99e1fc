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
type clerk struct {
	in          *Intake
	quick, slow *desk

	mu       sync.Mutex // guards reopened
	reopened map[campaign.ID]bool
}

func newClerk(in *Intake) *clerk {
	c := &clerk{in: in, reopened: map[campaign.ID]bool{}}
	c.quick, c.slow = newDesk(c, false), newDesk(c, true)
	return c
}

// notice asks for a look at a sending's folder. It returns at once.
func (c *clerk) notice(id campaign.ID) { c.quick.notice(id) }

// run looks after the folders until ctx ends, and then once more after those that were noticed.
func (c *clerk) run(ctx context.Context) error {
	slow, end := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	wait.Go(func() { c.slow.run(slow) })
	c.quick.run(ctx)
	end() // after the quick one, which may have handed over its last
	wait.Wait()
	return nil
}

// reopen keeps a finished sending's folder in accepted/ until closed.
func (c *clerk) reopen(id campaign.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reopened[id] = true
}

func (c *clerk) close(id campaign.ID) {
	c.mu.Lock()
	delete(c.reopened, id)
	c.mu.Unlock()
	c.notice(id)
}

func (c *clerk) isReopened(id campaign.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reopened[id]
}

// desk is one place at which folders are worked on, one after the other.
type desk struct {
	c      *clerk
	slow   bool // for large reports alone
	mu     sync.Mutex
	due    map[campaign.ID]bool // guarded by mu
	signal chan struct{}

	again  map[campaign.ID]int    // owned by run: to be looked at after so many ticks
	failed map[campaign.ID]string // owned by run: what was logged
}

func newDesk(c *clerk, slow bool) *desk {
	return &desk{c: c, slow: slow, due: map[campaign.ID]bool{}, signal: make(chan struct{}, 1),
		again: map[campaign.ID]int{}, failed: map[campaign.ID]string{}}
}

func (d *desk) notice(id campaign.ID) {
	d.mu.Lock()
	d.due[id] = true
	d.mu.Unlock()
	select {
	case d.signal <- struct{}{}:
	default:
	}
}

func (d *desk) run(ctx context.Context) {
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
			d.lookAll()
			d.lookAgain(math.MaxInt) // what was sent last
			return
		case <-d.signal:
			d.lookAll()
		case <-tick:
			d.lookAgain(1)
			tick = nil
		}
		if tick == nil && len(d.again) > 0 {
			timer = time.NewTimer(statusEvery)
			tick = timer.C
		}
	}
}

func (d *desk) lookAll() {
	d.mu.Lock()
	ids := d.due
	d.due = map[campaign.ID]bool{}
	d.mu.Unlock()
	for id := range ids {
		d.look(id)
	}
}

// lookAgain looks at those whose ticks are over after so many more.
func (d *desk) lookAgain(ticks int) {
	for id, left := range d.again {
		if left > ticks {
			d.again[id] = left - ticks
			continue
		}
		d.look(id)
	}
}

// look brings one folder up to date. What fails is logged, once until it fails in
// another way, and tried again at every tick.
func (d *desk) look(id campaign.ID) {
	again, err := d.work(id)
	if err != nil {
		again = 1
	}
	if again > 0 {
		d.again[id] = again
	} else {
		delete(d.again, id)
	}
	if err == nil {
		delete(d.failed, id)
	} else if d.failed[id] != err.Error() {
		d.failed[id] = err.Error()
		d.c.in.log.Error("a sending's files can't be written; it is tried again", "sending", id, "err", err, "todo", safeio.Advice(err))
	}
}

// work does what is to be done for a sending now, and says after how many ticks
// there will be more; 0 if not.
func (d *desk) work(id campaign.ID) (again int, err error) {
	in := d.c.in
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
	case s.Filed || s.State == campaign.StateChecking || d.c.isReopened(id):
		return 0, nil
	case !s.State.Final():
		slices, err := in.status(s)
		if s.State != campaign.StateSending {
			return 0, err
		}
		return 1 + slices/slicesATick, err
	case !d.slow && s.Rows.Total >= largeReport:
		d.c.slow.notice(id)
		return 0, nil
	}
	return 0, in.leave(s)
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
	if in.holdup != nil && s.State.Active() && s.Reason == "" {
		s.Reason = in.holdup(s.ApplicationID, s.Channels)
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
