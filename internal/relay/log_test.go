package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/store"
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
	n := &natsServer{t: t, options: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: t.TempDir(), MaxPayload: payload}}
	n.start()
	t.Cleanup(n.stop)
	return n
}

func (n *natsServer) start() {
	n.t.Helper()
	options := n.options
	s, err := server.NewServer(&options)
	if err != nil {
		n.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		n.t.Fatal("the NATS server doesn't start")
	}
	n.s, n.options.Port = s, options.Port
}

func (n *natsServer) stop() {
	n.s.Shutdown()
	n.s.WaitForShutdown()
}

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
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited for nothing: %s", what)
}

// same waits until the copy is where the hub is, and compares the two.
func (h *replicatedHub) same(l *Log, end func(), path string) {
	h.t.Helper()
	want, err := h.store.Position()
	if err != nil {
		h.t.Fatal(err)
	}
	for range 2000 {
		if l.Following().Position == want {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if s := l.Following(); s.Position != want {
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

func TestCopyEqualsTheHub(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 300, 100)
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

func TestWriteSetsAreLostAtTheSizeOfAMessage(t *testing.T) {
	n := startLogServer(t, 16<<10)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	for i := range 20 {
		if err := h.store.PutRecord(fmt.Sprintf("test/%d", i), []byte(noise(i, 1<<17))); err != nil {
			t.Fatal(err)
		}
	}
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.same(l, end, filepath.Join(dir, "copy.db"))
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

// TestBaseLosesWrites writes bases all the time, while the hub commits and copies begin, end and resume.
func TestBaseLosesWrites(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true, BaseAfter: 1 << 10})
	h.log.mu.Lock()
	h.log.baseSize = 0
	h.log.mu.Unlock()
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				if err := h.put(3*i+w, 500); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 4 {
		path := filepath.Join(dir, fmt.Sprintf("copy%d.db", i%2)) // the later ones resume
		l, end := follow(t, n, path)
		until(t, "the copy follows", func() bool {
			s := l.Following()
			return s.Complete && s.Behind < 5 && s.Position.Commit > uint64(100*i)
		})
		end()
	}
	stop.Store(true)
	writers.Wait()
	for i := range 3 {
		path := filepath.Join(dir, fmt.Sprintf("copy%d.db", i))
		l, end := follow(t, n, path)
		h.same(l, end, path)
	}
	info, err := h.log.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.first == 1 {
		t.Error("nothing was purged")
	}
}

// TestKilledStandbyDamagesItsCopy kills a process that follows, in bases and in sets.
func TestKilledStandbyDamagesItsCopy(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.db")
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true, BaseAfter: 1 << 10})
	var stop atomic.Bool
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := 0; !stop.Load(); i++ {
			if err := h.put(i, 2000); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 6 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), asFollower+"="+path, followerNATS+"="+h.conn.Server())
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(40+i*60) * time.Millisecond) // it may be anywhere then
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // it was killed
	}
	stop.Store(true)
	writers.Wait()
	l, end := follow(t, n, path)
	h.same(l, end, path)
}

func TestAcknowledgementLostDeposesTheHub(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.mustPut(0, 500, 100)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(5 * time.Millisecond):
			h.log.mu.Lock()
			h.log.unlink("acknowledgements are lost")
			h.log.mu.Unlock()
		}
	}
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

func TestDeposedHubCommits(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 10, 100)
	want, _ := h.store.Position()
	until(t, "the copy has everything", func() bool { return l.Following().Position == want })
	end()
	next := lead(t, n, filepath.Join(dir, "copy.db"), LogOptions{Required: true})
	next.mustPut(10, 20, 100)
	if err := h.put(20, 100); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("write of the old hub: %v, want %v", err, store.ErrDeposed)
	}
	if err := h.end(); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("run: %v, want %v", err, store.ErrDeposed)
	}
	<-h.store.Ended()
	_ = h.store.Close()

	// The old hub's store has a commit that the log lacks: it gets a base.
	f := openCopy(t, h.path)
	if _, err := next.log.CatchUp(t.Context(), f, false); !errors.Is(err, store.ErrGap) {
		t.Errorf("catch up: %v, want %v", err, store.ErrGap)
	}
	f.Close()
	l, end = follow(t, n, h.path)
	next.same(l, end, h.path)
}

