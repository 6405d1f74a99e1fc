package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/config"
	"campaignd/internal/relay"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
	"campaignd/internal/store"
)

// lines keeps a log for a test that waits for one of its lines.
type lines struct {
	mu    sync.Mutex // guards text and grown
	text  bytes.Buffer
	grown chan struct{} // closed at the next line
}

func newLines() *lines { return &lines{grown: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.grown)
	l.grown = make(chan struct{})
	return l.text.Write(p)
}

func (l *lines) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// await waits until the log contains text.
func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	for {
		l.mu.Lock()
		all, grown := l.text.String(), l.grown
		l.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-grown:
		case <-timer.C:
			t.Fatalf("the log doesn't say %q:\n%s", text, all)
		}
	}
}

// standbyWorld is a NATS server and the configurations of two machines.
type standbyWorld struct {
	*testCluster
}

func newStandbyWorld(t *testing.T) *standbyWorld {
	t.Helper()
	w := &standbyWorld{testCluster: &testCluster{t: t, dir: t.TempDir()}}
	w.startServer(-1)
	w.write("campaigns/7.json", `{"id":7,"applicationId":1,"title":"t","enabled":true,"channelTypes":["push"],"messageContent":[{"body":"hi"}]}`)
	return w
}

// machine returns the options of a machine. name is that of the cluster.
func (w *standbyWorld) machine(state, name string, standby bool) (Options, *lines) {
	w.t.Helper()
	file := filepath.Join(w.dir, state+"-"+name+".toml")
	w.must(os.WriteFile(file, fmt.Appendf(nil, `state_dir = "%[1]s/%[2]s"
campaigns_dir = "%[1]s/campaigns"
stop_timeout = "1s"
rescan = "1s"
[nats]
servers = [%[3]q]
name = %[4]q
replicas = 1
[standby]
lease = "1s"
[[inboxes]]
path = "%[1]s/inbox"
settle = "100ms"
[[applications]]
id = 1
[applications.channels.push]
driver = "null"
`, w.dir, state, w.server.ClientURL(), name), 0o644))
	cfg, problems := config.Load(file, drivers.All())
	for _, p := range problems.List {
		w.t.Fatal(p)
	}
	log := newLines()
	return Options{Config: cfg, Version: "test", Log: slog.New(slog.NewTextHandler(log, nil)), Getenv: func(string) string { return "" }, Quiet: true, Standby: standby,
		Drivers: func(*config.Config, func(string) string) (Drivers, error) {
			return Drivers{1: {"push": null.New(1)}}, nil
		}}, log
}

func (w *standbyWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run runs a machine; stop ends it in order and returns its error.
func (w *standbyWorld) run(o Options) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	w.t.Cleanup(func() { _ = stop() }) // the test asks for errors itself
	return stop
}

func TestAStandbyLeadsAfterTheHubAndTheHubFollows(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	first, firstLog := w.machine("one", "t", false)
	stopFirst := w.run(first)
	firstLog.await(t, "msg=leads")
	second, secondLog := w.machine("two", "t", true)
	stopSecond := w.run(second)
	secondLog.await(t, "msg=follows")
	if err := stopFirst(); err != nil {
		t.Errorf("the hub's end: %v", err)
	}
	secondLog.await(t, "msg=leads")
	if h, ok := w.standby(second); ok {
		t.Errorf("the standby after the takeover: got %s, want nobody", h.ID)
	}

	again, _ := w.machine("one", "t", false)
	if err := Run(t.Context(), again); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "--standby") {
		t.Errorf("a second hub: got %v, want that it is refused and told to be a standby", err)
	}
	back, backLog := w.machine("one", "t", true)
	stopBack := w.run(back)
	backLog.await(t, "msg=follows")
	if err := stopSecond(); err != nil {
		t.Errorf("the second hub's end: %v", err)
	}
	backLog.await(t, "msg=leads")
	if err := stopBack(); err != nil {
		t.Errorf("the end of the first, which leads again: %v", err)
	}

	older, _ := w.machine("two", "t", false)
	if err := Run(t.Context(), older); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "another hub has gone on") {
		t.Errorf("a hub with an older store: got %v, want that it is refused", err)
	}
}

