package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// standbyRate is the rate at which the hub sends while it takes rows in.
const standbyRate = 20_000

// standby measures how far a standby is behind, what it needs, and what it costs the hub.
func standby(ctx context.Context, b *bench) error {
	small, err := b.followed(ctx, b.rows)
	if err != nil {
		return err
	}
	large, err := b.followed(ctx, 10*b.rows)
	if err != nil {
		return err
	}
	for _, f := range []*followed{small, large} {
		what := fmt.Sprintf(", a hub that takes in %d rows and sends %.0f messages/s", f.rows, f.rate)
		b.limit("the standby is behind by at most"+what, f.lag[len(f.lag)-1].Seconds(), "s", 1)
		b.limit("the standby is behind, 99%"+what, f.lag[len(f.lag)*99/100].Seconds(), "s", 1)
		b.atMost("the standby's disk at its peak"+what, megabytes(f.copyDisk), "the store "+megabytes(f.store), float64(f.copyDisk)/float64(f.store), 2)
		b.add(figure{"CPU seconds" + what, fmt.Sprintf("hub %.1f, standby %.1f, NATS %.1f", f.hub.Seconds(), f.copied.Seconds(), f.nats.Seconds()), "", 0, "", true})
		b.add(figure{"the disk of NATS at its peak" + what, megabytes(f.natsDisk), "the store " + megabytes(f.store), float64(f.natsDisk) / float64(f.store), "", true})
	}
	b.atMost(fmt.Sprintf("peak anonymous memory of the standby, %d rows", large.rows), mebibytes(large.copyPeak),
		fmt.Sprintf("%d rows: %s", small.rows, mebibytes(small.copyPeak)), float64(large.copyPeak)/float64(small.copyPeak), 1.5)
	b.limit(fmt.Sprintf("peak anonymous memory of the standby, %d rows", large.rows), float64(large.copyPeak)/(1<<20), "MiB", 96)
	b.add(figure{fmt.Sprintf("peak anonymous memory of the hub, %d rows", large.rows), mebibytes(large.hubPeak), "", 0, "", true})
	return b.pairs(ctx)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// duo is a hub with its standby and their NATS server.
type duo struct {
	main, copied *setup
	hub, second  *daemon
	nats         *exec.Cmd
}

// start starts NATS, a hub and a standby, and waits until that has a complete copy. The caller calls end.
func (d *duo) start(ctx context.Context, b *bench, channel string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	if d.main, err = b.newSetup(fmt.Sprintf("%s\n[nats]\nservers = [\"nats://127.0.0.1:%d\"]\nreplicas = 1\n[standby]", channel, port)); err != nil {
		return err
	}
	if d.copied, err = d.main.other(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	nats := exec.CommandContext(ctx, self, "-nats", strconv.Itoa(port), "-store", filepath.Join(d.main.dir, "nats"))
	if err := nats.Start(); err != nil {
		return err
	}
	d.nats = nats
	if d.hub, err = b.run(ctx, d.main); err != nil {
		return err
	}
	if _, err := d.hub.await(ctx, "ready", 1); err != nil {
		return err
	}
	if d.second, err = b.run(ctx, d.copied); err != nil {
		return err
	}
	return d.awaitReady(ctx)
}

// other returns the setup of a standby: all but its state is shared.
func (s *setup) other() (*setup, error) {
	dir := filepath.Join(s.dir, "standby")
	o := &setup{dir: dir, config: filepath.Join(dir, "campaignd.toml"), flags: []string{"--standby"}}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(s.config)
	if err != nil {
		return nil, err
	}
	return o, os.WriteFile(o.config, []byte(strings.Replace(string(text), filepath.Join(s.dir, "var"), filepath.Join(dir, "var"), 1)), 0o644)
}

// end ends everything and removes its files. Nothing is measured after it.
func (d *duo) end() error {
	for _, one := range []*daemon{d.second, d.hub} {
		if one != nil && one.cmd.Process.Kill() == nil { // else it has ended
			<-one.ended
		}
	}
	var err error
	if d.nats != nil {
		err = end(d.nats)
	}
	if d.main != nil {
		err = errors.Join(err, os.RemoveAll(d.main.dir))
	}
	return err
}

// awaitReady waits until the standby could take over.
func (d *duo) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if r, err := d.main.replication(ctx); err == nil && r.Ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the standby isn't ready: %w", ctx.Err())
		case err := <-d.second.ended:
			return fmt.Errorf("the standby ended: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// replication is what a daemon says of its log.
type replication struct {
	Ready   bool
	Problem string
	Commit  uint64
	Lag     float64
}

// replication asks the daemon through its socket.
func (s *setup) replication(ctx context.Context) (r replication, err error) {
	if s.client == nil {
		s.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.dir, "var", "campaignd.sock"))
		}}}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://campaignd/v1/status", nil)
	if err != nil {
		return r, err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return r, err
	}
	defer answer.Body.Close()
	var status struct {
		Cluster struct{ Replication replication }
	}
	err = json.NewDecoder(answer.Body).Decode(&status)
	return status.Cluster.Replication, err
}

