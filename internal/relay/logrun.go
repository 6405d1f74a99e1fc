package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/codec"
	"campaignd/internal/store"
)

// LogSource is the store whose log it is.
type LogSource interface {
	Position() (store.Position, error)
	Snapshot(urgent bool, begin func(at store.Position, size int64) error, chunk func(packed []byte) error) error
}

const (
	logPoll  = 200 * time.Millisecond // how often Run looks after what it appended
	logCheck = time.Second            // how often it looks at the stream while nothing is appended
)

// Fence makes this process the one that appends: the next append of any other hub fails. seen is the
// log as CatchUp saw it; at is the position of the store that will lead. It returns ErrLogMoved when
// somebody has appended since, or CatchUp saw less than there was, and else the new epoch.
func (l *Log) Fence(ctx context.Context, seen LogInfo, at store.Position) (epoch uint64, err error) {
	if !seen.Exists { // else it is left alone: only the leader of all servers can create one
		if err := l.conn.declareLog(ctx); err != nil {
			return 0, err
		}
	}
	info, err := l.Newest(ctx)
	if err != nil {
		return 0, err
	}
	if !info.Exists || info.Sequence != seen.Sequence || info.Position != seen.Position {
		return 0, ErrLogMoved
	}
	l.mu.Lock()
	l.epoch = max(at.Epoch, info.Epoch, info.Position.Epoch) + 1
	l.end, l.complete = info.Position, info.Base
	l.sinceBase = int64(info.Bytes)
	l.mu.Unlock()
	if err := l.fence(ctx, info.Created, info.Sequence, at); err != nil {
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
	defer l.Close()
	acks, err := l.conn.nc.Subscribe(l.inbox+".>", l.takeAck)
	if err != nil {
		return fmt.Errorf("run log: %w", err)
	}
	defer acks.Unsubscribe() //nolint:errcheck // it ends with the connection at the latest
	at, err := source.Position()
	if err != nil {
		return fmt.Errorf("run log: %w", err)
	}
	l.mu.Lock()
	if at != l.end {
		l.complete = false
	}
	l.newest = at.Commit
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
	checked := time.Now()
	for {
		if time.Since(checked) > logCheck {
			l.check(ctx)
			checked = time.Now()
		}
		l.look(ctx, b)
		select {
		case <-ctx.Done():
			return l.deposition()
		case <-l.ended:
			return l.deposition()
		case <-l.kick:
		case <-ticker.C:
		}
	}
}

// deposition returns store.ErrDeposed if another hub leads, else nil.
func (l *Log) deposition() error {
	if err := l.Err(); errors.Is(err, store.ErrDeposed) {
		return err
	}
	return nil
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

// check notices that the log was lost, or that another hub leads, while nothing is appended.
func (l *Log) check(ctx context.Context) {
	l.mu.Lock()
	idle, last, created := l.linked && len(l.pending) == 0, l.last, l.created
	l.mu.Unlock()
	if !idle || !l.conn.Connected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	stream, err := l.open(ctx)
	if err != nil {
		return // an append would show it
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.last != last:
	case stream == nil:
		l.unlink("the stream " + l.conn.Names.LogStream() + " is gone")
	case !stream.CachedInfo().Created.UTC().Equal(created) || stream.CachedInfo().State.LastSeq != last:
		l.unlink("the stream " + l.conn.Names.LogStream() + " was changed by somebody else")
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
	stream, err := l.open(ctx)
	if err == nil && stream == nil {
		if err := l.conn.declareLog(ctx); err != nil {
			return err
		}
		stream, err = l.open(ctx)
	}
	switch {
	case err != nil:
		return err
	case stream == nil:
		return ErrLogLost
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
	raw, err := message(ctx, stream, seq)
	if state := stream.CachedInfo().State; errors.Is(err, jetstream.ErrMsgNotFound) && (seq < state.FirstSeq || state.NumDeleted > 0) {
		return nil // somebody has deleted it
	}
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	m, err := decodeLog(raw.Data)
	if errors.Is(err, codec.ErrMalformed) {
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
	until := "the hub goes on, and a takeover would lack what it does until the store is in a new log"
	if l.required {
		until = "nothing is committed or handed out until the store is in a new log"
	}
	l.log.Error("the log of the store in NATS was lost: "+until, "stream", l.conn.Names.LogStream())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losses++
	l.complete, l.based, l.lost = false, false, true
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