func TestAStoreUnderAnotherNameIsHeldOrRefused(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	for _, machine := range []struct{ state, name string }{{"one", "t"}, {"two", "u"}} {
		o, log := w.machine(machine.state, machine.name, false)
		stop := w.run(o)
		log.await(t, "msg=leads")
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	wrong, _ := w.machine("one", "u", true)
	if err := Run(t.Context(), wrong); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "is nats.name right?") {
		t.Errorf("a standby with another store: got %v, want that it is refused", err)
	}
	nobody, log := w.machine("one", "v", false)
	stop := w.run(nobody)
	log.await(t, "everything is held")
	log.await(t, "msg=leads")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// standby returns who holds the lease of the standby.
func (w *standbyWorld) standby(o Options) (relay.Holder, bool) {
	w.t.Helper()
	conn := w.connect(o)
	defer conn.Close()
	h, _, ok, err := conn.LeaseHolder(w.t.Context(), relay.LeaseStandby)
	w.must(err)
	return h, ok
}

func (w *standbyWorld) connect(o Options) *relay.Conn {
	w.t.Helper()
	conn, err := connectNATS(o.Config, "test", o.Getenv, o.Log)
	w.must(err)
	w.must(conn.WaitConnected(w.t.Context()))
	return conn
}

// emptyLog makes a log as a hub leaves it that is killed before its first base is complete.
func (w *standbyWorld) emptyLog(o Options) {
	w.t.Helper()
	conn := w.connect(o)
	defer conn.Close()
	_, err := conn.NewLog(relay.LogOptions{}).Fence(w.t.Context(), relay.LogInfo{}, store.Position{})
	w.must(err)
}

func TestALogWithoutABaseRefusesNobody(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	first, firstLog := w.machine("one", "t", false)
	w.emptyLog(first)
	stop := w.run(first)
	firstLog.await(t, "msg=leads")
	if err := stop(); err != nil {
		t.Error(err)
	}
	copied, copiedLog := w.machine("one", "u", true) // another name, so that the log knows nothing of the store
	w.emptyLog(copied)
	stop = w.run(copied)
	copiedLog.await(t, "everything is held")
	copiedLog.await(t, "msg=leads")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAHubThatWaitsForNATSAtItsStartCanBeStopped(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	o, _ := w.machine("one", "t", false)
	port := w.server.Addr().(*net.TCPAddr).Port
	opened, gone, opens := o.Drivers, make(chan struct{}), 0
	o.Drivers = func(c *config.Config, getenv func(string) string) (Drivers, error) {
		if opens++; opens == 2 { // the store is open, and its first commits follow
			w.server.Shutdown()
			close(gone)
		}
		return opened(c, getenv)
	}
	stop := w.run(o)
	<-gone
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the end of a hub that waits for NATS: got %v, want none", err)
		}
	case <-time.After(20 * time.Second):
		w.startServer(port) // so that it ends
		t.Error("the hub doesn't end while it waits for NATS")
	}
}

