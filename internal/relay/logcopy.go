package relay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"campaignd/internal/store"
)

// applyLate is how long a set waits for others at most.
const applyLate = 100 * time.Millisecond

// noEnd is the sequence up to which a copy that follows reads.
const noEnd uint64 = math.MaxUint64

// sets applies the write sets from a sequence up to another; noEnd: until ctx ends, or the log
// changes so that it must be looked at again.
func (r *logReader) sets(ctx context.Context, from, until uint64) error {
	if from > until {
		return nil
	}
	g := &setGroup{reader: r}
	checked, moved := time.Now(), time.Now()
	return r.messages(ctx, logSet, from, func(m *sequenced, pending uint64) (more bool, err error) {
		if m != nil {
			g.add(m)
			r.seen, moved = m.sequence, time.Now()
			g.current.take(pending, moved)
		}
		last := m != nil && m.sequence >= until
		if m == nil || last || g.full() {
			if err := g.apply(pending); err != nil {
				return false, err
			}
		}
		if time.Since(checked) >= readPoll {
			checked = time.Now()
			err = r.check(ctx, from, until)
			switch {
			case err != nil:
			case until == noEnd:
				err = r.lookAround(ctx, from, m == nil)
			case time.Since(moved) > readStall:
				err = errStalled
			}
		}
		return !last, err
	})
}

// lookAround does what is due now and then while the copy follows. While no sets come the log may
// still have gone on: where some are missing, with a base.
func (r *logReader) lookAround(ctx context.Context, from uint64, idle bool) error {
	if err := r.f.Compact(ctx); err != nil || !idle {
		return err
	}
	info, err := r.log.Newest(ctx)
	if err != nil {
		return err
	}
	if max(r.seen+1, from) <= info.lastSet {
		if r.missed.IsZero() || r.missing != r.seen { // they may be on their way
			r.missed, r.missing = time.Now(), r.seen
		}
		if time.Since(r.missed) > readStall {
			return errStalled
		}
		return nil
	}
	r.missed = time.Time{}
	if at := r.f.Position(); at != info.Position {
		return fmt.Errorf("%w: it is at %s, the log at %s", store.ErrGap, at, info.Position)
	}
	r.note(0, time.Now())
	return nil
}

// setGroup is a group of sets that are applied at once.
type setGroup struct {
	reader  *logReader
	parts   logAssembler
	sets    [][]byte
	bytes   int
	since   time.Time
	current currency
}

func (g *setGroup) add(m *sequenced) {
	body, whole := g.parts.add(&m.logMessage)
	if !whole {
		return
	}
	if len(g.sets) == 0 {
		g.since = time.Now()
	}
	if m.part > 0 {
		body = bytes.Clone(body) // the next set's parts take its place
	}
	g.sets, g.bytes = append(g.sets, body), g.bytes+len(body)
}

func (g *setGroup) full() bool {
	return g.bytes >= applyBytes || len(g.sets) > 0 && time.Since(g.since) >= applyLate
}

func (g *setGroup) apply(pending uint64) error {
	sets := g.sets
	g.sets, g.bytes = g.sets[:0], 0
	if len(sets) == 0 {
		return nil
	}
	if err := g.reader.f.Apply(sets...); err != nil {
		return err
	}
	g.reader.note(pending, g.current.applied())
	return nil
}

// check fails when the stream is another one, or has lost what was to be read.
func (r *logReader) check(ctx context.Context, from, until uint64) error {
	stream, err := r.log.open(ctx)
	if err != nil {
		return err
	}
	if stream == nil {
		return ErrLogLost
	}
	info := stream.CachedInfo()
	created := info.Created.UTC()
	if r.created.IsZero() {
		r.created = created
	}
	switch state := info.State; {
	case !created.Equal(r.created), state.LastSeq < r.seen, state.FirstSeq > until, r.seen == 0 && state.FirstSeq > max(from, 1):
		return fmt.Errorf("%w: it was created anew, or cut off", store.ErrGap)
	}
	return nil
}

// readStall is how long nothing may arrive although the log has more. After a server's death it
// can take the client half a minute to notice that its consumer is gone.
const readStall = 3 * time.Second

var errStalled = errors.New("what the log has doesn't arrive")

