package daemon

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/relay"
)

// batches records the batches that a hub hands out.
type batches struct {
	nc *nats.Conn

	mu   sync.Mutex // guards list
	list []*nats.Msg
}

func (c *testCluster) recordBatches() *batches {
	c.t.Helper()
	nc, err := nats.Connect(c.server.ClientURL())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(nc.Close)
	b := &batches{nc: nc}
	if _, err = nc.Subscribe(relay.NewNames("t").WorkAll(), func(m *nats.Msg) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.list = append(b.list, m)
	}); err != nil {
		c.t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		c.t.Fatal(err)
	}
	return b
}

// handOutAgain offers the batches so far again, as a server does that lost its newest writes.
func (b *batches) handOutAgain(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	list := b.list
	b.mu.Unlock()
	for _, m := range list {
		if err := b.nc.Publish(m.Subject, m.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// giveBack gives the batches so far back, as a worker does that got them and no reply to its claim.
func (b *batches) giveBack(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.list {
		batch, err := relay.DecodeBatch(m.Data, relay.OwnVersions())
		if err != nil {
			t.Fatal(err)
		}
		a := relay.Answers{Version: batch.Version, ID: batch.ID, Application: batch.Application, Channel: batch.Channel, Worker: "another", Last: true, Back: true}
		for i := range batch.Messages {
			a.List = append(a.List, relay.Answer{Index: i, Key: batch.Messages[i].Key, Attempt: batch.Messages[i].Attempt})
		}
		if _, err := b.nc.Request(relay.NewNames("t").Done(batch.ID.Epoch), relay.AppendAnswers(nil, &a), 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// A server that lost its newest writes hands out a batch to a second worker while the hub is
// restarted. That one gives it back, and the queue has it again, while the first worker sends it.
func TestBatchInTheQueueAgainIsNotSentTwice(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, "hold", "")
	c.took = 2 * time.Second
	b := c.recordBatches()
	c.worker(16)
	c.drop(16)
	c.until("all have arrived", func() bool { all, _ := c.attempts(); return all == 16 })
	c.stop()
	b.giveBack(t)
	b.handOutAgain(t)
	c.start()
	c.allSentOnce(16)
}

// The worker takes its own batch a second time while it sends it.
func TestBatchThatAWorkerHasAlreadyIsNotSentTwice(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, "hold", "")
	c.took = 3 * time.Second
	b := c.recordBatches()
	c.worker(64)
	c.drop(16)
	c.until("all have arrived", func() bool { all, _ := c.attempts(); return all == 16 })
	c.stop()
	b.handOutAgain(t)
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	c.until("the worker has taken them", func() bool {
		queue, err := js.Stream(t.Context(), relay.NewNames("t").WorkStream())
		return err == nil && queue.CachedInfo().State.Msgs == 0
	})
	c.start()
	c.allSentOnce(16)
}
