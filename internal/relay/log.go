package relay

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/store"
)

// Log is the log of a replicated store: a JetStream stream of write sets. It implements
// store.Log. Every message carries the sequence that the last one must have, so that two hubs
// can't both append: the later fence deposes the earlier hub.
type Log struct {
	conn     *Conn
	required bool
	log      *slog.Logger
	writer   writerID
	inbox    string

	window    int           // bytes that may be unacknowledged
	baseAfter int64         // least bytes of sets after which a new base is written
	kick      chan struct{} // asks Run to look at once
	ended     chan struct{} // closed when err is set

	mu      sync.Mutex // guards the fields below
	changed chan struct{}
	err     error // store.ErrDeposed or ErrLogClosed; nil: neither
	created time.Time
	epoch   uint64
	end     store.Position // of the log at the fence

	linked     bool        // messages can be published
	based      bool        // sets may be appended
	complete   bool        // the log has a base that its sets continue
	lost       bool        // it was lost, and there is no new base yet
	losses     uint64      // of the log
	setFrom    uint64      // sequence before the last set, or before
	round      uint64      // of repairs; acknowledgements of earlier ones are ignored
	index      uint64      // of the last message made
	newest     uint64      // commit of the last set appended
	last       uint64      // sequence of the last message published
	acked      uint64      // sequence of the last message acknowledged
	pending    []*appended // published and not acknowledged, in order
	unacked    int         // their bytes
	waiting    []*setEntry // sets that were in a log that was lost
	dropped    uint64      // commit of the last set that wasn't appended
	sinceBase  int64       // bytes of sets
	baseSize   int64       // of the store's file at the last base
	behindFrom time.Time   // since when something isn't in the log; zero: nothing
	problem    string
	basing     bool // a base is being written
	follow     FollowState

	problemLogged string // the last problem of Follow that was logged
}

// LogOptions configure a Log.
type LogOptions struct {
	Required bool // commits wait for the log; else what couldn't be appended is replaced by a base later
	Log      *slog.Logger

	Window    int   // bytes that may be appended and not acknowledged; 0: 16 MiB
	BaseAfter int64 // a new base is written when the sets since the last one are as large as the store, and at least this; 0: 64 MiB
}

// Errors of the log.
var (
	// ErrLogClosed is returned to commits that wait when the log is closed.
	ErrLogClosed = errors.New("the log of the store was closed before it had everything")
	// ErrLogMoved is returned by Fence when the log isn't as CatchUp saw it.
	ErrLogMoved = errors.New("another process has appended to the log")
	// ErrLogLost is returned when the log doesn't exist, or lacks what a copy needs.
	ErrLogLost = errors.New("the log of the store is lost")

	errBaseTooEarly = errors.New("a commit that isn't in the log isn't in the base either")
	errBaseStopped  = errors.New("the log takes nothing")
)

// setEntry is a write set on its way.
type setEntry struct {
	at   store.Position
	body []byte
	done chan struct{} // closed once it is in the log
}

// appended is a published message.
type appended struct {
	kind  byte
	index uint64
	data  []byte
	sent  time.Time
	entry *setEntry     // of the last part of a set
	done  chan struct{} // nil, or closed when acknowledged
}

// NewLog returns the log of the cluster. It does no I/O.
func (c *Conn) NewLog(o LogOptions) *Log {
	l := &Log{conn: c, required: o.Required, log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), inbox: nats.NewInbox(),
		window: cmp.Or(o.Window, 16<<20), baseAfter: cmp.Or(o.BaseAfter, 64<<20),
		kick: make(chan struct{}, 1), ended: make(chan struct{}), changed: make(chan struct{})}
	_, _ = rand.Read(l.writer[:]) // it never fails
	return l
}

// declareLog creates the stream. Only its leader answers reads: a replica may lag behind what the
// leader has acknowledged, so that a takeover would miss the last sets.
func (c *Conn) declareLog(ctx context.Context) error {
	return c.create(ctx, jetstream.StreamConfig{
		Name: c.Names.LogStream(), Subjects: []string{c.Names.LogAll()}, Description: "campaignd: write sets of the hub's store",
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: max(c.config.Replicas, 1),
	})
}

// Append implements store.Log. While the log takes nothing it waits if the log is required; else
// the set is left out, and a base is written later.
func (l *Log) Append(_, after store.Position, set []byte) (acknowledged func() error, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.err != nil:
			return nil, l.err
		case l.linked && l.based && l.unacked < l.window:
			e := &setEntry{at: after, body: set, done: make(chan struct{})}
			l.appendSet(e)
			if !l.required {
				return nil, nil
			}
			return func() error { return l.await(e.done) }, nil
		case !l.required:
			l.drop(after.Commit)
			return nil, nil
		}
		changed := l.changed
		l.mu.Unlock()
		<-changed
		l.mu.Lock()
	}
}

// await waits until done is closed, or the log ends.
func (l *Log) await(done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-l.ended:
		return l.Err()
	}
}

