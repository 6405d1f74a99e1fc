package send

import "sync"

// steps are short work on one sending, each in a goroutine of its own, so that a
// large one doesn't keep the scheduler or a lane from the others.
type tasks struct {
	mu      sync.Mutex // guards over, and that no step starts beside the wait
	stopped bool
	wg      sync.WaitGroup
}

// run starts work. Once end was called, it does it before it returns: a cancel or
// a resume that comes while all stops leaves nothing behind that uses the books.
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

// end waits for the steps under way. It is called when those that start them
// from within, the scheduler, the lanes and their workers, have ended.
func (s *tasks) end() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.wg.Wait()
}
