package sendtest

import (
	"runtime"
	"testing"

	"campaignd/internal/send"
)

// What the servers of these tests do. They are no cases, since they take more than one message, or none.
const (
	expired    Case = "token refused once" // the second request
	heldAnswer Case = "answer held by the test"
)

// expiry has a receiver refuse a token that it took before, and take the next one: the driver
// must say so of that message alone, and not be spoilt by it.
func (d Driver) expiry(t *testing.T, refused Want) {
	s := newServer(t, expired, d.Reply)
	c := d.New(t, s.URL(), answerTimeout)
	defer closed(t, c)
	for n, want := range []Want{{Verdict: send.VerdictSent}, refused, {Verdict: send.VerdictSent}} {
		check(t, once(t, t.Context(), c, d.message(t, c, n)), want)
	}
	if n := s.requests.Load(); n != 3 {
		t.Errorf("%d requests for three messages", n)
	}
}

// shutdown closes the driver while a message waits for its answer: that one is still heard, and
// nothing stays behind.
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
		t.Errorf("closed while it waited: %+v; want sent", results[0])
	}
	s.Close()
	waitForGoroutines(t, before)
}