// drop notes a set that isn't appended. l.mu is held.
func (l *Log) drop(commit uint64) {
	l.dropped = max(l.dropped, commit)
	l.based, l.complete = false, false
	l.noteBehind()
	l.wake()
}

func (l *Log) noteBehind() {
	if l.behindFrom.IsZero() {
		l.behindFrom = time.Now()
	}
}

// wake asks Run to look at once.
func (l *Log) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// notify wakes whoever waits for a change. l.mu is held.
func (l *Log) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// appendSet publishes a set. l.mu is held.
func (l *Log) appendSet(e *setEntry) {
	l.newest = e.at.Commit
	l.setFrom = l.last
	parts := logParts(e.body, l.partLimit())
	for i, body := range parts {
		m := logMessage{kind: logSet, at: e.at, part: uint64(i), more: i < len(parts)-1, body: body}
		p := l.message(&m)
		if !m.more {
			p.entry = e
		}
		l.publish(p)
	}
	l.sinceBase += int64(len(e.body))
}

// partLimit returns the largest body of a message.
func (l *Log) partLimit() int {
	const head = 256 // more than version, position and the header take
	return min(max(int(l.conn.MaxPayload())-head, 4<<10), maxLogPart)
}

// message gives a message the next index. l.mu is held.
func (l *Log) message(m *logMessage) *appended {
	l.index++
	m.writer, m.index, m.epoch = l.writer, l.index, l.epoch
	return &appended{kind: m.kind, index: m.index, data: m.encode()}
}

// publish appends a message to those pending and publishes it if that is possible. l.mu is held.
func (l *Log) publish(p *appended) {
	l.pending = append(l.pending, p)
	l.unacked += len(p.data)
	l.send(p)
}

// send publishes a pending message. l.mu is held.
func (l *Log) send(p *appended) {
	if !l.linked {
		return
	}
	p.sent = time.Now()
	err := l.conn.nc.PublishMsg(&nats.Msg{
		Subject: l.conn.Names.logSubject(p.kind), Reply: l.inbox + "." + strconv.FormatUint(l.round, 10) + "." + strconv.FormatUint(p.index, 10),
		Header: nats.Header{
			jetstream.ExpectedLastSeqHeader: []string{strconv.FormatUint(l.last, 10)},
			jetstream.ExpectedStreamHeader:  []string{l.conn.Names.LogStream()},
		},
		Data: p.data,
	})
	if err != nil {
		l.unlink(err.Error())
		return
	}
	l.last++
}

// unlink ends publishing until Run has repaired the log. l.mu is held.
func (l *Log) unlink(problem string) {
	if !l.linked {
		return
	}
	l.linked, l.problem = false, problem
	l.noteBehind()
	l.notify()
	l.wake()
}

// takeAck handles the acknowledgement of a published message. As every message expects the one
// before it, it acknowledges those, too.
func (l *Log) takeAck(msg *nats.Msg) {
	name := strings.Split(strings.TrimPrefix(msg.Subject, l.inbox+"."), ".")
	if len(name) != 2 {
		return
	}
	round, err1 := strconv.ParseUint(name[0], 10, 64)
	index, err2 := strconv.ParseUint(name[1], 10, 64)
	var ack struct {
		Stream string              `json:"stream"`
		Seq    uint64              `json:"seq"`
		Error  *jetstream.APIError `json:"error"`
	}
	err3 := json.Unmarshal(msg.Data, &ack)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err1 != nil || err2 != nil || round != l.round || !l.linked:
		return
	case msg.Header.Get("Status") != "":
		l.unlink("the stream " + l.conn.Names.LogStream() + " doesn't answer")
	case err3 != nil:
		l.unlink("the acknowledgement can't be read")
	case ack.Error != nil:
		l.unlink(ack.Error.Description)
	default:
		l.acknowledge(index, ack.Seq)
	}
}

// acknowledge removes the pending messages up to an index; the last one has the sequence. l.mu is held.
func (l *Log) acknowledge(index, sequence uint64) {
	n := 0
	for ; n < len(l.pending) && l.pending[n].index <= index; n++ {
		p := l.pending[n]
		l.unacked -= len(p.data)
		if p.entry != nil {
			close(p.entry.done)
		}
		if p.done != nil {
			close(p.done)
		}
		l.pending[n] = nil
	}
	if n == 0 {
		return
	}
	l.pending = l.pending[n:]
	l.acked = sequence
	if len(l.pending) == 0 && l.complete {
		l.behindFrom = time.Time{}
	}
	l.notify()
}

// maxLogPart limits the body of a message: readers must have room for it.
const maxLogPart = 512 << 10

// chunkBody returns the body of a chunk of a base.
func chunkBody(number uint64, packed []byte) []byte {
	return append(binary.AppendUvarint(make([]byte, 0, len(packed)+binary.MaxVarintLen64), number), packed...)
}
