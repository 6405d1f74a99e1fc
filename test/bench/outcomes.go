package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// outcomes measures how much outcomes with long provider ids add to the store's file,
// and how many syncs they cost with 64 messages in flight.
func outcomes(ctx context.Context, b *bench) error {
	url, end, err := receiver(0, true, nil)
	if err != nil {
		return err
	}
	defer end()
	channel := fmt.Sprintf("driver = \"webhook\"\nurl = %q\nconcurrency = 64", url)
	later := fmt.Sprintf(`{"applicationId": 1, "campaignId": 1, "scheduleAt": %q}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
	before, err := b.storeAfter(ctx, channel, later, "drop accepted")
	if err != nil {
		return err
	}
	after, err := b.storeAfter(ctx, channel, now, "drop ended")
	if err != nil {
		return err
	}
	grown, ids := after-before, int64(60*b.rows)
	b.atMost(fmt.Sprintf("outcomes on disk, %d messages with ids of 60 bytes", b.rows), megabytes(grown), "the ids "+megabytes(ids), float64(grown)/float64(ids), 1.5)
	return b.syncs(ctx, channel)
}

// storeAfter returns the size of the store's file after a drop of b.rows rows has reached a state.
func (b *bench) storeAfter(ctx context.Context, channel, sidecar, until string) (int64, error) {
	s, err := b.newSetup(channel)
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(s.dir)
	if err := s.drop("all", b.rows, 0, sidecar); err != nil {
		return 0, err
	}
	d, err := b.run(ctx, s)
	if err != nil {
		return 0, err
	}
	if _, err := d.await(ctx, until, 1); err != nil {
		return 0, err
	}
	err = d.stop()
	return s.storeBytes(), err
}

// syncs counts the daemon's syncs during a whole run, intake and report included, with
// strace. Without strace it adds no figure.
func (b *bench) syncs(ctx context.Context, channel string) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return nil
	}
	s, err := b.newSetup(channel)
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	calls := filepath.Join(s.dir, "calls")
	s.under = []string{strace, "-D", "-f", "-qq", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", calls}
	n := min(b.rows, 100_000)
	if err := s.drop("all", n, 0, now); err != nil {
		return err
	}
	d, err := b.run(ctx, s)
	if err != nil {
		return err
	}
	if _, err := d.await(ctx, "drop ended", 1); err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		return err
	}
	count := strings.Count(string(text), "sync(")
	if count == 0 {
		return fmt.Errorf("strace saw no sync")
	}
	b.atMost("syncs per outcome, webhook, 64 in flight", fmt.Sprintf("%d for %d: 1 in %.0f", count, n, float64(n)/float64(count)), "", float64(count)/float64(n), 1.0/30)
	return nil
}
