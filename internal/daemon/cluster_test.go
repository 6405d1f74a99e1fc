package daemon

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/relay"
)

func TestDoctorOverlooksAWorkersClockAndVersion(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t, "retry", "")
	conn, err := relay.Connect(relay.Config{Servers: []string{c.server.ClientURL()}, Name: "t", Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.until("the hub is ready", func() bool { return c.hub.Status().Ready })
	record := relay.WorkerRecord{ID: "b-1", Host: "b.example", Version: "0.9", Wire: relay.OwnVersions(), At: time.Now().Add(time.Minute),
		Channels: []relay.WorkerChannel{{Application: 1, Name: "push", Reason: "its secret can't be read"}}}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := conn.PutWorker(ctx, &record); err != nil {
		t.Fatal(err)
	}
	c.until("the worker is seen", func() bool { return len(c.hub.Status().Workers) == 1 })
	findings := c.cluster().ClusterFindings(ctx)
	for _, want := range []string{"the clock of worker b-1 on b.example differs from that of NATS by ", "worker b-1 on b.example has version 0.9, the hub test",
		"worker b-1 on b.example can't send channel push of application 1: its secret can't be read"} {
		if !slices.ContainsFunc(findings, func(f api.Finding) bool { return f.Level == api.LevelWarn && strings.HasPrefix(f.Message, want) }) {
			t.Errorf("no finding begins with %q: %+v", want, findings)
		}
	}
	for _, f := range findings {
		if f.Level == api.LevelWarn && f.Advice == "" {
			t.Errorf("%q has no advice", f.Message)
		}
	}
}

// slowRecords are records of a store that doesn't answer before ctx ends.
type slowRecords struct{ ctx context.Context }

func (r slowRecords) Record(string) ([]byte, error) {
	<-r.ctx.Done()
	return nil, r.ctx.Err()
}

func (r slowRecords) PutRecord(string, []byte) error { return r.ctx.Err() }

// The streams of a hub that has just started may not exist yet.
func TestDoctorBlamesNATSForStreamsThatAreNotMadeYet(t *testing.T) {
	t.Parallel()
	c := &testCluster{t: t, dir: t.TempDir()}
	c.startServer(-1)
	ctx, cancel := context.WithCancel(t.Context())
	hub := relay.NewHub(relay.HubOptions{Config: relay.Config{Servers: []string{c.server.ClientURL()}, Name: "t", Replicas: 1}, Records: slowRecords{ctx}})
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx, nil) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the hub ended with %v", err)
		}
	}()
	c.until("the hub is connected", func() bool { return hub.Status().Connected })
	var got []string
	for _, f := range (cluster{hub, nil, "test"}).ClusterFindings(ctx) {
		got = append(got, string(f.Level)+": "+f.Message)
	}
	want := []string{"warning: the hub has begun to work with NATS: it makes its streams and reads the answers of workers, and hands nothing out yet"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
