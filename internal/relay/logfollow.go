package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/store"
)

// LogInfo describes the log.
type LogInfo struct {
	Exists   bool
	Sequence uint64 // of the last message; 0: it is empty
	Bytes    uint64
	Created  time.Time
	Epoch    uint64         // of the last fence
	Position store.Position // after its last write set; of its base where that is newer: by a later hub, or of a later commit
	Base     bool           // it holds a complete base

	first   uint64
	lastSet uint64 // sequence of the last part of the last complete write set
	base    completeBase
	baseAt  store.Position
	baseBy  writerID
	baseSeq uint64 // of the message that completes it
}

// sequenced is a log message with its sequence.
type sequenced struct {
	logMessage
	sequence uint64
}

// Newest describes the log as it is now.
func (l *Log) Newest(ctx context.Context) (info LogInfo, err error) {
	stream, err := l.open(ctx)
	if err != nil || stream == nil {
		return info, err
	}
	state := stream.CachedInfo().State
	info = LogInfo{Exists: true, Sequence: state.LastSeq, Bytes: state.Bytes, Created: stream.CachedInfo().Created.UTC(), first: state.FirstSeq}
	fence, err := l.lastOf(ctx, stream, logFence)
	if err != nil {
		return info, err
	}
	if fence != nil {
		info.Epoch = fence.epoch
	}
	complete, err := l.lastOf(ctx, stream, logComplete)
	if err != nil {
		return info, err
	}
	if complete != nil {
		if info.base, err = complete.base(); err != nil {
			return info, err
		}
		info.Base, info.baseAt, info.baseBy, info.baseSeq = true, complete.at, complete.writer, complete.sequence
		info.Position, info.Epoch = complete.at, max(info.Epoch, complete.epoch)
	}
	set, err := l.lastOf(ctx, stream, logSet)
	if err != nil {
		return info, err
	}
	if set != nil {
		info.lastSet = set.sequence
		info.Epoch = max(info.Epoch, set.epoch)
		if complete == nil || set.epoch > complete.epoch || set.epoch == complete.epoch && set.at.Commit >= complete.at.Commit {
			info.Position = set.at
		}
	}
	return info, nil
}

// open returns the stream, nil if there is none. A stream of before, whose replicas answer reads, is changed.
func (l *Log) open(ctx context.Context) (jetstream.Stream, error) {
	stream, err := l.conn.stream(ctx, l.conn.Names.LogStream())
	if err == nil && stream.CachedInfo().Config.AllowDirect {
		config := stream.CachedInfo().Config
		config.AllowDirect = false
		stream, err = l.conn.js.UpdateStream(ctx, config)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", l.conn.Names.LogStream(), err)
	}
	return stream, nil
}

// lastOf returns the last message of a kind that is the last part of its set, nil if there is none.
func (l *Log) lastOf(ctx context.Context, stream jetstream.Stream, kind byte) (*sequenced, error) {
	subject := l.conn.Names.logSubject(kind)
	raw, err := lastMessage(ctx, stream, subject)
	for {
		if raw == nil && errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, nil
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, fmt.Errorf("read log: %w", err)
		}
		seq := raw.Sequence
		if err == nil && raw.Subject == subject {
			m, err := decodeLog(raw.Data)
			if err == nil && m.kind == kind && !m.more {
				return &sequenced{m, seq}, nil
			}
			if errors.Is(err, ErrLogVersion) {
				return nil, err
			}
		}
		if seq <= stream.CachedInfo().State.FirstSeq {
			return nil, nil
		}
		next, more := message(ctx, stream, seq-1)
		if next == nil {
			next = &jetstream.RawStreamMsg{Sequence: seq - 1}
		}
		raw, err = next, more
	}
}

// CatchUp applies to f what the log holds beyond its position, to the end and no further, and returns
// what it saw of the log, for Fence. With bases a copy that the sets don't continue is replaced by the
// log's base; else the error is store.ErrGap. Without bases a store that has more than the log is left
// as it is if nobody has led since: it is the hub's own. ErrLogLost says that there is no log, that it
// can't complete the copy, or that it has less than the copy: then its end is lost, and more than the
// copy has may be.
func (l *Log) CatchUp(ctx context.Context, f *store.Follower, bases bool) (info LogInfo, err error) {
	info, err = l.Newest(ctx)
	if err != nil {
		return info, err
	}
	if !info.Exists || info.Position == (store.Position{}) {
		return info, ErrLogLost
	}
	at := f.Position()
	own := at.Epoch == info.Position.Epoch || at.Epoch == info.Epoch // the last set's, or the last fence's
	if at == info.Position || !bases && own && ahead(at, info.Position) {
		return info, nil
	}
	r := &logReader{log: l, f: f, note: func(uint64, time.Time) {}, created: info.Created}
	err = r.continueTo(ctx, info)
	if errors.Is(err, store.ErrGap) && bases {
		if err = r.fetchBase(ctx, info); err == nil {
			err = r.sets(ctx, info.base.From+1, info.lastSet)
		}
		if err == nil && f.Position() != info.Position {
			err = ErrLogLost
		}
		if errors.Is(err, store.ErrGap) {
			err = fmt.Errorf("%w: %w", ErrLogLost, err)
		}
	}
	return info, err
}