// fetchBase replaces the copy by the log's base.
func (r *logReader) fetchBase(ctx context.Context, info LogInfo) error {
	if !info.Base {
		return fmt.Errorf("%w: it has no base", ErrLogLost)
	}
	b, err := r.f.NewBase()
	if err != nil {
		return err
	}
	if err := r.receive(ctx, info, b); err != nil {
		return errors.Join(err, b.Discard())
	}
	err = b.Install(info.baseAt, info.base.Size)
	if err != nil && !errors.Is(err, store.ErrNewer) {
		return err
	}
	r.tried, r.refused = baseID{info.baseBy, info.base.Number}, err
	r.note(1, time.Time{}) // sets may follow
	return err
}

// receive adds the chunks of the base to b.
func (r *logReader) receive(ctx context.Context, info LogInfo, b *store.Base) error {
	var parts logAssembler
	moved := time.Now()
	return r.messages(ctx, logChunk, info.base.From+1, func(m *sequenced, pending uint64) (bool, error) {
		if m == nil {
			if time.Since(moved) > readStall {
				return false, errStalled
			}
			return true, r.check(ctx, info.base.From+1, info.baseSeq)
		}
		body, whole := parts.add(&m.logMessage)
		if !whole || m.writer != info.baseBy {
			return true, nil
		}
		number, n := binary.Uvarint(body)
		if n <= 0 || number != info.base.Number {
			return true, nil
		}
		moved, r.seen = time.Now(), m.sequence
		if err := b.Add(body[n:]); err != nil {
			return false, err
		}
		r.log.noteBase(b.Size(), info.base.Size)
		return b.Size() < info.base.Size, nil
	})
}

// Following returns the state of the copy that Follow keeps.
func (l *Log) Following() FollowState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.follow
}

func (l *Log) noteBase(have, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow.Base = float64(have) / float64(max(size, 1))
}

// followRetry is how long Follow waits after a problem.
const followRetry = 500 * time.Millisecond

// Follow keeps f at the end of the log until ctx ends. A problem is in Following, and Follow tries
// again; it never gives up by itself. f is consistent whenever it returns.
func (l *Log) Follow(ctx context.Context, f *store.Follower) {
	r := &logReader{log: l, f: f, note: func(behind uint64, at time.Time) { l.noteFollowed(f, behind, at) }}
	l.noteFollowed(f, 1, time.Time{})
	for ctx.Err() == nil {
		err := r.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		l.noteProblem(err)
		if !sleep(ctx, followRetry) {
			return
		}
	}
}

// noteProblem logs a problem once, however often Follow meets it.
func (l *Log) noteProblem(err error) {
	l.mu.Lock()
	again := l.problemLogged == err.Error()
	l.problemLogged = err.Error()
	l.follow.Complete, l.follow.Base, l.follow.Problem = false, 0, err.Error()
	l.mu.Unlock()
	if !again {
		l.log.Warn("the standby can't follow now; it tries again", "err", err)
	}
}

func (l *Log) noteFollowed(f *store.Follower, behind uint64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow.Position, l.follow.Behind = f.Position(), behind
	if at.After(l.follow.At) {
		l.follow.At = at
	}
}

// follow brings the copy to the end of the log and keeps it there until something is wrong.
func (r *logReader) follow(ctx context.Context) error {
	info, err := r.log.Newest(ctx)
	if err != nil {
		return err
	}
	if !info.Exists {
		return fmt.Errorf("%w: NATS has no log of cluster %q; start its hub, or correct nats.name", ErrLogLost, r.log.conn.config.Name)
	}
	r.created, r.seen, r.missed = info.Created, 0, time.Time{}
	from := max(info.lastSet+1, info.first)
	err = r.continueTo(ctx, info)
	if errors.Is(err, store.ErrGap) {
		if info.Base && r.tried == (baseID{info.baseBy, info.base.Number}) {
			return cmp.Or(r.refused, fmt.Errorf("%w: the sets don't continue its base", ErrLogLost))
		}
		err = r.fetchBase(ctx, info)
		from = info.base.From + 1
	}
	if err != nil {
		return err
	}
	r.log.mu.Lock()
	r.log.follow.Complete, r.log.follow.Base, r.log.follow.Problem = true, 0, ""
	r.log.problemLogged = ""
	r.log.mu.Unlock()
	r.seen = 0
	return r.sets(ctx, from, noEnd)
}
