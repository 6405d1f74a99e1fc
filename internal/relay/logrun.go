package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/store"
)

// LogSource is the store whose log it is.
type LogSource interface {
	Position() (store.Position, error)
	Snapshot(urgent bool, begin func(at store.Position, size int64) error, chunk func(packed []byte) error) error
}

// logPoll is how often Run looks after the log.
const logPoll = 200 * time.Millisecond

// Fence makes this process the one that appends: the next append of any other hub fails. sequence is
// the log's last one as CatchUp saw it, 0 for a new log; at is the position of the store that will
// lead. It returns ErrLogMoved when somebody has appended since, and else the new epoch.
func (l *Log) Fence(ctx context.Context, sequence uint64, at store.Position) (epoch uint64, err error) {
	if err := l.conn.declareLog(ctx); err != nil {
		return 0, err
	}
	info, err := l.Newest(ctx)
	if err != nil {
		return 0, err
	}
	if !info.Exists || info.Sequence != sequence {
		return 0, ErrLogMoved
	}
	l.mu.Lock()
	l.epoch = max(at.Epoch, info.Epoch, info.Position.Epoch) + 1
	l.end, l.complete = info.Position, info.Base
	l.sinceBase = int64(info.Bytes)
	l.mu.Unlock()
	if err := l.fence(ctx, info.Created, sequence, at); err != nil {
		return 0, err
	}
	return l.epoch, nil
}

// fence appends a fence to the stream that was created then and whose last sequence it is.
func (l *Log) fence(ctx context.Context, created time.Time, last uint64, at store.Position) error {
	l.mu.Lock()
	p := l.message(&logMessage{kind: logFence, at: at})
	l.mu.Unlock()
	ack, err := l.conn.js.PublishMsg(ctx, &nats.Msg{Subject: l.conn.Names.logSubject(logFence), Data: p.data},
		jetstream.WithExpectLastSequence(last), jetstream.WithExpectStream(l.conn.Names.LogStream()), jetstream.WithRetryAttempts(0))
	if err != nil {
		if wrongSequence(err) {
			return ErrLogMoved
		}
		return fmt.Errorf("append to log: %w", err)
	}
	l.mu.Lock()
	l.created, l.last, l.acked, l.setFrom = created, ack.Sequence, ack.Sequence, ack.Sequence
	l.mu.Unlock()
	return nil
}

func wrongSequence(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// Run publishes what is appended, and repairs the log, until ctx ends or another hub deposes this
// one; then it returns store.ErrDeposed. Call it after Fence, and Replicate of the store after it
// has begun. When it returns the log is closed.
func (l *Log) Run(ctx context.Context, source LogSource) error {
	acks, err := l.conn.nc.Subscribe(l.inbox+".>", l.takeAck)
	if err != nil {
		return fmt.Errorf("run log: %w", err)
	}
	defer acks.Unsubscribe() //nolint:errcheck // it ends with the connection at the latest
	defer l.Close()
	at, err := source.Position()
	if err != nil {
		return fmt.Errorf("run log: %w", err)
	}
	l.mu.Lock()
	if at != l.end {
		l.complete = false
	}
	l.linked, l.based = true, l.complete
	if !l.based {
		l.noteBehind()
	}
	l.notify()
	l.mu.Unlock()

	b := &baseWriter{log: l, source: source}
	defer b.wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticker := time.NewTicker(logPoll)
	defer ticker.Stop()
	for {
		l.look(ctx, b)
		select {
		case <-ctx.Done():
			return nil
		case <-l.ended:
			if err := l.Err(); errors.Is(err, store.ErrDeposed) {
				return err
			}
			return nil
		case <-l.kick:
		case <-ticker.C:
		}
	}
}

// look repairs the log where it must be, and starts a base when one is needed.
func (l *Log) look(ctx context.Context, b *baseWriter) {
	l.mu.Lock()
	if len(l.pending) > 0 && l.linked && time.Since(l.pending[0].sent) > callTimeout {
		l.unlink("NATS doesn't acknowledge")
	}
	linked := l.linked
	due := !l.complete || l.sinceBase > max(l.baseAfter, l.baseSize)
	l.mu.Unlock()
	if !linked && l.conn.Connected() {
		linked = l.tryRepair(ctx)
	}
	if linked && due && ctx.Err() == nil {
		b.start(ctx)
	}
}

func (l *Log) tryRepair(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := l.repair(ctx)
	switch {
	case err == nil:
		return true
	case errors.Is(err, store.ErrDeposed):
		l.finish(err)
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded):
		l.mu.Lock()
		l.problem = err.Error()
		l.mu.Unlock()
	}
	return false
}

