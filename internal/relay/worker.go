package relay

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"

	"campaignd/internal/send"
)

// Times of a worker.
const (
	pullWait     = 4 * time.Second        // NATS keeps a request for a batch so long
	retryPull    = 500 * time.Millisecond // between pulls that fail
	answerLinger = 5 * time.Millisecond   // results wait so long for others, to be answered together
	answerGrace  = 5 * time.Second        // for answers after StopTimeout
)

// WorkerOptions configure a Worker.
type WorkerOptions struct {
	Conn        *Conn
	Host        string // name of the machine, for people and in the worker's id
	Version     string
	Channels    []WorkerDriver
	StopTimeout time.Duration // how long messages under way may take when Run's context has ended
	Log         *slog.Logger  // nil: silent
}

// WorkerDriver is a channel that a worker sends.
type WorkerDriver struct {
	Application int64
	Name        string
	Channel     send.Channel // nil: Reason says why the worker can't send it
	Reason      string
	Concurrency int // the most messages under way at once; of a driver of batches, calls
	Batch       int // the most messages in a batch that the hub makes
}

// BatchLimit returns the largest number of messages in a batch for a channel: at most batch, and half
// of a worker's concurrency, so that it can take the next batch while it sends one. call is the driver's
// Channel.Batch: for a driver of batches one batch is one call. Send further limits it by the rate.
func BatchLimit(batch, concurrency, call int) int {
	if call > 1 {
		return max(min(batch, call), 1)
	}
	return max(min(batch, concurrency/2), 1)
}

// Worker sends batches that the hub hands out.
type Worker struct {
	opts     WorkerOptions
	conn     *Conn
	id       string
	started  time.Time
	log      *slog.Logger
	channels []*workerChannel
	stopping atomic.Bool
	claims   atomic.Uint64

	mu     sync.Mutex             // guards active
	active map[*delivery]struct{} // batches that were taken and aren't finished
}

// NewWorker returns a worker that does nothing yet; Run runs it.
func NewWorker(o WorkerOptions) *Worker {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	w := &Worker{opts: o, conn: o.Conn, id: workerID(o.Host), started: time.Now().UTC(), log: o.Log, active: map[*delivery]struct{}{}}
	for _, d := range o.Channels {
		d.Concurrency, d.Batch = max(d.Concurrency, 1), max(d.Batch, 1)
		w.channels = append(w.channels, &workerChannel{
			WorkerDriver: d, worker: w, places: semaphore.NewWeighted(int64(d.Concurrency)),
			log: o.Log.With("application", d.Application, "channel", d.Name),
		})
	}
	return w
}

// workerID returns an id of one run of a worker on host. It can be part of a key in a bucket.
func workerID(host string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, host)
	return clean[:min(len(clean), 64)] + "-" + strings.ToLower(rand.Text()[:8])
}

// ID returns the worker's id.
func (w *Worker) ID() string { return w.id }

// Run takes and sends batches until ctx ends. Then it takes no more, finishes what it has handed
// to a driver within StopTimeout, gives the rest back and returns.
func (w *Worker) Run(ctx context.Context) {
	late := context.WithoutCancel(ctx)
	sending, abort := context.WithCancel(late)
	defer abort()
	answering, giveUp := context.WithCancel(late)
	defer giveUp()
	upkeep, endUpkeep := context.WithCancel(late)
	defer endUpkeep()

	var background, pulling sync.WaitGroup
	background.Go(func() { w.renewRecord(upkeep, ctx) })
	background.Go(func() { w.showLife(upkeep) })
	for _, c := range w.channels {
		if c.Channel != nil {
			pulling.Go(func() { c.pull(ctx, sending, answering) })
		}
	}
	<-ctx.Done()
	w.stopping.Store(true)
	for after, do := range map[time.Duration]func(){w.opts.StopTimeout: abort, w.opts.StopTimeout + answerGrace: giveUp} {
		defer time.AfterFunc(after, do).Stop()
	}
	pulling.Wait()
	endUpkeep()
	background.Wait()
	w.removeRecord()
}

