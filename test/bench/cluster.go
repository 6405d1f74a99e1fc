package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// connections is the concurrency of each worker.
const connections = 64

// answerTime is what the receiver of the scaling takes for a message.
const answerTime = 100 * time.Millisecond

// cluster measures how the rate grows with the workers, and what each part of a cluster costs beside a
// single process. Hub, workers and NATS are processes of this machine.
func cluster(ctx context.Context, b *bench) error {
	rates := map[int]float64{}
	for _, workers := range []int{1, 2, 4, 6, 8} {
		n := min(b.rows, workers*6000)
		m := &meter{n: int64(n), full: make(chan struct{})}
		url, end, err := receiver(answerTime, false, m)
		if err != nil {
			return err
		}
		_, err = b.clusterRun(ctx, url, workers, n)
		end()
		if err != nil {
			return fmt.Errorf("%d workers: %w", workers, err)
		}
		rates[workers] = float64(n) / m.took().Seconds()
		what, ideal := fmt.Sprintf("messages/s, %d workers of %d connections, %s an answer", workers, connections, answerTime), float64(workers*connections)/answerTime.Seconds()
		ours, reference := fmt.Sprintf("%.0f", rates[workers]), fmt.Sprintf("%d connections / %s: %.0f", workers*connections, answerTime, ideal)
		if workers == 6 {
			b.atLeast(what, ours, fmt.Sprintf("1 worker: %.0f", rates[1]), rates[6]/rates[1], 4.8)
		} else {
			b.add(figure{what, ours, reference, rates[workers] / ideal, "", true})
		}
	}

	n := min(b.rows, 200_000)
	url, end, err := receiver(0, false, nil)
	if err != nil {
		return err
	}
	defer end()
	_, alone, err := b.webhookRun(ctx, url, connections, n)
	if err != nil {
		return err
	}
	const workers = 4
	used, err := b.clusterRun(ctx, url, workers, n)
	if err != nil {
		return err
	}
	million := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(n) }
	for _, part := range []struct {
		name string
		cpu  time.Duration
	}{{"hub", used.hub}, {"workers together", used.workers}, {"NATS", used.nats}} {
		b.add(figure{"CPU seconds per 1,000,000 webhook messages, " + part.name, fmt.Sprintf("%.1f", million(part.cpu)),
			fmt.Sprintf("one process that does everything: %.1f", million(alone)), float64(part.cpu) / float64(alone), "", true})
	}
	b.more = capacity(runtime.NumCPU(), million(used.hub), million(used.workers), million(used.nats))
	return nil
}

// usedBy is the CPU time that each part used for a drop, from accepted to ended.
type usedBy struct{ hub, workers, nats, standby time.Duration }

// clusterRun sends n messages to url through so many workers.
func (b *bench) clusterRun(ctx context.Context, url string, workers, n int) (used usedBy, err error) {
	port, err := freePort()
	if err != nil {
		return used, err
	}
	s, err := b.newSetup(fmt.Sprintf("driver = \"webhook\"\nurl = %q\nconcurrency = %d\nsend_from = \"workers\"\n[nats]\nservers = [\"nats://127.0.0.1:%d\"]\nreplicas = 1",
		url, connections, port))
	if err != nil {
		return used, err
	}
	defer os.RemoveAll(s.dir)
	self, err := os.Executable()
	if err != nil {
		return used, err
	}
	var list []*exec.Cmd
	defer func() {
		for _, p := range list {
			err = errors.Join(err, end(p))
		}
	}()
	begin := func(argv ...string) (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		list = append([]*exec.Cmd{cmd}, list...) // NATS ends last
		return cmd, nil
	}
	nats, err := begin(self, "-nats", strconv.Itoa(port), "-store", filepath.Join(s.dir, "nats"))
	if err != nil {
		return used, err
	}
	var senders []*exec.Cmd
	for range workers {
		one, err := begin(b.bin, "worker", "--config", s.config)
		if err != nil {
			return used, err
		}
		senders = append(senders, one)
	}
	hub, err := b.run(ctx, s)
	if err != nil {
		return used, err
	}
	defer func() {
		stopped := hub.stop()
		err = errors.Join(err, stopped)
	}()
	if err := b.awaitWorkers(ctx, s, workers); err != nil {
		return used, err
	}
	total := func() (u usedBy) {
		u.hub, u.nats = hub.cpu(), cpuOf(nats.Process.Pid)
		for _, one := range senders {
			u.workers += cpuOf(one.Process.Pid)
		}
		return u
	}
	if err := s.drop("all", n, 0, now); err != nil {
		return used, err
	}
	if _, err := hub.await(ctx, "drop accepted", 1); err != nil {
		return used, err
	}
	before := total()
	if _, err := hub.await(ctx, "drop ended", 1); err != nil {
		return used, err
	}
	after := total()
	return usedBy{hub: after.hub - before.hub, workers: after.workers - before.workers, nats: after.nats - before.nats}, nil
}

// awaitWorkers waits until the hub knows n workers.
func (b *bench) awaitWorkers(ctx context.Context, s *setup, n int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		out, err := exec.CommandContext(ctx, b.bin, "status", "--json", "--config", s.config).Output()
		var status struct {
			Cluster struct{ Workers []struct{ ID string } }
		}
		if err == nil && json.Unmarshal(out, &status) == nil && len(status.Cluster.Workers) == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the hub sees %d workers, not %d: %w", len(status.Cluster.Workers), n, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// end ends a process in order.
func end(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return cmd.Wait()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// serveNATS is a NATS server until SIGTERM (the program starts itself so).
func serveNATS(port int, dir string) error {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir})
	if err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	s.Start()
	<-ended
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// capacity returns a table of what 1 to 16 workers can send and which part limits it, calculated from the
// CPU seconds that each part takes for a million messages. Hub, NATS and each worker are machines of so many cores.
func capacity(cores int, hub, worker, nats float64) string {
	perSecond := func(seconds float64) float64 { return 1e6 * float64(cores) / math.Max(seconds, 0.01) }
	var s strings.Builder
	fmt.Fprintf(&s, "\nCalculated from these CPU seconds (hub %.1f, worker %.1f, NATS %.1f per 1,000,000 messages), in messages a second, if the hub, NATS and each worker have a machine of %d cores. "+
		"The last columns are for a receiver that takes %s: there the connections are the limit.\n\n", hub, worker, nats, cores, answerTime)
	fmt.Fprintf(&s, "| workers | their CPU | hub's CPU | NATS's CPU | first limit | %d connections each, %s an answer | 1,000 connections each |\n| --- | --- | --- | --- | --- | --- | --- |\n", connections, answerTime)
	for _, n := range []int{1, 2, 4, 6, 8, 12, 16} {
		limit, by := float64(n)*perSecond(worker), "workers"
		if v := perSecond(hub); v < limit {
			limit, by = v, "hub"
		}
		if v := perSecond(nats); v < limit {
			limit, by = v, "NATS"
		}
		through := func(connections int) float64 { return math.Min(limit, float64(n*connections)/answerTime.Seconds()) }
		fmt.Fprintf(&s, "| %d | %.0f | %.0f | %.0f | %s, %.0f | %.0f | %.0f |\n", n, float64(n)*perSecond(worker), perSecond(hub), perSecond(nats), by, limit, through(connections), through(1000))
	}
	return s.String()
}
