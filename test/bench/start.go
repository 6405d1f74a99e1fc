package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// start compares a start with 100 pending sendings with opening the same file with bbolt.
func start(ctx context.Context, b *bench) error {
	s, err := b.newSetup(`driver = "null"`)
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	const sendings = 100
	each := b.rows / 10
	sidecar := fmt.Sprintf(`{"applicationId": 1, "campaignId": 1, "scheduleAt": %q}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
	d, err := b.run(ctx, s)
	if err != nil {
		return err
	}
	for i := range sendings {
		if err := s.drop(fmt.Sprintf("drop%03d", i), each, i*each, sidecar); err != nil {
			return err
		}
	}
	if _, err := d.await(ctx, "drop accepted", sendings); err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	begin := time.Now()
	db, err := bbolt.Open(filepath.Join(s.dir, "var", "campaignd.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	bare := time.Since(begin)
	if err := db.Close(); err != nil {
		return err
	}
	if d, err = b.run(ctx, s); err != nil {
		return err
	}
	ready, err := d.await(ctx, "ready", 1)
	if err != nil {
		return err
	}
	took := ready.Time.Sub(d.started)
	time.Sleep(3 * time.Second) // the first scan of the inbox is over
	idle := d.memory()
	if err := d.stop(); err != nil {
		return err
	}
	more := took - bare
	b.add(figure{fmt.Sprintf("start with %d recipients pending in %d sendings", sendings*each, sendings), round(took),
		"bbolt.Open " + round(bare), 0, "at most 0.2s more", more <= 200*time.Millisecond})
	b.limit("anonymous memory, idle, then", float64(idle)/(1<<20), "MiB", 24)
	return nil
}

func median[T cmp.Ordered](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// smallDrops measures whether a drop takes longer the more drops there were before.
func smallDrops(ctx context.Context, b *bench) error {
	s, err := b.newSetup(`driver = "null"`)
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	d, err := b.run(ctx, s)
	if err != nil {
		return err
	}
	const group, many = 100, 10
	total := max(b.drops, 4*group)
	var took []time.Duration // per group
	for from := 0; from < total; from += group {
		begin := time.Now()
		for i := range group {
			if err := s.drop(fmt.Sprintf("small%06d", from+i), 3, (from+i)*3, now); err != nil {
				return err
			}
		}
		if _, err := d.await(ctx, "drop ended", from+group); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		if done := from + group; done*10%total == 0 && total > 10_000 {
			fmt.Fprintf(os.Stderr, "%d drops, the last %d in %s\n", done, group, round(took[len(took)-1]))
		}
	}
	if err := d.stop(); err != nil {
		return err
	}
	// Medians of several groups at each end, so that one busy moment doesn't decide.
	took = took[1:] // the first group is for warming up
	n := min(many, len(took)/2)
	first, last := median(took[:n])/group, median(took[len(took)-n:])/group
	b.atMost(fmt.Sprintf("a small drop, the last of %d against the first hundreds, all kept", total), round(last), round(first), float64(last)/float64(first), 1.5)
	return nil
}
