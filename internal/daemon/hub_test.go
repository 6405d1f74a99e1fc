package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/relay"
	"campaignd/internal/send"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
	"campaignd/internal/store"
	"campaignd/test/natstest"
	"campaignd/test/programs"
)

// testCluster is a NATS server, a daemon and workers in this process.
type testCluster struct {
	t      *testing.T
	dir    string
	server *server.Server
	*Daemon
	stop func()

	took  time.Duration  // that the receiver takes
	batch int            // of workers that start next
	wire  relay.Versions // of the hub and of workers that start next; zero: their own

	mu   sync.Mutex     // guards sent
	sent map[string]int // attempts by key
}

// newTestCluster starts a server and a daemon whose channel is sent by workers.
func newTestCluster(t *testing.T, onUnknown, more string) *testCluster {
	t.Helper()
	c := &testCluster{t: t, dir: t.TempDir(), sent: map[string]int{}, batch: 64}
	c.startServer(server.RANDOM_PORT)
	for path, text := range map[string]string{
		"campaigns/7.json": `{"id":7,"applicationId":1,"title":"t","enabled":true,"channelTypes":["push"],"messageContent":[{"body":"hi {{name}}"}]}`,
		"campaignd.toml": fmt.Sprintf(`state_dir = "%[1]s/var"
campaigns_dir = "%[1]s/campaigns"
rescan = "1s"
stop_timeout = "0s"
[nats]
servers = [%[2]q]
name = "t"
replicas = 1
[[inboxes]]
path = "%[1]s/inbox"
settle = "100ms"
[[applications]]
id = 1
[applications.channels.push]
driver = "null"
send_from = "workers"
on_unknown = %[3]q
answer_wait = "5s"
%[4]s`, c.dir, c.server.ClientURL(), onUnknown, more),
	} {
		c.write(path, text)
	}
	c.start()
	t.Cleanup(func() { c.stop() })
	return c
}

func (c *testCluster) startServer(port int) {
	c.t.Helper()
	c.server = natstest.Start(c.t, &server.Options{Port: port, StoreDir: filepath.Join(c.dir, "nats")})
}

func (c *testCluster) write(path, text string) {
	c.t.Helper()
	path = filepath.Join(c.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// start starts the daemon, again after a stop.
func (c *testCluster) start() {
	c.t.Helper()
	cfg, problems := config.Load(filepath.Join(c.dir, "campaignd.toml"), drivers.All())
	for _, p := range problems.List {
		c.t.Fatal(p)
	}
	d, err := Open(Options{wire: c.wire, Config: cfg, Version: "test", Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" },
		Drivers: func(*config.Config, func(string) string) (Drivers, error) {
			return Drivers{1: {"push": null.New(1)}}, nil
		}})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	c.Daemon, c.stop = d, func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("the daemon ended with %v", err)
		}
		c.stop = func() {}
	}
}

// receiver is a driver that counts what it gets.
type receiver struct {
	send.Channel
	c *testCluster
}

func (r receiver) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	r.c.mu.Lock()
	for _, m := range msgs {
		r.c.sent[m.Key]++
	}
	r.c.mu.Unlock()
	select {
	case <-time.After(r.c.took):
	case <-ctx.Done():
	}
	for i := range results {
		results[i] = send.Result{Verdict: send.VerdictSent, ProviderID: "p-" + msgs[i].Key}
	}
}

// worker runs a worker until the returned function is called or the test ends.
func (c *testCluster) worker(places int) (stop func()) {
	c.t.Helper()
	conn, err := relay.Connect(relay.Config{Servers: []string{c.server.ClientURL()}, Name: "t", Replicas: 1, Client: "worker", Wire: c.wire})
	if err != nil {
		c.t.Fatal(err)
	}
	w := relay.NewWorker(relay.WorkerOptions{Conn: conn, Host: "h", Version: "test", StopTimeout: 5 * time.Second,
		Channels: []relay.WorkerDriver{{Application: 1, Name: "push", Channel: receiver{null.New(1), c}, Concurrency: places, Batch: c.batch}}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
		conn.Close()
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	c.t.Cleanup(stop)
	return stop
}

// drop drops a CSV of n recipients.
func (c *testCluster) drop(n int) {
	var csv strings.Builder
	csv.WriteString("code,name\n")
	for i := range n {
		fmt.Fprintf(&csv, "c%d,n%d\n", i, i)
	}
	c.write("inbox/a.csv", csv.String())
	c.write("inbox/a.layout.json", theLayout)
	c.write("inbox/a.schedule.json", `{"applicationId":1,"campaignId":7}`)
}

// until waits for a fact.
func (c *testCluster) until(what string, fact func() bool) {
	c.t.Helper()
	if !programs.Until(30*time.Second, fact) {
		status, _ := c.Status(context.Background())
		text, _ := json.Marshal(status.Channels)
		c.t.Fatalf("not within 30 s: %s; channels: %s", what, text)
	}
}

// sending returns the only sending and its counts.
func (c *testCluster) sending() (*campaign.Sending, campaign.Counts) {
	heads, err := c.store.Sendings(store.Filter{})
	if err != nil || len(heads) != 1 {
		return &campaign.Sending{}, campaign.Counts{}
	}
	s, _, counts, err := c.store.Load(heads[0].ID)
	if err != nil {
		return &campaign.Sending{}, campaign.Counts{}
	}
	return s, counts
}

func (c *testCluster) attempts() (all, twice int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.sent {
		if all++; n > 1 {
			twice++
		}
	}
	return all, twice
}

func TestWorkersSendWhatTheHubHandsOut(t *testing.T) {
	for _, policy := range []string{"retry", "hold"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			c := newTestCluster(t, policy, "")
			c.took = 20 * time.Millisecond
			c.drop(300)
			c.until("it waits for a worker", func() bool {
				s, _ := c.sending()
				w, waits := c.send.Wait(s.ID)
				return waits && w.Reason == "channel push: no worker that sends it is running"
			})
			c.worker(16)
			c.worker(16)
			c.until("all is sent", func() bool { s, _ := c.sending(); return s.State == campaign.StateCompleted })
			_, counts := c.sending()
			if all, twice := c.attempts(); counts[campaign.Sent] != 300 || all != 300 || twice > 0 {
				t.Errorf("%v, %d messages arrived, %d of them twice; want 300 once", counts, all, twice)
			}
		})
	}
}

