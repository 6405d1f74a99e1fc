package sendtest

import (
	"runtime"
	"testing"

	"campaignd/internal/send"
)

// Behavior of the servers of these tests. They aren't cases, because they take more than one message, or none.
const (
	expired    Case = "token refused once" // the second request
	heldAnswer Case = "answer held by the test"
)

// expiry makes a receiver refuse a token once that it accepted before. The driver reports that for one
// message only and works again afterwards.
func (d Driver) expiry(t *testing.T, refused Want) {
	s := newServer(t, expired, d.Reply)
	c := d.New(t, s.URL(), answerTimeout)
	defer closed(t, c)
	for n, want := range []Want{{Verdict: send.VerdictSent}, refused, {Verdict: send.VerdictSent}} {
		check(t, once(t, t.Context(), c, d.message(t, c, n)), want)
	}
	if n := s.requests.Load(); n != 3 {
		t.Errorf("%d requests for three messages, want 3", n)
	}
}

// shutdown closes the driver while a message waits for its answer. The answer still counts, and no
// goroutine is left.
func (d Driver) shutdown(t *testing.T) {
	s := newServer(t, heldAnswer, d.Reply)
	before := runtime.NumGoroutine()
	c := d.New(t, s.URL(), answerTimeout)
	m, results, done := d.message(t, c, 1), make([]send.Result, 1), make(chan struct{})
	go func() {
		defer close(done)
		c.Send(t.Context(), []*send.Message{m}, results)
	}()
	select {
	case <-s.reached:
	case <-done:
	}
	closed(t, c)
	close(s.release)
	<-done
	if results[0].Verdict != send.VerdictSent {
		t.Errorf("closed while waiting: %+v, want sent", results[0])
	}
	s.Close()
	waitForGoroutines(t, before)
}
