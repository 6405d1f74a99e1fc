// Package natstest runs NATS servers with JetStream inside a test.
package natstest

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"
)

// Start runs a server on loopback until the test ends. o says what is special about it: without
// Port it takes a free one, without StoreDir a folder of the test's. o.Port is the port afterwards,
// so that another call with it starts the server again.
func Start(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoLog, o.NoSigs, o.JetStream = "127.0.0.1", true, true, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { Stop(s) })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server doesn't start")
	}
	o.Port = s.Addr().(*net.TCPAddr).Port
	return s
}

// Stop ends s.
func Stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// LeftBehind are the goroutines that a test's server may leave behind: a server that ends while it
// makes a stream forgets the stream's file store, which runs on.
func LeftBehind() []goleak.Option {
	const at = "github.com/nats-io/nats-server/v2/server"
	return []goleak.Option{
		goleak.IgnoreAnyFunction(at + ".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction(at + "/ats.Register.func1"),
	}
}