// The hub ends at once, again and again, while the workers live: their answers are found.
func TestHubThatIsKilledFindsTheAnswersOfItsWorkers(t *testing.T) {
	for _, policy := range []string{"retry", "hold"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			c := newTestCluster(t, policy, "")
			c.took = 150 * time.Millisecond
			c.worker(16)
			c.worker(16)
			c.drop(400)
			for kill := range 3 {
				c.until("more has arrived", func() bool { all, _ := c.attempts(); return all >= 80*(kill+1) })
				c.stop()
				c.start()
			}
			c.until("all is sent", func() bool { s, _ := c.sending(); return s.State == campaign.StateCompleted })
			_, counts := c.sending()
			all, twice := c.attempts()
			if counts[campaign.Sent] != 400 || all != 400 {
				t.Errorf("%v, %d messages arrived; want 400 sent", counts, all)
			}
			if policy == "hold" && twice > 0 {
				t.Errorf("%d messages arrived twice", twice)
			}
		})
	}
}

// The server is gone for a moment, and everything that it had with it.
func TestServerThatLosesEverythingStopsNothing(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, "retry", "")
	c.took = 50 * time.Millisecond
	c.worker(16)
	c.drop(300)
	c.until("some have arrived", func() bool { all, _ := c.attempts(); return all >= 50 })
	port := c.server.Addr().(*net.TCPAddr).Port
	natstest.Stop(c.server)
	if err := os.RemoveAll(filepath.Join(c.dir, "nats")); err != nil {
		t.Fatal(err)
	}
	c.until("it says so", func() bool {
		return strings.HasPrefix(c.send.Channels()[0].Reason, "no NATS server answers")
	})
	c.startServer(port)
	c.until("all is sent", func() bool { s, _ := c.sending(); return s.State == campaign.StateCompleted })
	if _, counts := c.sending(); counts[campaign.Sent] != 300 {
		t.Errorf("%v, want 300 sent", counts)
	}
}

// Whatever arrives on the subjects of the cluster changes nothing.
func TestGarbageOnEverySubjectChangesNothing(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, "hold", "")
	c.took = 20 * time.Millisecond
	nc, err := nats.Connect(c.server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c.until("the hub is ready", func() bool { return c.hub.Status().Ready })
	stream, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	names, epoch := relay.NewNames("t"), c.hub.Status().Epoch
	valid := relay.AppendAnswers(nil, &relay.Answers{ID: relay.BatchID{Epoch: epoch, Number: 128}, Application: 1, Channel: "push", Worker: "w", Claim: 1,
		List: []relay.Answer{{Key: "another's", Attempt: 1, Result: send.Result{Verdict: send.VerdictSent}}}})
	for _, data := range [][]byte{nil, {0}, {1}, []byte("hello"), bytes.Repeat([]byte{0xff}, 4096), valid, valid[:len(valid)-3],
		relay.AppendClaim(nil, &relay.Claim{ID: relay.BatchID{Epoch: epoch + 1, Number: 1}, Worker: "w", Number: 1})} {
		for _, subject := range []string{names.Claim(epoch), names.Alive(epoch), names.Done(epoch), names.Done(epoch + 7), names.Done(0), names.Work(1, "push"), names.Work(2, "x")} {
			if err := nc.Publish(subject, data); err != nil {
				t.Fatal(err)
			}
		}
		bucket, err := stream.KeyValue(t.Context(), names.WorkersBucket())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bucket.Put(t.Context(), "garbage", data); err != nil {
			t.Fatal(err)
		}
	}
	c.worker(16)
	c.drop(100)
	c.until("all is sent", func() bool { s, _ := c.sending(); return s.State == campaign.StateCompleted })
	if _, counts := c.sending(); counts[campaign.Sent] != 100 {
		t.Errorf("%v, want 100 sent", counts)
	}
	if c.hub.Status().Garbage == 0 {
		t.Error("garbage isn't counted")
	}
}

// A worker's batch may be smaller than the hub's: each machine has a configuration of its own.
func TestAWorkerGetsNoLargerBatchesThanItTakes(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, "retry", "")
	c.took, c.batch = 1200*time.Millisecond, 2 // longer than a worker waits for places
	c.worker(16)
	c.until("a worker runs", func() bool { return len(c.hub.Status().Workers) == 1 })
	c.drop(60)
	c.until("all is sent", func() bool { s, _ := c.sending(); return s.State == campaign.StateCompleted })
	if n := c.hub.Status().GivenBack; n > 0 {
		t.Errorf("%d batches were given back, want none", n)
	}
}

// The state of a channel without messages is that of now, not of its last message.
func TestAnIdleChannelShowsItsWorkersAsTheyAre(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, "retry", "")
	state := func() send.ChannelStatus { return c.send.Channels()[0] }
	c.until("it waits for a worker", func() bool { return state().Reason == "no worker that sends it is running" && state().WaitsForWorkers })
	stop := c.worker(16)
	c.until("it is ok", func() bool { return state().State == send.ChannelOK && state().Places == 16 })
	stop()
	c.until("it waits for a worker again", func() bool { return state().Reason == "no worker that sends it is running" })
}
