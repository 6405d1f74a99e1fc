package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// webhook compares POSTs to a loopback server with a client that only posts.
func webhook(ctx context.Context, b *bench) error {
	const connections = 64
	n := min(b.rows, 200_000)
	url, end, err := receiver(0, false, nil)
	if err != nil {
		return err
	}
	defer end()
	reference, clientCPU, err := client(ctx, url, n, connections)
	if err != nil {
		return err
	}
	took, cpu, err := b.webhookRun(ctx, url, connections, n)
	if err != nil {
		return err
	}
	ours, other := float64(n)/took.Seconds(), float64(n)/reference.Seconds()
	b.atLeast("messages/s, webhook, 64 connections", fmt.Sprintf("%.0f", ours), fmt.Sprintf("a client that only posts: %.0f", other), ours/other, 0.85)
	million := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(n) }
	check, err := handOver(ctx)
	if err != nil {
		return err
	}
	b.limit("the check at hand-over, of a webhook message's CPU time", 100*check.Seconds()*float64(n)/cpu.Seconds(), "%", 3)
	b.atMost("CPU seconds per 1,000,000 webhook messages", fmt.Sprintf("%.1f", million(cpu)), fmt.Sprintf("the same client: %.1f", million(clientCPU)), float64(cpu)/float64(clientCPU), 1.4)

	if b.unrecorded != "" {
		if err := b.withoutRecording(ctx, connections, n); err != nil {
			return err
		}
	}

	const pause, slow = 50 * time.Millisecond, 1000
	url, endSlow, err := receiver(pause, false, nil)
	if err != nil {
		return err
	}
	defer endSlow()
	// A minimal client's rate with this receiver shows how much of the ideal the machine can reach.
	posting, _, err := client(ctx, url, n, slow)
	if err != nil {
		return err
	}
	if took, _, err = b.webhookRun(ctx, url, slow, n); err != nil {
		return err
	}
	ours, other = float64(n)/took.Seconds(), slow/pause.Seconds()
	b.atLeast("messages/s, webhook, 50 ms an answer, 1,000 connections", fmt.Sprintf("%.0f", ours),
		fmt.Sprintf("1,000 / 0.05 s: %.0f (a client that only posts: %.0f)", other, float64(n)/posting.Seconds()), ours/other, 0.95)
	return nil
}

// handOver returns what the check of one message costs, as its benchmark says. It needs the source
// and the go command, as make bench does.
func handOver(ctx context.Context) (time.Duration, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "HandOver$", "./internal/send").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("measure the check at hand-over: %w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasPrefix(f[0], "BenchmarkHandOver") {
			ns, err := strconv.ParseFloat(f[2], 64)
			return time.Duration(ns), err
		}
	}
	return 0, fmt.Errorf("measure the check at hand-over: no figure in %s", out)
}

// withoutRecording compares the daemon with one built without recording. The receiver
// measures both from its first request to its n-th, because the other build never
// ends a sending. Speed varies by a quarter within minutes, so runs come in pairs and
// the median of the pairs' ratios counts.
func (b *bench) withoutRecording(ctx context.Context, connections, n int) error {
	n = min(n, 100_000)
	var with, without []time.Duration
	var ratios []float64
	for range 9 {
		ours, err := b.received(ctx, b.bin, connections, n)
		if err != nil {
			return err
		}
		other, err := b.received(ctx, b.unrecorded, connections, n)
		if err != nil {
			return err
		}
		with, without, ratios = append(with, ours), append(without, other), append(ratios, float64(other)/float64(ours))
	}
	b.atLeast("messages/s, webhook, 64 connections, as the receiver sees them", fmt.Sprintf("%.0f", float64(n)/median(with).Seconds()),
		fmt.Sprintf("built without recording: %.0f", float64(n)/median(without).Seconds()), median(ratios), 0.9)
	return nil
}

// received returns the time bin takes for n messages.
func (b *bench) received(ctx context.Context, bin string, connections, n int) (time.Duration, error) {
	m := &meter{n: int64(n), full: make(chan struct{})}
	url, end, err := receiver(0, false, m)
	if err != nil {
		return 0, err
	}
	defer end()
	s, err := b.newSetup(fmt.Sprintf("driver = \"webhook\"\nurl = %q\nconcurrency = %d", url, connections))
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(s.dir)
	if err := s.drop("all", n, 0, now); err != nil {
		return 0, err
	}
	other := *b
	other.bin = bin
	d, err := other.run(ctx, s)
	if err != nil {
		return 0, err
	}
	select {
	case <-m.full:
	case err := <-d.ended:
		return 0, fmt.Errorf("the daemon ended: %w", err)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	took := m.took()
	_ = d.cmd.Process.Kill() // nothing else is measured from this run
	<-d.ended
	return took, nil
}

// meter counts a receiver's requests.
type meter struct {
	n           int64
	got         atomic.Int64
	first, last atomic.Int64  // Unix nanoseconds
	full        chan struct{} // closed at the n-th request
}

func (m *meter) count() {
	if m == nil {
		return
	}
	switch m.got.Add(1) {
	case 1:
		m.first.Store(time.Now().UnixNano())
	case m.n:
		m.last.Store(time.Now().UnixNano())
		close(m.full)
	}
}

func (m *meter) took() time.Duration { return time.Duration(m.last.Load() - m.first.Load()) }

// webhookRun sends n messages to url, as measure does.
func (b *bench) webhookRun(ctx context.Context, url string, connections, n int) (time.Duration, time.Duration, error) {
	s, err := b.newSetup(fmt.Sprintf("driver = \"webhook\"\nurl = %q\nconcurrency = %d", url, connections))
	if err != nil {
		return 0, 0, err
	}
	return b.measure(ctx, s, n)
}

// measure sends n messages through the setup's channel. It returns the elapsed time and the
// daemon's CPU time from accepted to ended, its report included.
func (b *bench) measure(ctx context.Context, s *setup, n int) (time.Duration, time.Duration, error) {
	if err := s.drop("all", n, 0, now); err != nil {
		return 0, 0, err
	}
	d, err := b.run(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	if _, err := d.await(ctx, "drop accepted", 1); err != nil {
		return 0, 0, err
	}
	before := d.cpu()
	ended, err := d.await(ctx, "drop ended", 1)
	if err != nil {
		return 0, 0, err
	}
	cpu := d.cpu() - before
	took, err := finished(ended.Folder)
	if err != nil {
		return 0, 0, err
	}
	if err := d.stop(); err != nil {
		return 0, 0, err
	}
	return took, cpu, os.RemoveAll(s.dir)
}

// receiver answers every POST after a pause. Each answer has a unique id of 60
// characters that compresses badly. m, if not nil, counts requests.
func receiver(pause time.Duration, ids bool, m *meter) (url string, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the client may disconnect
		m.count()
		if pause > 0 {
			time.Sleep(pause)
		}
		if !ids {
			w.WriteHeader(http.StatusOK)
			return
		}
		var raw [45]byte
		_, _ = rand.Read(raw[:]) // never fails
		_, _ = fmt.Fprintf(w, `{"id": %q}`, base64.URLEncoding.EncodeToString(raw[:]))
	})}
	go func() { _ = server.Serve(l) }() // ends with Close
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}
