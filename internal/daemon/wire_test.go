package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/relay"
)

// restartWith restarts the hub, which then reads and writes these versions of the wire format.
func (c *testCluster) restartWith(wire relay.Versions) {
	c.t.Helper()
	c.stop()
	c.wire = wire
	c.start()
}

// allSentOnce waits for the end of the drop and checks that each of its n messages was sent once.
func (c *testCluster) allSentOnce(n int) {
	c.t.Helper()
	c.until("all is sent", func() bool { s, _ := c.sending(); return s.State == campaign.StateCompleted })
	_, counts := c.sending()
	if all, twice := c.attempts(); counts[campaign.Sent] != uint64(n) || all != n || twice > 0 {
		c.t.Errorf("%v, %d messages arrived, %d of them twice; want %d once", counts, all, twice, n)
	}
}

// An upgrade goes through every mix of old and new hubs and workers.
func TestHubAndWorkersOfDifferentVersionsWorkTogether(t *testing.T) {
	older, newer := relay.Versions{1, 1}, relay.Versions{1, 2}
	for _, tc := range []struct {
		hub, first, second relay.Versions
	}{{older, newer, newer}, {newer, older, older}, {newer, older, newer}, {newer, newer, newer}} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			t.Parallel()
			c := newTestCluster(t, "hold", "")
			c.restartWith(tc.hub)
			c.took = 20 * time.Millisecond
			c.wire = tc.first
			c.worker(16)
			c.wire = tc.second
			c.worker(16)
			c.until("two workers run", func() bool { return len(c.hub.Status().Workers) == 2 })
			c.drop(200)
			c.allSentOnce(200)
			if s := c.hub.Status(); s.Garbage > 0 || s.Withdrawn > 0 {
				t.Errorf("%d messages could not be read and %d batches were withdrawn, want none", s.Garbage, s.Withdrawn)
			}
		})
	}
}

func TestAChannelWaitsWhileItsWorkersReadNoVersionOfTheHub(t *testing.T) {
	for _, tc := range []struct{ hub, worker relay.Versions }{{relay.Versions{1, 1}, relay.Versions{2, 3}}, {relay.Versions{2, 3}, relay.Versions{1, 1}}} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			t.Parallel()
			c := newTestCluster(t, "hold", "")
			c.restartWith(tc.hub)
			c.wire = tc.worker
			stop := c.worker(16)
			c.drop(50)
			c.until("the channel says so", func() bool {
				ch := c.send.Channels()[0]
				return ch.Held && strings.Contains(ch.Reason, "no version of the wire format in common")
			})
			if all, _ := c.attempts(); all > 0 {
				t.Errorf("%d messages arrived", all)
			}
			c.wire = tc.hub
			c.worker(16) // one that is upgraded doesn't help while the other runs
			c.until("two workers run", func() bool { return len(c.hub.Status().Workers) == 2 })
			if s, err := c.Status(t.Context()); err != nil || s.Channels[0].State != api.ChannelHeld {
				t.Errorf("with two workers the channel is %s, %v; want held", s.Channels[0].State, err)
			}
			stop()
			c.allSentOnce(50)
		})
	}
}

// Only the worker that has a batch can give it back: what another says about it would send its messages again.
func TestABatchIsNotGivenBackByAnotherWorker(t *testing.T) {
	for _, policy := range []string{"retry", "hold"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			c := newTestCluster(t, policy, "")
			c.took = 2 * time.Second
			nc, err := nats.Connect(c.server.ClientURL())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			c.until("the hub is ready", func() bool { return c.hub.Status().Ready })
			names, epoch := relay.NewNames("t"), c.hub.Status().Epoch
			claims := make(chan relay.BatchID, 100)
			if _, err := nc.Subscribe(names.Claim(epoch), func(m *nats.Msg) {
				if claim, err := relay.DecodeClaim(m.Data, relay.OwnVersions()); err == nil {
					claims <- claim.ID
				}
			}); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			c.worker(16)
			c.drop(1)
			id := <-claims
			c.until("it is being sent", func() bool { all, _ := c.attempts(); return all == 1 })
			back := relay.AppendAnswers(nil, &relay.Answers{ID: id, Application: 1, Channel: "push", Worker: "another", Back: true, Last: true})
			if err := nc.Publish(names.Done(epoch), back); err != nil {
				t.Fatal(err)
			}
			c.allSentOnce(1)
		})
	}
}
