package send

import "sync"

// tasks runs short work on one sending, each in its own goroutine, so that work on a large one
// doesn't hold up the scheduler or a channel sender.
type tasks struct {
	mu      sync.Mutex // guards stopped, and keeps tasks from starting during the wait
	stopped bool
	wg      sync.WaitGroup
}

// run starts work. After end it does the work before it returns, so that a cancel or resume during
// the stop leaves nothing behind that uses the store.
func (s *tasks) run(work func()) {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		work()
		return
	}
	s.wg.Go(work)
	s.mu.Unlock()
}

// end waits for the tasks under way. Call it after everything that starts tasks has ended: the
// scheduler, the channel senders and their workers.
func (s *tasks) end() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.wg.Wait()
}
