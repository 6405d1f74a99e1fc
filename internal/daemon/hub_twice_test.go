package daemon

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/campaign"
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

// The server has lost the answers too, so that the worker gets its own batch again after it has sent it.
func TestBatchWhoseAnswersWereLostIsNotSentTwice(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, "hold", "")
	c.took = time.Second
	b := c.recordBatches()
	c.worker(16)
	c.drop(16)
	c.until("all have arrived", func() bool { all, _ := c.attempts(); return all == 16 })
	c.stop()
	js, err := jetstream.New(b.nc)
	if err != nil {
		t.Fatal(err)
	}
	stream := func(name string) jetstream.Stream {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	names := relay.NewNames("t")
	ended := func(batches int) func() bool { // the stream has their last answers
		return func() bool {
			s, last := stream(names.DoneStream()), 0
			for seq := max(s.CachedInfo().State.FirstSeq, 1); seq <= s.CachedInfo().State.LastSeq; seq++ {
				m, err := s.GetMsg(t.Context(), seq)
				if err != nil {
					t.Fatal(err)
				}
				if a, err := relay.DecodeAnswers(m.Data, relay.OwnVersions()); err == nil && a.Last {
					last++
				}
			}
			return last == batches
		}
	}
	c.until("both batches are answered", ended(2))
	if err := stream(names.DoneStream()).Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.handOutAgain(t)
	c.until("the worker gives both back", ended(2))
	c.start()
	c.until("it has ended", func() bool { s, _ := c.sending(); return s.State == campaign.StateCompleted })
	_, counts := c.sending()
	if all, twice := c.attempts(); counts[campaign.Unknown] != 16 || all != 16 || twice > 0 {
		t.Errorf("%v, %d messages arrived, %d of them twice; want 16 once, and unknown", counts, all, twice)
	}
}