func TestRestartOfNATSLosesCommits(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 20, 100)
	n.stop()
	done := make(chan error, 1)
	go func() { done <- h.put(20, 100) }()
	until(t, "the state says that the log is missing", func() bool { s := h.log.State(); return !s.Replicated && s.Problem != "" })
	select {
	case err := <-done:
		t.Fatalf("a commit returned without the log: %v", err)
	default:
	}
	if _, err := h.store.Record("test/1"); err != nil {
		t.Errorf("read: %v", err)
	}
	n.start()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	h.mustPut(21, 40, 100)
	until(t, "replication goes on", func() bool { return h.log.State().Replicated })
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

func TestLostLogStopsTheHub(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	for _, how := range []string{"deleted", "created anew"} {
		t.Run(how, func(t *testing.T) {
			path := filepath.Join(dir, how+".db")
			c := n.connect()
			_ = c.js.DeleteStream(t.Context(), c.Names.LogStream()) // of the run before
			h := lead(t, n, path, LogOptions{Required: true})
			l, end := follow(t, n, path+".copy")
			h.mustPut(0, 20, 100)
			if err := c.js.DeleteStream(t.Context(), c.Names.LogStream()); err != nil {
				t.Fatal(err)
			}
			if how != "deleted" {
				if err := c.declareLog(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			h.mustPut(20, 21, 100)
			info, err := h.log.Newest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch at, _ := h.store.Position(); {
			case !info.Base:
				t.Error("info.Base = false, want true")
			case info.Position != at:
				t.Errorf("info.Position = %v, want %v", info.Position, at)
			}
			h.mustPut(21, 40, 100)
			if s := h.log.State(); !s.Replicated {
				t.Errorf("state: %+v", s)
			}
			h.same(l, end, path+".copy")
		})
	}
}

func TestIdleHubMissesThatItsLogIsLost(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	h.mustPut(0, 20, 100)
	if err := h.conn.js.DeleteStream(t.Context(), h.conn.Names.LogStream()); err != nil {
		t.Fatal(err)
	}
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

func TestIdleHubMissesThatItWasDeposed(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	other := n.connect().NewLog(LogOptions{})
	info, err := other.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Fence(t.Context(), info, info.Position); err != nil {
		t.Fatal(err)
	}
	<-h.log.Deposed()
	if err := h.log.Err(); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("it ended with %v, want %v", err, store.ErrDeposed)
	}
}

func TestBestEffortWaitsForNATS(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 20, 100)
	n.stop()
	h.mustPut(20, 40, 100)
	switch s := h.log.State(); {
	case s.Replicated:
		t.Error("without NATS: s.Replicated = true, want false")
	case s.Since.IsZero():
		t.Error("without NATS: s.Since is zero")
	}
	n.start()
	for i := 40; !h.log.State().Replicated; i++ { // it commits while the base is written
		h.mustPut(i, i+1, 100)
	}
	h.same(l, end, filepath.Join(dir, "copy.db"))
	again, end := follow(t, n, filepath.Join(dir, "new.db"))
	h.same(again, end, filepath.Join(dir, "new.db"))
}

func TestGarbageInTheLogDeposesTheHub(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	c := n.connect()
	for i := range 20 {
		for _, kind := range []byte{logFence, logSet, logChunk, logComplete} {
			if _, err := c.js.Publish(t.Context(), c.Names.logSubject(kind), fmt.Appendf(nil, "garbage %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		h.mustPut(i, i+1, 100)
	}
	h.same(l, end, filepath.Join(dir, "copy.db"))
	again, end := follow(t, n, filepath.Join(dir, "new.db"))
	h.same(again, end, filepath.Join(dir, "new.db"))
}

func TestTwoHubsFence(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	info, err := h.log.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.mustPut(0, 1, 100)
	other := n.connect().NewLog(LogOptions{})
	if _, err := other.Fence(t.Context(), info, store.Position{}); !errors.Is(err, ErrLogMoved) {
		t.Errorf("fence: %v, want %v", err, ErrLogMoved)
	}
	h.mustPut(1, 2, 100)
}

// TestTakeoverReadsFromALaggingReplica: a stream that any replica may answer for is changed before it is read.
func TestTakeoverReadsFromALaggingReplica(t *testing.T) {
	n := startLogServer(t, 0)
	c := n.connect()
	l := c.NewLog(LogOptions{})
	_, err := c.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: c.Names.LogStream(), Subjects: []string{c.Names.LogAll()}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Newest(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := c.js.Stream(t.Context(), c.Names.LogStream())
	if err != nil {
		t.Fatal(err)
	}
	if stream.CachedInfo().Config.AllowDirect {
		t.Error("any replica answers for a stream of before")
	}
	if err := c.js.DeleteStream(t.Context(), c.Names.LogStream()); err != nil {
		t.Fatal(err)
	}
	if err := c.declareLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stream, err = c.js.Stream(t.Context(), c.Names.LogStream()); err != nil {
		t.Fatal(err)
	}
	if stream.CachedInfo().Config.AllowDirect {
		t.Error("any replica answers for a new stream")
	}
}

// TestFenceAfterAnIncompleteRead: CatchUp saw an earlier position, though the same sequence.
func TestFenceAfterAnIncompleteRead(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	h.mustPut(0, 5, 100)
	if err := h.log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := n.connect().NewLog(LogOptions{})
	seen, err := other.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen.Position.Commit--
	if _, err := other.Fence(t.Context(), seen, seen.Position); !errors.Is(err, ErrLogMoved) {
		t.Errorf("fence: %v, want %v", err, ErrLogMoved)
	}
}

// blindStream is a stream that doesn't find its messages.
type blindStream struct{ jetstream.Stream }

func (blindStream) GetMsg(context.Context, uint64, ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	return nil, jetstream.ErrMsgNotFound
}

func TestMessageNotFoundIsTakenForAnotherPrograms(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	if err := h.log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := h.log.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.log.recognize(t.Context(), blindStream{stream}, stream.CachedInfo().State.LastSeq); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("recognize: %v, want %v", err, jetstream.ErrMsgNotFound)
	}
}

// TestCopyAheadOfTheLogLeadsUnheld: the log has lost its end, and so may have lost more than the copy shows.
func TestCopyAheadOfTheLogLeadsUnheld(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy.db")
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, copied)
	h.mustPut(0, 10, 100)
	h.same(l, end, copied)
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	_ = h.store.Close()
	stream, err := h.log.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	for seq := last - 2; seq <= last; seq++ {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}

	f := openCopy(t, copied)
	if _, err := h.log.CatchUp(t.Context(), f, true); !errors.Is(err, ErrLogLost) {
		t.Errorf("catch up of a standby: %v, want %v", err, ErrLogLost)
	}
	if _, err := h.log.CatchUp(t.Context(), f, false); err != nil {
		t.Errorf("catch up of the hub's own store: %v", err)
	}
	f.Close()

	l, end = follow(t, n, copied)
	until(t, "the copy says why it isn't complete", func() bool {
		s := l.Following()
		return s.Complete || strings.HasPrefix(s.Problem, ErrLogLost.Error())
	})
	if s := l.Following(); s.Complete {
		t.Errorf("a copy ahead of the log is complete: %+v", s)
	}
	again := lead(t, n, h.path, LogOptions{Required: true})
	until(t, "the new base continues the copy", func() bool { return l.Following().Complete })
	again.mustPut(10, 20, 100)
	again.same(l, end, copied)
}

// TestIdleHubWritesABaseAndItsStandbyIsNeverReady: the new log has no set that the copy could wait for.
func TestIdleHubWritesABaseAndItsStandbyIsNeverReady(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy.db")
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, copied)
	h.mustPut(0, 10, 100)
	h.same(l, end, copied)
	if err := h.conn.js.DeleteStream(t.Context(), h.conn.Names.LogStream()); err != nil {
		t.Fatal(err)
	}
	until(t, "the hub has written a base", func() bool {
		info, err := h.log.Newest(t.Context())
		return err == nil && info.Base && info.lastSet == 0
	})
	l, _ = follow(t, n, copied)
	until(t, "the copy is complete", func() bool { s := l.Following(); return s.Complete && s.Behind == 0 })
}

// TestHubRestartsBehindItsLog: the hub died between the append and the commit on the disk.
func TestHubRestartsBehindItsLog(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "hub.db"), filepath.Join(dir, "copy.db")
	h := lead(t, n, path, LogOptions{Required: true})
	l, end := follow(t, n, copied)
	h.mustPut(0, 10, 100)
	want, _ := h.store.Position()
	until(t, "the copy has everything", func() bool { return l.Following().Position == want })
	end() // from here on it is a store that lacks the last sets
	h.mustPut(10, 20, 100)
	if err := h.log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	again := lead(t, n, copied, LogOptions{Required: true})
	info, err := again.log.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.base.From > 1 {
		t.Errorf("a base was written after sequence %d, although the log continues the store", info.base.From)
	}
	h.equals2(again)
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

func TestClosedLogLetsCommitsWait(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	n.stop()
	done := make(chan error, 1)
	go func() { done <- h.put(1, 100) }()
	until(t, "the commit waits", func() bool { return !h.log.State().Replicated })
	h.log.Close()
	if err := <-done; !errors.Is(err, ErrLogClosed) {
		t.Errorf("commit: %v, want %v", err, ErrLogClosed)
	}
	n.start()
}

func TestLogOfALaterVersionIsTakenForGarbage(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, _ := follow(t, n, filepath.Join(dir, "copy.db"))
	m := logMessage{kind: logSet, writer: writerID{1}, index: 1, at: store.Position{Tag: "0123abcd", Epoch: 99, Commit: 1 << 40}}
	later := m.encode()
	later[0]++
	if _, err := h.conn.js.Publish(t.Context(), h.conn.Names.logSubject(logSet), later); err != nil {
		t.Fatal(err)
	}
	until(t, "the copy says so", func() bool { return l.Following().Problem == ErrLogVersion.Error() })
	if err := h.put(1, 100); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("commit: %v, want %v", err, store.ErrDeposed)
	}
}

// TestFailedPurgeFailsTheBase: the base is in the log, and is written once more every second.
func TestFailedPurgeFailsTheBase(t *testing.T) {
	n := startLogServer(t, 0)
	c := n.connect()
	_, err := c.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: c.Names.LogStream(), Subjects: []string{c.Names.LogAll()}, DenyPurge: true})
	if err != nil {
		t.Fatal(err)
	}
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	until(t, "the first base is written", func() bool { s := h.log.State(); return s.Replicated && !s.Basing })
	h.mustPut(0, 10, 100)
	if _, err := h.log.writeBase(t.Context(), h.store); err != nil {
		t.Errorf("a base that can't be purged: %v", err)
	}
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if h.log.sinceBase != 0 {
		t.Errorf("%d bytes of sets are counted since the base, want 0", h.log.sinceBase)
	}
}

