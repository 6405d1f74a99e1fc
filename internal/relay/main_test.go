package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"campaignd/internal/store"
	"campaignd/test/natstest"
)

// asFollower makes the test binary keep a copy at this path until it is killed, with the NATS
// server at followerNATS.
const (
	asFollower   = "RELAY_FOLLOWER"
	followerNATS = "RELAY_NATS"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(asFollower); path != "" {
		fmt.Fprintln(os.Stderr, followUntilKilled(path, os.Getenv(followerNATS)))
		os.Exit(1)
	}
	// A reader whose connection was closed while the client looked for another consumer ends within ten seconds.
	client := "github.com/nats-io/nats.go/jetstream."
	goleak.VerifyTestMain(m, append(natstest.LeftBehind(),
		goleak.IgnoreAnyFunction(client+"(*orderedConsumer).reset"), goleak.IgnoreAnyFunction(client+"(*orderedSubscription).Stop"))...)
}

func followUntilKilled(path, url string) error {
	c, err := Connect(Config{Servers: []string{url}, Name: "test", Replicas: 1, Client: "follower"})
	if err != nil {
		return err
	}
	f, err := store.OpenFollower(path, store.Options{InitialMmapSize: 1 << 20})
	if err != nil {
		return err
	}
	c.NewLog(LogOptions{}).Follow(context.Background(), f)
	return errors.New("it ended")
}

// startServer runs a NATS server with JetStream in this process.
func startServer(t *testing.T) *server.Server {
	t.Helper()
	return natstest.Start(t, &server.Options{})
}

// connect returns a connection to s with its streams declared.
func connect(t *testing.T, s *server.Server) *Conn {
	t.Helper()
	c, err := Connect(Config{Servers: []string{s.ClientURL()}, Name: "test", Replicas: 1, Client: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}
