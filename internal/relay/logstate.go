package relay

import (
	"context"
	"fmt"
	"time"
)

// finish ends the log for good.
func (l *Log) finish(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err, l.linked = err, false
	close(l.ended)
	l.notify()
}

// Close ends every wait with ErrLogClosed: what isn't acknowledged by then may or may not be in the log.
func (l *Log) Close() { l.finish(ErrLogClosed) }

// Deposed is closed when another hub has appended, and by Close.
func (l *Log) Deposed() <-chan struct{} { return l.ended }

// Err returns store.ErrDeposed or ErrLogClosed once the log has ended, else nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Flush waits until everything appended so far is in the log.
func (l *Log) Flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.err != nil:
			return fmt.Errorf("flush log: %w", l.err)
		case l.linked && l.complete && len(l.pending) == 0:
			return nil
		}
		changed := l.changed
		l.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		l.mu.Lock()
		if err != nil {
			return fmt.Errorf("flush log: %w", err)
		}
	}
}

// LogState says how replication is doing.
type LogState struct {
	Replicated bool      // everything appended so far is in the log, or on its way
	Since      time.Time // since when not; zero: it is
	Problem    string    // why not
	Basing     bool      // a base is being written
	Commit     uint64    // of the last set appended
}

// ackLate: after this time without an acknowledgement the log counts as behind.
const ackLate = time.Second

// State returns the state.
func (l *Log) State() LogState {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LogState{Replicated: l.linked && l.complete && l.err == nil, Since: l.behindFrom, Problem: l.problem, Basing: l.basing, Commit: l.newest}
	if len(l.pending) > 0 && s.Since.IsZero() && time.Since(l.pending[0].sent) > ackLate {
		s.Since, s.Replicated, s.Problem = l.pending[0].sent, false, "NATS doesn't acknowledge"
	}
	if s.Replicated && !l.conn.Connected() { // nothing was appended since, which would have shown it
		s.Since, s.Replicated, s.Problem = time.Now(), false, "NATS can't be reached"
	}
	if s.Replicated {
		s.Since, s.Problem = time.Time{}, ""
	} else if s.Problem == "" {
		s.Problem = "the store is being written to the log in NATS"
		if l.lost {
			s.Problem = "the log in NATS was lost, and the store is being written to a new one"
		}
	}
	return s
}
