package send

import (
	"slices"
	"sync"
	"sync/atomic"
)

// driver is a Channel with a reference count, so that a reload can replace it while its last
// messages are in flight.
type driver struct {
	Channel
	remote Remote       // Channel, if workers on other machines send for it
	users  atomic.Int64 // the channel sender, and one per batch
	ended  func(*driver)
}

func newDriver(c Channel, ended func(*driver)) *driver {
	d := &driver{Channel: c, ended: ended}
	d.remote, _ = c.(Remote)
	d.users.Store(1)
	return d
}

func (d *driver) take() *driver {
	d.users.Add(1)
	return d
}

// release undoes a take; the last one closes the driver.
func (d *driver) release() {
	if d.users.Add(-1) == 0 {
		d.ended(d)
	}
}

// workerPool is a channel sender's workers with their queue. Workers start when there is work
// and end when the sender has been idle.
type workerPool struct {
	mu       sync.Mutex // guards the fields below
	cond     *sync.Cond
	waiting  []*batch // first in, first out
	workers  int
	idle     int
	stopping bool // workers end when the queue is empty
}

func newWorkerPool() *workerPool {
	w := &workerPool{}
	w.cond = sync.NewCond(&w.mu)
	return w
}

// submit queues b and reports whether to start another worker, of at most limit.
func (w *workerPool) submit(b *batch, limit int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopping = false
	w.waiting = append(w.waiting, b)
	if w.idle >= len(w.waiting) || w.workers >= limit {
		w.cond.Signal()
		return false
	}
	w.workers++
	return true
}

// next waits for a batch. It returns nil if the worker must end, because of stopIdle or the limit.
func (w *workerPool) next(limit int) *batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) == 0 {
		if w.stopping || w.workers > limit {
			w.workers--
			return nil
		}
		w.idle++
		w.cond.Wait()
		w.idle--
	}
	b := w.waiting[0]
	w.waiting[0] = nil
	if w.waiting = w.waiting[1:]; len(w.waiting) == 0 {
		w.waiting = nil
	}
	return b
}

// empty reports whether no batch waits for a worker.
func (w *workerPool) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) == 0
}

// remove removes the batches that wait for a worker and are unwanted, and returns them.
func (w *workerPool) remove(unwanted func(*batch) bool) []*batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	var removed []*batch
	w.waiting, removed = partition(w.waiting, unwanted)
	return removed
}

// partition takes the unwanted batches out of a list.
func partition(list []*batch, unwanted func(*batch) bool) (kept, removed []*batch) {
	kept = slices.DeleteFunc(list, func(b *batch) bool {
		if !unwanted(b) {
			return false
		}
		removed = append(removed, b)
		return true
	})
	return kept, removed
}

// stopIdle ends workers without work.
func (w *workerPool) stopIdle() {
	w.mu.Lock()
	w.stopping = true
	w.cond.Broadcast()
	w.mu.Unlock()
}
