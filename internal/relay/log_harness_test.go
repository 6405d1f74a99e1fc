package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"campaignd/internal/store"
	"campaignd/test/natstest"
	"campaignd/test/programs"
)

// natsServer is a NATS server that can be stopped and started again.
type natsServer struct {
	t       testing.TB
	options server.Options
	s       *server.Server

	urls     []string // of several servers
	replicas int
}

// startLogServer runs a server whose messages have at most payload bytes; 0: 1 MiB.
func startLogServer(t testing.TB, payload int32) *natsServer {
	t.Helper()
	n := &natsServer{t: t, options: server.Options{MaxPayload: payload}}
	n.start()
	return n
}

func (n *natsServer) start() {
	n.t.Helper()
	n.s = natstest.Start(n.t, &n.options)
}

func (n *natsServer) stop() { natstest.Stop(n.s) }

func (n *natsServer) connect() *Conn {
	n.t.Helper()
	urls := n.urls
	if urls == nil {
		urls = []string{fmt.Sprintf("nats://127.0.0.1:%d", n.options.Port)}
	}
	c, err := Connect(Config{Servers: urls, Name: "test", Replicas: max(n.replicas, 1), Client: n.t.Name()})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(c.Close)
	if err := c.WaitConnected(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	return c
}

// replicatedHub is a store with its log.
type replicatedHub struct {
	t     testing.TB
	conn  *Conn
	log   *Log
	store *store.Store
	path  string
	epoch uint64
	end   func() error // ends Run and returns its error
}

// lead makes the copy at path a hub.
func lead(t testing.TB, n *natsServer, path string, o LogOptions) *replicatedHub {
	t.Helper()
	h := fence(t, n, path, o, false)
	h.run()
	if err := h.store.Replicate(h.log, h.epoch); err != nil {
		t.Fatal(err)
	}
	return h
}

// fence makes the copy at path a hub that doesn't append yet; bases is that of CatchUp.
func fence(t testing.TB, n *natsServer, path string, o LogOptions, bases bool) *replicatedHub {
	t.Helper()
	h := &replicatedHub{t: t, conn: n.connect(), path: path}
	h.log = h.conn.NewLog(o)
	f := openCopy(t, path)
	seen, err := h.log.CatchUp(t.Context(), f, bases)
	if err != nil && !errors.Is(err, ErrLogLost) {
		t.Fatal(err)
	}
	if h.epoch, err = h.log.Fence(t.Context(), seen, f.Position()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if h.store, err = store.Open(path, store.Options{InitialMmapSize: 1 << 20, Timeout: time.Millisecond, Checked: true}); err != nil {
		t.Fatal(err)
	}
	return h
}

// run runs the log until the test ends.
func (h *replicatedHub) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.log.Run(ctx, h.store) }()
	h.end = sync.OnceValue(func() error { cancel(); return <-done })
	h.t.Cleanup(func() {
		_ = h.end() // a test that cares has asked
		_ = h.store.Close()
	})
}

func openCopy(t testing.TB, path string) *store.Follower {
	t.Helper()
	f, err := store.OpenFollower(path, store.Options{InitialMmapSize: 1 << 20, Timeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// put stores a record, whose content is derived from its number.
func (h *replicatedHub) put(n, size int) error {
	return h.store.PutRecord(fmt.Sprintf("test/%d", n%50), record(n, size))
}

func record(n, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(n*31 + i*i*7 + i>>8)
	}
	return b
}

// mustPut stores records numbered from one number to before another.
func (h *replicatedHub) mustPut(from, to, size int) {
	h.t.Helper()
	for n := from; n < to; n++ {
		if err := h.put(n, size); err != nil {
			h.t.Fatal(err)
		}
	}
}

// follow keeps a copy at path; the function it returns ends that.
func follow(t testing.TB, n *natsServer, path string) (l *Log, end func()) {
	t.Helper()
	l = n.connect().NewLog(LogOptions{})
	f := openCopy(t, path)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Follow(ctx, f)
		f.Close()
	}()
	end = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(end)
	return l, end
}

// until waits until ok is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !programs.Until(20*time.Second, ok) {
		t.Fatalf("waited for nothing: %s", what)
	}
}

// same waits until the copy is where the hub is, and compares the two.
func (h *replicatedHub) same(l *Log, end func(), path string) {
	h.t.Helper()
	want, err := h.store.Position()
	if err != nil {
		h.t.Fatal(err)
	}
	if !programs.Until(20*time.Second, func() bool { return l.Following().Position == want }) {
		s := l.Following()
		info, err := h.log.Newest(h.t.Context())
		h.t.Fatalf("the copy is at %s, want %s: %+v; the log: %+v, %v", s.Position, want, s, info, err)
	}
	end()
	h.equals(path)
}

// equals compares a copy that nobody has open with the hub.
func (h *replicatedHub) equals(path string) {
	h.t.Helper()
	s, err := store.Open(path, store.Options{InitialMmapSize: 1 << 20, Timeout: time.Millisecond, Checked: true})
	if err != nil {
		h.t.Fatal(err)
	}
	defer s.Close()
	if found := s.Verify(true); len(found) > 0 {
		h.t.Errorf("verify: %q", found)
	}
	for n := range 50 {
		name := fmt.Sprintf("test/%d", n)
		want, err1 := h.store.Record(name)
		got, err2 := s.Record(name)
		switch {
		case err1 != nil:
			h.t.Fatal(err1)
		case err2 != nil:
			h.t.Fatal(err2)
		}
		if !bytes.Equal(got, want) {
			h.t.Fatalf("record %d has %d bytes, want %d, or they differ", n, len(got), len(want))
		}
	}
}

// noise returns bytes that can't be packed.
func noise(seed, size int) []byte {
	b := make([]byte, size)
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// equals2 compares two open stores.
func (h *replicatedHub) equals2(other *replicatedHub) {
	h.t.Helper()
	for n := range 20 {
		want, _ := h.store.Record(fmt.Sprintf("test/%d", n))
		switch got, err := other.store.Record(fmt.Sprintf("test/%d", n)); {
		case err != nil:
			h.t.Errorf("record %d: %v", n, err)
		case !bytes.Equal(got, want):
			h.t.Errorf("record %d: got %q, want %q", n, got, want)
		}
	}
}
