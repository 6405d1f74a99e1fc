package relay

import (
	"errors"
	"testing"
	"time"
)

func TestWorkersAreListedWithTheirClocks(t *testing.T) {
	c := connect(t, startServer(t))
	w := WorkerRecord{ID: "b-1", Host: "b", Version: "v1", Wire: [2]byte{MinVersion, MaxVersion}, At: time.Now().Add(time.Hour),
		Channels: []WorkerChannel{{Application: 1, Name: "cloud_api", Concurrency: 16}}}
	if err := c.PutWorker(t.Context(), &w); err != nil {
		t.Fatal(err)
	}
	list, err := c.Workers(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("workers: got %v, %v, want one", list, err)
	}
	if got := list[0].Offset.Round(time.Minute); got != time.Hour {
		t.Errorf("clock offset is %v, want an hour", got)
	}
	if !list[0].Sends(1, "cloud_api") {
		t.Error("the worker doesn't send the channel that it announced")
	}
	if err := c.DeleteWorker(t.Context(), w.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := c.Workers(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("workers after the end: got %v, %v, want none", list, err)
	}
}

func TestDeclareMakesAgainWhatWasLost(t *testing.T) {
	c := connect(t, startServer(t))
	if err := c.js.DeleteStream(t.Context(), c.Names.WorkStream()); err != nil {
		t.Fatal(err)
	}
	if err := c.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.DeclareChannel(t.Context(), 1, "cloud_api", true); err != nil {
		t.Fatal(err)
	}
	if _, err := c.js.Consumer(t.Context(), c.Names.WorkStream(), c.Names.WorkConsumer(1, "cloud_api")); err != nil {
		t.Errorf("consumer of the channel: %v", err)
	}
}

func TestConnectReturnsWithoutAServer(t *testing.T) {
	c, err := Connect(Config{Servers: []string{"nats://127.0.0.1:1"}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Connected() {
		t.Error("it is connected to nothing")
	}
}

func TestCredentialsOfNoFormAreRefused(t *testing.T) {
	_, err := Connect(Config{Servers: []string{"nats://127.0.0.1:1"}, Name: "test", Credentials: "a secret\nof two lines"})
	if !errors.Is(err, ErrCredentials) {
		t.Errorf("error is %v, want ErrCredentials", err)
	}
}
