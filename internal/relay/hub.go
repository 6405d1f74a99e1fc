package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/send"
)

// Records keeps what a hub must know after a restart. PutRecord returns when it is durable.
type Records interface {
	Record(name string) ([]byte, error)
	PutRecord(name string, value []byte) error
}

// readRecord decodes a record of JSON. It returns false, and leaves value as it is, if there is none.
func readRecord(r Records, name string, value any) (found bool, err error) {
	data, err := r.Record(name)
	if err != nil || data == nil {
		return false, err
	}
	return true, json.Unmarshal(data, value)
}

// Names of the hub's records.
const (
	recordEpoch = "relay/epoch" // decimal
	recordDone  = "relay/done"  // donePosition as JSON
)

// donePosition says how far the stream of answers has been recorded.
type donePosition struct {
	Created  time.Time `json:"created"` // of the stream: another one begins anew
	Sequence uint64    `json:"sequence"`
}

// Settler records answers to batches of earlier hubs: the send.Dispatcher.
type Settler interface {
	Orphans(application int64, channel string) int
	Settle(ctx context.Context, answers []send.LateAnswer) (int, error)
	SettleUnsent(ctx context.Context, unsent func(number uint64) bool) (int, error)
	SettleRest(ctx context.Context, application int64, channel string) (int, error)
}

// HubOptions configure a Hub.
type HubOptions struct {
	Config  Config
	Records Records
	Tag     func() string // of the store with these records; another one says that the store was restored
	Log     *slog.Logger

	// Leads reports whether this process may hand out messages; nil: it always may.
	Leads func() bool
}

// Hub hands batches to workers and takes their answers. Channel makes a channel of it; Run
// connects it with NATS. Until Run has read the answers of earlier hubs nothing is handed out.
type Hub struct {
	config  Config
	wire    Versions
	conn    *Conn // set by Run before ready
	records Records
	log     *slog.Logger
	leads   func() bool
	tag     func() string
	grants  grantBook

	epoch   atomic.Uint64 // 0: not known yet
	counter atomic.Uint64 // of batches of the epoch
	linked  atomic.Pointer[Conn]
	current atomic.Pointer[time.Time] // when the answers of workers were last known to arrive; nil: never
	ready   atomic.Bool               // the answers of earlier hubs are recorded, and the queue is empty of their batches
	counts  counts
	refresh chan struct{} // asks Run to look after the streams at once
	claims  sync.WaitGroup

	workCreated time.Time // of the queue, when its consumers were declared; belongs to Run

	mu       sync.Mutex // guards the fields below
	batches  map[uint64]*handOut
	channels map[channelKey]*Channel
	workers  []WorkerRecord
	pinned   map[uint64]struct{} // answers that aren't recorded yet, by sequence
	position donePosition        // the newest answer seen
	saved    donePosition
	lag      uint64 // answers in the stream that aren't taken yet
	problem  string // why nothing can be handed out although a server is connected; "": nothing prevents it
}

type channelKey struct {
	application int64
	name        string
}

// handOut is a batch under way.
type handOut struct {
	*send.HandOut
	index map[string]int // of its messages, by key
	hold  bool           // on_unknown is "hold": at most one worker gets it

	claim    sync.Mutex // held during a claim, so that grants are counted in their order
	mu       sync.Mutex // guards the fields below
	grants   uint64
	holder   claimant // that was granted it last
	seqs     []uint64 // of its answers in the stream
	recorded bool     // its results are recorded
}

// counts count what arrives.
type counts struct {
	garbage   atomic.Uint64 // messages that can't be decoded
	withdrawn atomic.Uint64 // batches that nobody claimed
	givenBack atomic.Uint64 // batches that a worker gave back
}

// NewHub creates a hub. It does no I/O and starts nothing.
func NewHub(o HubOptions) *Hub {
	h := &Hub{config: o.Config, wire: o.Config.wire(), records: o.Records, log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), leads: o.Leads, tag: o.Tag, grants: grantBook{records: o.Records}, refresh: make(chan struct{}, 1),
		batches: map[uint64]*handOut{}, channels: map[channelKey]*Channel{}, pinned: map[uint64]struct{}{}}
	h.config.Log = h.log
	if h.leads == nil {
		h.leads = func() bool { return true }
	}
	return h
}

// numberBits are the low bits of a batch's number that count the parts of a divided batch (0: it
// isn't divided), and epochShift is where the epoch begins in the number that send records with
// an attempt.
const (
	numberBits = 7
	epochShift = 40
)

// wireNumber returns the batch's number on the wire.
func wireNumber(b *send.HandOut) uint64 {
	return b.Number&(1<<epochShift-1)<<numberBits | uint64(b.Part)
}

// sendNumber returns the number that send recorded for the batch with this id.
func sendNumber(id BatchID) uint64 { return id.Epoch<<epochShift | id.Number>>numberBits }

