// Package keylock locks keys individually: holders of different keys don't wait for each other.
// It is a room of its own because intake locks sendings with it, daemon requests, and media uploads.
package keylock

import (
	"context"
	"sync"
)

// Locks is a set of locks, one for each key. The zero value holds none and is ready for use.
type Locks[K comparable] struct {
	mu   sync.Mutex // guards held
	held map[K]chan struct{}
}

// Lock waits until nobody else holds key.
func (l *Locks[K]) Lock(key K) (unlock func()) {
	unlock, _ = l.LockContext(context.Background(), key) // fails only when the context ends
	return unlock
}

// LockContext waits until nobody else holds key, or ctx has ended. The error is then that of ctx.
func (l *Locks[K]) LockContext(ctx context.Context, key K) (unlock func(), err error) {
	mine := make(chan struct{})
	for {
		other := l.take(key, mine)
		if other == nil {
			return func() { l.release(key, mine) }, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take makes mine the holder of a free key, or returns the channel that its holder closes.
func (l *Locks[K]) take(key K, mine chan struct{}) (other chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other = l.held[key]; other != nil {
		return other
	}
	if l.held == nil {
		l.held = map[K]chan struct{}{}
	}
	l.held[key] = mine
	return nil
}

func (l *Locks[K]) release(key K, mine chan struct{}) {
	l.mu.Lock()
	delete(l.held, key)
	l.mu.Unlock()
	close(mine)
}
