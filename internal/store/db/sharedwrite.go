package db

import "sync"

// SharedWrite puts the requests that arrive while a transaction runs into the next one: whoever gets the turn
// writes for all that wait. The zero value is ready for use. store.Commit does more, because its callers come by
// the thousand: it waits for those that are on their way, and begins the next transaction before the last one
// is acknowledged.
type SharedWrite[T any] struct {
	turn sync.Mutex // held by the caller that writes

	mu      sync.Mutex // guards waiting
	waiting []*writeRequest[T]
}

// writeRequest is one call of Do. done and err are guarded by turn.
type writeRequest[T any] struct {
	what T
	done bool
	err  error
}

// Do returns when what was written, by this call of write or another caller's. write gets all that wait, in the
// order of their calls, and its error is everybody's.
func (w *SharedWrite[T]) Do(what T, write func([]T) error) error {
	own := &writeRequest[T]{what: what}
	w.mu.Lock()
	w.waiting = append(w.waiting, own)
	w.mu.Unlock()
	w.turn.Lock()
	defer w.turn.Unlock()
	if own.done {
		return own.err
	}
	w.mu.Lock()
	batch := w.waiting
	w.waiting = nil
	w.mu.Unlock()
	list := make([]T, len(batch))
	for i, one := range batch {
		list[i] = one.what
	}
	err := write(list)
	for _, one := range batch {
		one.done, one.err = true, err
	}
	return err
}