// followed is what a standby needed while it followed a hub.
type followed struct {
	rows  int
	rate  float64         // messages a second that the hub sent
	lag   []time.Duration // between a commit's way to the log and its place in the copy, sorted
	said  float64         // the most seconds that the standby called itself behind
	store int64           // the hub's file

	copyDisk, natsDisk, copyPeak, hubPeak int64
	hub, copied, nats                     time.Duration // CPU time
}

// followed takes in a drop of so many rows while another one is being sent.
func (b *bench) followed(ctx context.Context, rows int) (f *followed, err error) {
	d := &duo{}
	defer func() { err = errors.Join(err, d.end()) }()
	if err := d.start(ctx, b, fmt.Sprintf("driver = \"null\"\nrate = %d", standbyRate)); err != nil {
		return nil, err
	}
	w := d.watch(ctx)
	const seconds = 40
	if err := d.main.drop("steady", seconds*standbyRate, 0, now); err != nil {
		return nil, err
	}
	if _, err := d.hub.await(ctx, "drop accepted", 1); err != nil {
		return nil, err
	}
	tomorrow := fmt.Sprintf(`{"applicationId": 1, "campaignId": 1, "scheduleAt": %q}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
	if err := d.main.drop("big", rows, 0, tomorrow); err != nil {
		return nil, err
	}
	if _, err := d.hub.await(ctx, "drop accepted", 2); err != nil {
		return nil, err
	}
	ended, err := d.hub.await(ctx, "drop ended", 1)
	if err != nil {
		return nil, err
	}
	took, err := finished(ended.Folder)
	if err != nil {
		return nil, err
	}
	if f, err = w.end(); err != nil {
		return nil, err
	}
	f.rows, f.rate = rows, seconds*standbyRate/took.Seconds()
	f.hub, f.copied, f.nats = d.hub.cpu(), d.second.cpu(), cpuOf(d.nats.Process.Pid)
	f.hubPeak = d.hub.peak
	return f, nil
}

// watcher looks at hub and standby at short intervals.
type watcher struct {
	d    *duo
	stop context.CancelFunc
	done sync.WaitGroup

	ours, copies []sighting
	f            followed
}

// sighting is a commit that a process had at a time.
type sighting struct {
	at     time.Time
	commit uint64
}

// watchEvery is how often the watcher looks. A lag is measured as up to that much too long.
const watchEvery = 50 * time.Millisecond

func (d *duo) watch(ctx context.Context) *watcher {
	ctx, stop := context.WithCancel(ctx)
	w := &watcher{d: d, stop: stop}
	look := func(s *setup, to *[]sighting, more func(replication)) {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			at := time.Now()
			r, err := s.replication(ctx)
			if err == nil {
				*to = append(*to, sighting{at, r.Commit})
				more(r)
			}
			<-tick.C
		}
	}
	w.done.Go(func() { look(d.main, &w.ours, func(replication) {}) })
	w.done.Go(func() {
		look(d.copied, &w.copies, func(r replication) {
			w.copies[len(w.copies)-1].at = time.Now() // the copy had it then
			w.f.said = max(w.f.said, r.Lag)
			w.f.copyPeak = max(w.f.copyPeak, d.second.memory())
			w.f.copyDisk = max(w.f.copyDisk, diskOf(filepath.Join(d.copied.dir, "var")))
			w.f.natsDisk = max(w.f.natsDisk, diskOf(filepath.Join(d.main.dir, "nats")))
		})
	})
	return w
}

// end waits until the copy has what the hub had last, and returns what was seen.
func (w *watcher) end() (*followed, error) {
	time.Sleep(2 * time.Second) // the last sightings of the standby; a longer lag is an error below
	w.stop()
	w.done.Wait()
	f := &w.f
	f.store = w.d.main.storeBytes()
	last := w.copies[len(w.copies)-1].commit
	i := 0
	for _, s := range w.ours {
		if s.commit > last {
			break
		}
		for w.copies[i].commit < s.commit {
			i++
		}
		f.lag = append(f.lag, max(0, w.copies[i].at.Sub(s.at)))
	}
	if len(f.lag) < len(w.ours)*9/10 {
		return nil, fmt.Errorf("the standby never had %d of %d commits", len(w.ours)-len(f.lag), len(w.ours))
	}
	slices.Sort(f.lag)
	return f, nil
}

// diskOf returns the bytes of a folder's files.
func diskOf(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil { // else it is gone by now
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// pairs compares the webhook with and without a standby. Both runs of a pair follow each other, and
// the median of the pairs' ratios counts.
func (b *bench) pairs(ctx context.Context) error {
	const connections, count = 64, 5
	n := min(b.rows, 100_000)
	var with, without []time.Duration
	var ratios []float64
	var total, alone usedBy
	for range count {
		took, used, err := b.webhookPair(ctx, connections, n, false)
		if err != nil {
			return err
		}
		replicated, usedWith, err := b.webhookPair(ctx, connections, n, true)
		if err != nil {
			return err
		}
		with, without = append(with, replicated), append(without, took)
		ratios = append(ratios, took.Seconds()/replicated.Seconds())
		total.hub, total.standby, total.nats = total.hub+usedWith.hub, total.standby+usedWith.standby, total.nats+usedWith.nats
		alone.hub += used.hub
	}
	rate := func(d []time.Duration) float64 { return float64(n) / median(d).Seconds() }
	b.atLeast("messages/s, webhook, 64 connections, with a standby, all on the same cores", fmt.Sprintf("%.0f", rate(with)), fmt.Sprintf("without: %.0f", rate(without)), median(ratios), 0.9)
	million := func(d time.Duration) string {
		return fmt.Sprintf("%.1f", d.Seconds()*1e6/float64(n*count))
	}
	for _, part := range []struct {
		name string
		cpu  time.Duration
	}{{"hub with a standby", total.hub}, {"standby", total.standby}, {"NATS", total.nats}} {
		b.add(figure{"CPU seconds per 1,000,000 webhook messages, " + part.name, million(part.cpu), "the hub without a standby: " + million(alone.hub), part.cpu.Seconds() / alone.hub.Seconds(), "", true})
	}
	return nil
}

// webhookPair sends n messages and returns the time that the receiver saw, and the CPU time of the parts.
func (b *bench) webhookPair(ctx context.Context, connections, n int, replicated bool) (took time.Duration, used usedBy, err error) {
	m := &meter{n: int64(n), full: make(chan struct{})}
	url, endReceiver, err := receiver(0, false, m)
	if err != nil {
		return 0, used, err
	}
	defer endReceiver()
	channel := fmt.Sprintf("driver = \"webhook\"\nurl = %q\nconcurrency = %d", url, connections)
	d := &duo{}
	defer func() { err = errors.Join(err, d.end()) }()
	if replicated {
		err = d.start(ctx, b, channel)
	} else if d.main, err = b.newSetup(channel); err == nil {
		d.hub, err = b.run(ctx, d.main)
	}
	if err != nil {
		return 0, used, err
	}
	cpu := func() (u usedBy) {
		u.hub = d.hub.cpu()
		if replicated {
			u.standby, u.nats = d.second.cpu(), cpuOf(d.nats.Process.Pid)
		}
		return u
	}
	if err := d.main.drop("all", n, 0, now); err != nil {
		return 0, used, err
	}
	if _, err := d.hub.await(ctx, "drop accepted", 1); err != nil {
		return 0, used, err
	}
	before := cpu()
	if _, err := d.hub.await(ctx, "drop ended", 1); err != nil {
		return 0, used, err
	}
	after := cpu()
	return m.took(), usedBy{hub: after.hub - before.hub, standby: after.standby - before.standby, nats: after.nats - before.nats}, nil
}