// Run works until ctx ends. What is wrong with NATS is repaired or waited for, and shown; an error
// is returned only for a configuration that can't work. It may be called once.
func (h *Hub) Run(ctx context.Context, settler Settler) error {
	var err error
	if h.conn, err = Connect(h.config); err != nil {
		return err
	}
	h.linked.Store(h.conn)
	defer h.claims.Wait()
	defer h.conn.Close()
	for ctx.Err() == nil {
		if err := h.serve(ctx, settler); err != nil && ctx.Err() == nil {
			h.setProblem(err)
		}
		sleep(ctx, reconnectWait)
	}
	return nil
}

// connected reports whether a server is connected.
func (h *Hub) connected() bool {
	conn := h.linked.Load()
	return conn != nil && conn.Connected()
}

// setProblem notes why nothing can be handed out, and logs what is new.
func (h *Hub) setProblem(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	h.mu.Lock()
	fresh := h.problem != text
	h.problem = text
	h.mu.Unlock()
	switch {
	case !fresh || !h.connected():
	case err != nil:
		h.log.Warn("nothing can be handed out to workers; trying again", "err", err)
	default:
		h.log.Info("batches can be handed out to workers")
	}
	h.publishWorkers()
}

// serve declares the streams and works with them until one is lost or ctx ends.
func (h *Hub) serve(ctx context.Context, settler Settler) error {
	if !h.conn.Connected() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := h.declare(ctx); err != nil {
		return err
	}
	if err := h.begin(ctx); err != nil {
		return err
	}
	for _, s := range []struct {
		subject string
		handle  nats.MsgHandler
	}{{h.conn.Names.Claim(h.epoch.Load()), h.takeClaim}, {h.conn.Names.Alive(h.epoch.Load()), h.takeAlive}} {
		sub, err := h.conn.nc.Subscribe(s.subject, s.handle)
		if err != nil {
			return fmt.Errorf("listen to workers: %w", err)
		}
		defer sub.Unsubscribe() //nolint:errcheck // it ends with the connection at the latest
	}
	reader := &answerReader{hub: h, settler: settler}
	if err := reader.open(ctx); err != nil {
		return err
	}
	defer reader.close()
	if err := reader.catchUp(ctx); err != nil {
		return err
	}
	if !h.ready.Load() {
		if _, err := settler.SettleUnsent(ctx, h.grants.neverGranted()); err != nil {
			return err
		}
		if err := h.drain(ctx, settler); err != nil {
			return err
		}
		h.ready.Store(true)
	}
	h.setProblem(nil)
	return h.tend(ctx, reader, settler)
}

func (h *Hub) declare(ctx context.Context) error {
	if err := h.conn.Declare(ctx); err != nil {
		return err
	}
	for _, c := range h.list() {
		if err := h.conn.DeclareChannel(ctx, c.application, c.name, c.hold); err != nil {
			return err
		}
	}
	return nil
}

// list returns the channels.
func (h *Hub) list() []*Channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.channels))
}

// tend looks after the streams and the workers until one of the streams is lost.
func (h *Hub) tend(ctx context.Context, reader *answerReader, settler Settler) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	connected, reconnects := time.Now(), h.conn.nc.Stats().Reconnects
	for {
		if !h.conn.Connected() {
			connected = time.Now()
			h.publishWorkers()
		} else if n := h.conn.nc.Stats().Reconnects; n != reconnects {
			reconnects = n
			reader.close()
			if err := reader.open(ctx); err != nil {
				return err
			}
		} else if err := h.look(ctx, reader); err != nil {
			return err
		}
		h.settleRest(ctx, settler, time.Since(connected))
		h.save()
		select {
		case <-ctx.Done():
			h.save()
			return nil
		case <-h.refresh:
			if err := h.declare(ctx); err != nil {
				return err
			}
		case <-ticker.C:
		}
	}
}

// look reads the workers' records and checks that the streams are those that it works with.
func (h *Hub) look(ctx context.Context, reader *answerReader) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	workers, err := h.conn.Workers(ctx)
	if err == nil {
		err = reader.check(ctx)
	}
	var work jetstream.Stream
	if err == nil {
		work, err = h.conn.stream(ctx, h.conn.Names.WorkStream())
	}
	if err == nil && !work.CachedInfo().Created.Equal(h.workCreated) {
		// A worker may have created it again, but only the hub creates its consumers.
		if err = h.declare(ctx); err == nil {
			h.workCreated = work.CachedInfo().Created
		}
	}
	if err != nil {
		if !h.conn.Connected() {
			return nil
		}
		return err
	}
	h.mu.Lock()
	h.workers = workers
	h.mu.Unlock()
	h.publishWorkers()
	return nil
}
