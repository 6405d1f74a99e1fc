package main

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// optOuts imports ten times b.rows opt-outs in one list: its time, the most memory, by how much the state
// folder has grown after a compaction, and what a look-up at hand-over costs then.
func optOuts(ctx context.Context, b *bench) error {
	s, err := b.newSetup(`driver = "null"` + "\ncontacts = \"phone\"")
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	d, err := b.run(ctx, s)
	if err != nil {
		return err
	}
	for _, msg := range []string{"ready", "listening"} {
		if _, err := d.await(ctx, msg, 1); err != nil {
			return err
		}
	}
	if _, err := b.cpuOfMessages(ctx, s, d, "warm", 1); err != nil { // the first drop costs more
		return err
	}
	without, err := b.cpuOfMessages(ctx, s, d, "before", 2)
	if err != nil {
		return err
	}
	state := filepath.Join(s.dir, "var")
	if err := b.compact(ctx, s); err != nil {
		return err
	}
	before, err := folderBytes(state)
	if err != nil {
		return err
	}
	part := filepath.Join(s.dir, "list")
	size, err := writeOptOuts(part, 10*b.rows)
	if err != nil {
		return err
	}
	d.peak = 0
	begin := time.Now()
	if err := os.Rename(part, filepath.Join(s.inbox, "all.suppress.csv")); err != nil {
		return err
	}
	taken, err := d.await(ctx, "opt-outs taken in", 1)
	if err != nil {
		return err
	}
	peak := d.peak
	full, err := folderBytes(state)
	if err != nil {
		return err
	}
	if err := b.compact(ctx, s); err != nil {
		return err
	}
	after, err := folderBytes(state)
	if err != nil {
		return err
	}
	with, err := b.cpuOfMessages(ctx, s, d, "after", 3)
	if err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	took := taken.Time.Sub(begin)
	b.add(figure{fmt.Sprintf("opt-outs: a list of %d", 10*b.rows), round(took), fmt.Sprintf("%.0f ns each; %.0f MiB of memory; state folder %s before compact",
		float64(took.Nanoseconds())/float64(10*b.rows), float64(peak)/(1<<20), megabytes(full)), 0, "none", true})
	b.limit(fmt.Sprintf("time to take in a list of %d opt-outs", 10*b.rows), took.Seconds(), "s", 120*float64(b.rows)/1e6)
	b.atMost("state folder after compact, against the list", megabytes(after-before), megabytes(size), float64(after-before)/float64(size), 1.5)
	b.limit(fmt.Sprintf("a look-up at hand-over among %d opt-outs, CPU time", 10*b.rows), float64((with-without).Nanoseconds())/float64(b.rows)/1000, "µs", 2)
	return nil
}

// cpuOfMessages returns the daemon's CPU time for b.rows messages from accepted to ended; the drop is
// its n-th.
func (b *bench) cpuOfMessages(ctx context.Context, s *setup, d *daemon, name string, n int) (time.Duration, error) {
	const others = 80_000_000 // numbers from here on aren't in the list
	if err := s.drop(name, b.rows, others+n*b.rows, now); err != nil {
		return 0, err
	}
	if _, err := d.await(ctx, "drop accepted", n); err != nil {
		return 0, err
	}
	before := d.cpu()
	_, err := d.await(ctx, "drop ended", n)
	return d.cpu() - before, err
}

func (b *bench) compact(ctx context.Context, s *setup) error {
	out, err := exec.CommandContext(ctx, b.bin, "compact", "--config", s.config).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compact: %w: %s", err, out)
	}
	return nil
}

// folderBytes returns the size of all files in a folder.
func folderBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// writeOptOuts writes a list of n different numbers in random order, and returns its size.
func writeOptOuts(path string, n int) (int64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintln(w, "contactCode")
	random := rand.New(rand.NewPCG(1, 2))
	for _, i := range random.Perm(n) {
		fmt.Fprintf(w, "346%08d\n", i*7%100_000_000)
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Close()
}
