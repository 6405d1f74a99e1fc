package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// start measures a start with 100 sendings pending, against opening the same file with bbolt.
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
	if _, err := d.stop(); err != nil {
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
	time.Sleep(3 * time.Second) // the first look at the inbox is over
	idle := d.memory("RssAnon")
	if _, err := d.stop(); err != nil {
		return err
	}
	more := took - bare
	b.add(figure{fmt.Sprintf("start with %d recipients pending in %d sendings", sendings*each, sendings), round(took),
		"bbolt.Open " + round(bare), 0, "at most 0.2s more", more <= 200*time.Millisecond})
	b.limit("anonymous memory, idle, then", float64(idle)/(1<<20), "MiB", 24)
	return nil
}

// smallDrops measures whether a drop takes longer the more there were.
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
	const group = 100
	total := min(b.rows/500, 2000)
	var first, last time.Duration
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
		last = time.Since(begin)
		if from == group {
			first = last // the first group warms up
		}
	}
	if _, err := d.stop(); err != nil {
		return err
	}
	b.atMost(fmt.Sprintf("drops %d to %d against drops %d to %d, all kept", total-group, total, group, 2*group), round(last/group), round(first/group), float64(last)/float64(first), 1.5)
	return nil
}
