package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// webhook measures POSTs to a loopback server against a client that only posts.
func webhook(ctx context.Context, b *bench) error {
	const connections = 64
	n := min(b.rows, 200_000)
	url, end, err := receiver(0)
	if err != nil {
		return err
	}
	defer end()
	reference := post(url, n, connections)
	took, cpu, err := b.webhookRun(ctx, url, connections, n)
	if err != nil {
		return err
	}
	ours, other := float64(n)/took.Seconds(), float64(n)/reference.Seconds()
	b.atLeast("messages/s, webhook, 64 connections", fmt.Sprintf("%.0f", ours), fmt.Sprintf("a client that only posts: %.0f", other), ours/other, 0.85)
	b.limit("CPU seconds per 1,000,000 webhook messages, daemon", cpu.Seconds()*1e6/float64(n), "s", 1e6)

	const pause, slow = 50 * time.Millisecond, 1000
	url, endSlow, err := receiver(pause)
	if err != nil {
		return err
	}
	defer endSlow()
	if took, _, err = b.webhookRun(ctx, url, slow, n); err != nil {
		return err
	}
	ours, other = float64(n)/took.Seconds(), slow/pause.Seconds()
	b.atLeast("messages/s, webhook, 50 ms an answer, 1,000 connections", fmt.Sprintf("%.0f", ours), fmt.Sprintf("1,000 / 0.05 s: %.0f", other), ours/other, 0.95)
	return nil
}

func (b *bench) webhookRun(ctx context.Context, url string, connections, n int) (time.Duration, time.Duration, error) {
	s, err := b.newSetup(fmt.Sprintf("driver = \"webhook\"\nurl = %q\nconcurrency = %d", url, connections))
	if err != nil {
		return 0, 0, err
	}
	if err := s.drop("all", n, 0, now); err != nil {
		return 0, 0, err
	}
	d, err := b.run(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	ended, err := d.await(ctx, "drop ended", 1)
	if err != nil {
		return 0, 0, err
	}
	took, err := finished(ended.Folder)
	if err != nil {
		return 0, 0, err
	}
	cpu, err := d.stop()
	return took, cpu, err
}

// receiver answers every POST after a pause.
func receiver(pause time.Duration) (url string, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a client that goes away is its own affair
		time.Sleep(pause)
		w.WriteHeader(http.StatusOK)
	})}
	go func() { _ = server.Serve(l) }() // ends with Close
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}

// post is the reference: a minimal client that posts a body of the same size.
func post(url string, n, connections int) time.Duration {
	body := bytes.Repeat([]byte("x"), 420)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	work := make(chan struct{}, connections)
	begin := time.Now()
	var wait sync.WaitGroup
	for range connections {
		wait.Go(func() {
			for range work {
				r, err := client.Post(url, "application/json", bytes.NewReader(body))
				if err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_ = r.Body.Close()
				}
			}
		})
	}
	for range n {
		work <- struct{}{}
	}
	close(work)
	wait.Wait()
	return time.Since(begin)
}