func TestATakeoverOutlivesAnErrorOfNATS(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	o, log := w.machine("one", "t", false)
	conn := w.connect(o)
	defer conn.Close()
	nc, err := nats.Connect(w.server.ClientURL())
	w.must(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	w.must(err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "inTheWay", Subjects: []string{conn.Names.LogAll()}})
	w.must(err)
	stop := w.run(o)
	log.await(t, "cannot lead yet")
	w.must(js.DeleteStream(t.Context(), "inTheWay"))
	log.await(t, "msg=leads")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAFullDiskEndsATakeover(t *testing.T) {
	if err := fmt.Errorf("apply: %w", &fs.PathError{Op: "write", Path: "p", Err: syscall.ENOSPC}); !lasts(err) {
		t.Errorf("%v: got that it passes, want that it lasts", err)
	}
	if err := fmt.Errorf("read log: %w", nats.ErrTimeout); lasts(err) {
		t.Errorf("%v: got that it lasts, want that it passes", err)
	}
}

func TestABestEffortHubWithoutItsLeaseIsBarredWhileNATSAnswers(t *testing.T) {
	w := newStandbyWorld(t)
	o, _ := w.machine("one", "t", false)
	o.Config.Standby.Replication = config.ReplicationBestEffort
	p, err := newPlace(o)
	w.must(err)
	w.must(p.conn.WaitConnected(t.Context()))
	if p.bars() == "" {
		t.Error("connected: got that it may hand out, want that it may not")
	}
	p.conn.Close()
	if why := p.bars(); why != "" {
		t.Errorf("not connected: got %q, want that it may hand out", why)
	}
}

func TestAHubThatMustReplicateIsBarredAsSoonAsNATSIsGone(t *testing.T) {
	w := newStandbyWorld(t)
	o, _ := w.machine("one", "t", false)
	p, err := newPlace(o)
	w.must(err)
	defer p.conn.Close()
	w.must(p.conn.WaitConnected(t.Context()))
	w.must(p.lead.Take(t.Context(), nil))
	if why := p.bars(); why != "" {
		t.Errorf("connected: got %q, want that it may hand out", why)
	}
	p.conn.Close()
	if p.bars() == "" {
		t.Error("not connected: got that it may hand out, want that it may not")
	}
}

// meanwhile is a log during one of whose lines something happens.
type meanwhile struct {
	*lines
	line string
	do   func()
}

func (m *meanwhile) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(m.line)) {
		m.do()
	}
	return m.lines.Write(p)
}

func TestAHubDeposedBeforeItsFirstCommitSaysWhoLeads(t *testing.T) {
	t.Parallel()
	w := newStandbyWorld(t)
	first, firstLog := w.machine("one", "t", false)
	stop := w.run(first)
	firstLog.await(t, "msg=leads")
	w.must(stop())
	o, log := w.machine("one", "u", true) // another name, so that the log knows nothing of the store
	w.emptyLog(o)
	conn := w.connect(o)
	defer conn.Close()
	o.Log = slog.New(slog.NewTextHandler(&meanwhile{log, "everything is held", func() {
		other := conn.NewLog(relay.LogOptions{})
		seen, err := other.Newest(t.Context())
		w.must(err)
		_, err = other.Fence(t.Context(), seen, store.Position{})
		w.must(err)
	}}, nil))
	if err := Run(t.Context(), o); !errors.Is(err, store.ErrDeposed) || !strings.Contains(err.Error(), "another machine leads now, and this process has handed nothing out since") {
		t.Errorf("got %v, want that another machine leads", err)
	}
}

func TestAStandbyThatLostItsCopyIsHeld(t *testing.T) {
	w := newStandbyWorld(t)
	o, _ := w.machine("one", "t", true)
	p, err := newPlace(o)
	w.must(err)
	defer p.conn.Close()
	w.must(p.conn.WaitConnected(t.Context()))
	f, err := store.OpenFollower(filepath.Join(w.dir, "none"), store.Options{})
	w.must(err)
	if _, checked, err := p.tryFence(t.Context(), f, true); err != nil || checked {
		t.Errorf("got checked %v and %v, want that it isn't checked", checked, err)
	}
}

func TestAStandbyNeedsItsTable(t *testing.T) {
	c := openDir(t, "[applications.channels.d]\ndriver = \"outbox\"\npath = \"out.jsonl\"\n")
	if err := Run(t.Context(), Options{Config: c, Standby: true}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "[standby]") {
		t.Errorf("got %v, want that it is refused because of [standby]", err)
	}
}