func TestRunFailsAndCommitsWaitForEver(t *testing.T) {
	n := startLogServer(t, 0)
	c := n.connect()
	l := c.NewLog(LogOptions{Required: true})
	c.Close()
	if err := l.Run(t.Context(), nil); err == nil {
		t.Error("it runs without a connection")
	}
	if err := l.Err(); !errors.Is(err, ErrLogClosed) {
		t.Errorf("commits: %v, want %v", err, ErrLogClosed)
	}
}

// FuzzLogMessage: hostile bytes give an error, and what decodes encodes to the same.
func FuzzLogMessage(f *testing.F) {
	m := logMessage{kind: logSet, writer: writerID{1, 2}, index: 3, epoch: 4, at: store.Position{Tag: "0123abcd", Epoch: 4, Commit: 7}, part: 1, more: true, body: []byte("x")}
	f.Add(m.encode())
	m.kind, m.body = logComplete, []byte(`{"number":1,"from":2,"size":3}`)
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeLog(data)
		if err != nil {
			return
		}
		again, err := decodeLog(m.encode())
		if err != nil {
			t.Fatal(err)
		}
		if again.index != m.index || again.at != m.at || !bytes.Equal(again.body, m.body) || again.more != m.more || again.part != m.part {
			t.Errorf("got %+v, want %+v", again, m)
		}
		if m.kind == logComplete {
			_, _ = m.base()
		}
		var a logAssembler
		_, _ = a.add(&m)
	})
}
