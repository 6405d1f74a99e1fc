package send

import "sync"

// steps are short work on one sending, each in a goroutine of its own, so that a
// large one doesn't keep the scheduler or a lane from the others.
type steps struct {
	mu    sync.Mutex // guards over, and that no step starts beside the wait
	over  bool
	under sync.WaitGroup
}

// run starts work. Once end was called, it does it before it returns: a cancel or
// a resume that comes while all stops leaves nothing behind that uses the books.
func (s *steps) run(work func()) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		work()
		return
	}
	s.under.Go(work)
	s.mu.Unlock()
}

// end waits for the steps under way. It is called when those that start them
// from within, the scheduler, the lanes and their workers, have ended.
func (s *steps) end() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.under.Wait()
}