// ahead reports whether a store at one position has more than the log, by the same hub or a later one.
func ahead(at, log store.Position) bool {
	return at.Tag == log.Tag && (at.Epoch > log.Epoch || at.Epoch == log.Epoch && at.Commit > log.Commit)
}

// logReader reads the log into a copy.
type logReader struct {
	log  *Log
	f    *store.Follower
	note func(behind uint64, at time.Time) // called after each group of sets; at is zero, or a time at which the log had no more

	created time.Time // of the stream being read; zero: not known yet
	seen    uint64    // sequence of the last message taken; 0: none yet
	missed  time.Time // when a look first found sets that hadn't arrived; zero: the last look found none
	missing uint64    // seen at that look
	tried   baseID    // the last base that was fetched
	refused error     // why it couldn't be used; nil: it was installed
}

// baseID names a base.
type baseID struct {
	writer writerID
	number uint64
}

// continueTo applies the sets that continue the copy, up to info's last. It returns store.ErrGap
// when they don't, and ErrLogLost when the copy has more.
func (r *logReader) continueTo(ctx context.Context, info LogInfo) error {
	at := r.f.Position()
	switch {
	case at == store.Position{}:
		return store.ErrGap
	case at == info.Position:
		return nil
	case ahead(at, info.Position):
		return fmt.Errorf("%w: it ends at %s, before the copy at %s", ErrLogLost, info.Position, at)
	}
	from, err := r.search(ctx, info, at.Commit)
	if err != nil {
		return err
	}
	if err := r.sets(ctx, from, info.lastSet); err != nil {
		return err
	}
	if at := r.f.Position(); at != info.Position {
		return fmt.Errorf("%w: it is at %s, the log at %s", store.ErrGap, at, info.Position)
	}
	return nil
}

// search returns the sequence of the first set of a later commit.
func (r *logReader) search(ctx context.Context, info LogInfo, commit uint64) (uint64, error) {
	stream, err := r.log.open(ctx)
	if err != nil {
		return 0, err
	}
	if stream == nil {
		return 0, ErrLogLost
	}
	low, high := info.first, info.lastSet+1
	for low < high {
		middle := low + (high-low)/2
		m, err := r.setFrom(ctx, stream, middle)
		if err != nil {
			return 0, err
		}
		if m == nil || m.sequence >= high || m.at.Commit > commit {
			high = middle
		} else {
			low = m.sequence + 1
		}
	}
	return low, nil
}

// setFrom returns the first part of a set at a sequence or after it, nil if there is none.
func (r *logReader) setFrom(ctx context.Context, stream jetstream.Stream, seq uint64) (*sequenced, error) {
	for {
		raw, err := message(ctx, stream, seq, jetstream.WithGetMsgSubject(r.log.conn.Names.logSubject(logSet)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		m, err := decodeLog(raw.Data)
		if errors.Is(err, ErrLogVersion) {
			return nil, err
		}
		if err == nil && m.kind == logSet {
			return &sequenced{m, raw.Sequence}, nil
		}
		seq = raw.Sequence + 1
	}
}

// Limits of reading.
const (
	readBytes   = 4 << 20                // fetched and not taken yet
	readCount   = 1024                   // messages of these; without a limit the client reserves memory for a million
	applyBytes  = 2 << 20                // of sets applied at once
	applyWithin = 25 * time.Millisecond  // sets that arrive within this are applied at once
	readPoll    = 500 * time.Millisecond // how often a reader without messages looks at the stream
)

// messages calls fn with the messages of a kind from a sequence on. fn returns false at the end.
// Without a message for readPoll it calls fn with nil.
func (r *logReader) messages(ctx context.Context, kind byte, from uint64, fn func(m *sequenced, pending uint64) (more bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrived, err := r.log.conn.read(ctx, r.log.conn.Names.LogStream(), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{r.log.conn.Names.logSubject(kind)}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
	}, jetstream.PullMaxMessagesWithBytesLimit(readCount, readBytes))
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	wait := time.NewTimer(readPoll)
	defer wait.Stop()
	for {
		var m *sequenced
		var pending uint64
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-arrived:
			if a.err != nil {
				return fmt.Errorf("read log: %w", a.err)
			}
			if m, pending, err = r.decode(a.msg, kind); err != nil {
				return err
			}
			wait.Reset(applyWithin)
			if m == nil {
				continue
			}
		case <-wait.C:
			wait.Reset(readPoll)
		}
		if more, err := fn(m, pending); err != nil || !more {
			return err
		}
	}
}

// decode returns a message, nil if it isn't one of the log.
func (r *logReader) decode(msg jetstream.Msg, kind byte) (*sequenced, uint64, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, 0, fmt.Errorf("read log: %w", err)
	}
	m, err := decodeLog(msg.Data())
	if errors.Is(err, ErrLogVersion) {
		return nil, 0, err
	}
	if err != nil || m.kind != kind {
		r.log.log.Warn("the log holds a message of another program", "stream", r.log.conn.Names.LogStream(), "sequence", meta.Sequence.Stream)
		return nil, 0, nil
	}
	return &sequenced{m, meta.Sequence.Stream}, meta.NumPending, nil
}