// repair finds out what the log holds, and publishes again what it doesn't.
func (l *Log) repair(ctx context.Context) error {
	name := l.conn.Names.LogStream()
	stream, err := l.conn.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err := l.conn.declareLog(ctx); err != nil {
			return err
		}
		stream, err = l.conn.js.Stream(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("open stream %s: %w", name, err)
	}
	info := stream.CachedInfo()
	l.mu.Lock()
	again := info.Created.UTC().Equal(l.created)
	lost := !again || info.State.LastSeq < l.acked
	from := l.acked
	l.mu.Unlock()
	if lost {
		return l.restart(ctx, stream, again)
	}
	for seq := from + 1; seq <= info.State.LastSeq; seq++ {
		if err := l.recognize(ctx, stream, seq); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = info.State.LastSeq
	l.relink()
	return nil
}

// recognize takes a message that the stream holds for acknowledged if it is one of ours, and reports
// whether another hub has appended it. Messages of other programs are skipped.
func (l *Log) recognize(ctx context.Context, stream jetstream.Stream, seq uint64) error {
	raw, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	m, err := decodeLog(raw.Data)
	if errors.Is(err, errMalformed) {
		l.log.Warn("the log holds a message of another program", "stream", l.conn.Names.LogStream(), "sequence", seq)
		return nil
	}
	if err != nil || m.writer != l.writer {
		return store.ErrDeposed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledge(m.index, seq)
	return nil
}

// relink publishes everything pending again. l.mu is held.
func (l *Log) relink() {
	l.last = l.acked
	l.setFrom = min(l.setFrom, l.last)
	l.round++
	l.linked, l.problem = true, ""
	for _, p := range l.pending {
		l.send(p)
	}
	if l.linked && l.complete && len(l.pending) == 0 {
		l.behindFrom = time.Time{}
	}
	l.notify()
}

// restart begins a log that was lost, or that has lost its end. again says that it is the same stream.
func (l *Log) restart(ctx context.Context, stream jetstream.Stream, again bool) error {
	raw, err := l.lastOf(ctx, stream, logFence)
	if err != nil {
		return err
	}
	l.mu.Lock()
	at, epoch := l.end, l.epoch
	l.mu.Unlock()
	if raw != nil && raw.writer != l.writer && (!again || raw.epoch >= epoch) {
		return store.ErrDeposed
	}
	info := stream.CachedInfo()
	if err := l.fence(ctx, info.Created.UTC(), info.State.LastSeq, at); err != nil {
		return err
	}
	l.log.Warn("the log of the store was lost; a new base is written", "stream", l.conn.Names.LogStream())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losses++
	l.complete, l.based = false, false
	l.noteBehind()
	for _, p := range l.pending {
		if p.entry == nil {
			continue
		}
		if l.required {
			l.waiting = append(l.waiting, p.entry)
		} else {
			l.dropped = max(l.dropped, p.entry.at.Commit)
		}
	}
	l.pending, l.unacked = nil, 0
	l.relink()
	return nil
}

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
			l.log.Info("the log has a new base", "at", at.String(), "took", time.Since(began).Round(time.Millisecond))
			return
		case errors.Is(err, errBaseTooEarly): // at once again
			return
		case ctx.Err() == nil && l.Err() == nil && !errors.Is(err, store.ErrBusy) && !errors.Is(err, errBaseStopped):
			l.log.Error("cannot write a base of the store to the log; trying again", "error", err)
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

// writeBase writes a base, and then purges what it replaces.
func (l *Log) writeBase(ctx context.Context, source LogSource) (at store.Position, err error) {
	l.mu.Lock()
	b := base{log: l, losses: l.losses, from: l.setFrom, urgent: !l.complete}
	if !l.required { // sets appended from here on continue the base
		l.based = true
	}
	l.sinceBase = 0
	l.mu.Unlock()
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
	return b.at, l.purge(ctx, b.from)
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
		l.sinceBase = 0
		return errBaseTooEarly
	}
	b.at, b.size, b.number = at, size, l.index+1
	return nil
}

// put appends a message of the base, in parts, when there is room for it.
func (b *base) put(ctx context.Context, kind byte, body []byte) error {
	l := b.log
	if err := b.until(ctx, func() bool { return l.linked && l.unacked < l.window/2 }); err != nil {
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
	stalled := time.NewTimer(2 * callTimeout)
	defer stalled.Stop()
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
			case <-stalled.C:
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
	l.complete, l.based, l.baseSize = true, true, b.size
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
	stream, err := l.conn.js.Stream(ctx, l.conn.Names.LogStream())
	if err == nil && sequence > 0 {
		err = stream.Purge(ctx, jetstream.WithPurgeSequence(sequence+1))
	}
	if err != nil {
		return fmt.Errorf("purge log: %w", err)
	}
	return nil
}