// renewRecord announces the worker until ctx ends, and once more when run ends.
func (w *Worker) renewRecord(ctx, run context.Context) {
	tick := time.NewTicker(RecordEvery)
	defer tick.Stop()
	ended := run.Done()
	failing := false
	for {
		err := w.announce(ctx)
		if failed := err != nil && ctx.Err() == nil; failed != failing {
			if failing = failed; failing {
				w.log.Warn("the worker can't announce itself; trying again", "err", err)
			} else {
				w.log.Info("the worker is announced", "worker", w.id)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ended:
			ended = nil
		case <-tick.C:
		}
	}
}

// announce renews the record. It creates what is missing in NATS.
func (w *Worker) announce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	record := w.Record()
	err := w.conn.PutWorker(ctx, &record)
	if err != nil && w.conn.Connected() {
		if err = w.conn.Declare(ctx); err == nil {
			err = w.conn.PutWorker(ctx, &record)
		}
	}
	return err
}

func (w *Worker) removeRecord() {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if err := w.conn.DeleteWorker(ctx, w.id); err != nil {
		w.log.Debug("the worker's record stays until it expires", "err", err)
	}
}

// Record describes the worker now.
func (w *Worker) Record() WorkerRecord {
	r := WorkerRecord{ID: w.id, Host: w.opts.Host, Version: w.opts.Version, Wire: w.conn.wire,
		Started: w.started, Stopping: w.stopping.Load(), At: time.Now().UTC()}
	for _, c := range w.channels {
		r.Channels = append(r.Channels, WorkerChannel{Application: c.Application, Name: c.Name,
			Concurrency: c.Concurrency, Batch: c.batchLimit(), InFlight: int(c.inFlight.Load()), Reason: c.Reason})
	}
	return r
}

// showLife tells NATS and the hub every ProgressEvery which claimed batches are under way.
func (w *Worker) showLife(ctx context.Context) {
	tick := time.NewTicker(ProgressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		epochs := map[uint64]*Alive{}
		w.mu.Lock()
		for d := range w.active {
			if !d.batch.Hold {
				d.progress()
			}
			if !d.claimed {
				continue
			}
			a := epochs[d.batch.ID.Epoch]
			if a == nil {
				a = &Alive{Version: d.batch.Version, Epoch: d.batch.ID.Epoch, Worker: w.id}
				epochs[a.Epoch] = a
			}
			a.Numbers = append(a.Numbers, d.batch.ID.Number)
		}
		w.mu.Unlock()
		for epoch, a := range epochs {
			if err := w.conn.nc.Publish(w.conn.Names.Alive(epoch), AppendAlive(nil, a)); err != nil {
				w.log.Debug("no sign of life", "err", err)
			}
		}
	}
}

// publish publishes answers until the stream has them or ctx ends.
func (w *Worker) publish(ctx context.Context, a *Answers) {
	msg := &nats.Msg{Subject: w.conn.Names.Done(a.ID.Epoch), Data: AppendAnswers(nil, a)}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		once, cancel := context.WithTimeout(ctx, callTimeout)
		_, err := w.conn.js.PublishMsg(once, msg, jetstream.WithMsgID(a.MessageID()), jetstream.WithRetryAttempts(0))
		if err != nil && w.conn.Connected() { // the stream may be gone
			if again := w.conn.Declare(once); again != nil {
				w.log.Debug("streams can't be created", "err", again)
			}
		}
		cancel()
		if err == nil {
			return
		}
		if !sleep(ctx, wait) {
			w.log.Error("answers could not be published: their messages will be unknown to the hub", "batch", a.ID.String(), "messages", len(a.List), "err", err)
			return
		}
	}
}

// sleep waits for d. It returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
