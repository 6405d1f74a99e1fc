package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/failpoint"
	"campaignd/internal/store"
)

// baseWriter writes bases, one at a time.
type baseWriter struct {
	log    *Log
	source LogSource
	done   chan struct{} // closed when the last one has ended; nil: there was none
	failed time.Time     // when the last one failed
}

// baseRetry is how long after a failure the next base begins.
const baseRetry = time.Second

// start begins a base unless one is being written.
func (b *baseWriter) start(ctx context.Context) {
	if b.done != nil {
		select {
		case <-b.done:
		default:
			return
		}
	}
	if time.Since(b.failed) < baseRetry {
		return
	}
	b.done = make(chan struct{})
	go func() {
		defer close(b.done)
		l := b.log
		l.setBasing(true)
		defer l.setBasing(false)
		began := time.Now()
		at, err := l.writeBase(ctx, b.source)
		switch {
		case err == nil:
			l.log.Info("the log has a new base of the store", "at", at.String(), "took", time.Since(began).Round(time.Millisecond).String())
			return
		case errors.Is(err, errBaseTooEarly): // at once again
			return
		case ctx.Err() == nil && l.Err() == nil && !errors.Is(err, store.ErrBusy) && !errors.Is(err, errBaseStopped):
			l.log.Error("cannot write a base of the store to the log; trying again", "err", err)
		}
		b.failed = time.Now()
	}()
}

func (b *baseWriter) wait() {
	if b.done != nil {
		<-b.done
	}
}

func (l *Log) setBasing(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.basing = on
	l.wake()
}

// writeBase writes a base, and then purges what it replaces. What can't be purged now is purged
// with the next base.
func (l *Log) writeBase(ctx context.Context, source LogSource) (at store.Position, err error) {
	l.mu.Lock()
	b := base{log: l, losses: l.losses, from: l.setFrom, urgent: !l.complete}
	if !l.required { // sets appended from here on continue the base
		l.based = true
	}
	before := l.sinceBase
	l.sinceBase = 0
	l.mu.Unlock()
	failpoint.At(failpoint.BaseBegun)
	defer func() {
		if err != nil {
			l.mu.Lock()
			l.sinceBase += before
			l.mu.Unlock()
		}
	}()
	err = source.Snapshot(b.urgent, b.begin, func(packed []byte) error { return b.put(ctx, logChunk, chunkBody(b.number, packed)) })
	if err != nil {
		return b.at, err
	}
	body, err := json.Marshal(completeBase{Number: b.number, From: b.from, Size: b.size})
	if err != nil {
		return b.at, err
	}
	if err := b.put(ctx, logComplete, body); err != nil {
		return b.at, err
	}
	if err := b.acknowledged(ctx); err != nil {
		return b.at, err
	}
	if !b.install() {
		return b.at, errBaseStopped
	}
	if err := l.purge(ctx, b.from); err != nil && ctx.Err() == nil {
		l.log.Warn("what a base of the store replaces stays in the log until the next one", "err", err)
	}
	return b.at, nil
}

// base is a base being written.
type base struct {
	log    *Log
	losses uint64 // of the log when it began
	urgent bool   // commits may be waiting for it
	from   uint64 // sequence after which the sets continue it
	number uint64
	at     store.Position
	size   int64
	last   chan struct{} // closed when the last message is acknowledged
}

// begin takes the position of the copy. A set that was appended before and that the copy lacks is
// the last one before it: only one commit is between its append and the disk.
func (b *base) begin(at store.Position, size int64) error {
	l := b.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.Commit < l.dropped {
		return errBaseTooEarly
	}
	b.at, b.size, b.number = at, size, l.index+1
	return nil
}

// baseUnacked limits the unacknowledged bytes in whose company a base goes on: a write set waits
// for those before it.
const baseUnacked = 1 << 20

// put appends a message of the base, in parts, when there is room for it.
func (b *base) put(ctx context.Context, kind byte, body []byte) error {
	l := b.log
	if err := b.until(ctx, func() bool { return l.linked && l.unacked < min(baseUnacked, l.window/2) }); err != nil {
		return err
	}
	defer l.mu.Unlock()
	parts := logParts(body, l.partLimit())
	for i, part := range parts {
		p := l.message(&logMessage{kind: kind, at: b.at, part: uint64(i), more: i < len(parts)-1, body: part})
		p.done = make(chan struct{})
		b.last = p.done
		l.publish(p)
	}
	return nil
}

// until waits until ok is true, and returns with l.mu locked. It fails when the log ends, is lost
// or doesn't move: a copy of the store must not last long.
func (b *base) until(ctx context.Context, ok func() bool) error {
	l := b.log
	stalled := time.After(2 * callTimeout)
	l.mu.Lock()
	for {
		var err error
		switch {
		case l.err != nil:
			err = l.err
		case l.losses != b.losses:
			err = errBaseStopped
		case ok():
			return nil
		}
		changed := l.changed
		l.mu.Unlock()
		if err == nil {
			select {
			case <-changed:
			case <-ctx.Done():
				err = ctx.Err()
			case <-stalled:
				err = errBaseStopped
			}
		}
		if err != nil {
			return fmt.Errorf("write base: %w", err)
		}
		l.mu.Lock()
	}
}

// acknowledged waits for the last message.
func (b *base) acknowledged(ctx context.Context) error {
	err := b.until(ctx, func() bool {
		select {
		case <-b.last:
			return true
		default:
			return false
		}
	})
	if err == nil {
		b.log.mu.Unlock()
	}
	return err
}

// install makes the log continue the base, unless it was lost meanwhile.
func (b *base) install() bool {
	l := b.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.losses != b.losses || l.dropped > b.at.Commit {
		return false
	}
	l.complete, l.based, l.lost, l.baseSize = true, true, false, b.size
	waiting := l.waiting
	l.waiting = nil
	for _, e := range waiting {
		if e.at.Commit <= b.at.Commit {
			close(e.done)
		} else {
			l.appendSet(e)
		}
	}
	if l.linked && len(l.pending) == 0 {
		l.behindFrom = time.Time{}
	}
	l.notify()
	return true
}

// purge removes the messages up to a sequence.
func (l *Log) purge(ctx context.Context, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	stream, err := l.conn.stream(ctx, l.conn.Names.LogStream())
	if err == nil && sequence > 0 {
		err = stream.Purge(ctx, jetstream.WithPurgeSequence(sequence+1))
	}
	if err != nil {
		return fmt.Errorf("purge log: %w", err)
	}
	return nil
}
