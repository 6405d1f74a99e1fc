package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// intake measures a large drop from ready to accepted: time, memory and store size.
func intake(ctx context.Context, b *bench) error {
	if err := b.intakeOf(ctx, b.rows, 96, true); err != nil {
		return err
	}
	return b.intakeOf(ctx, 10*b.rows, 256, false)
}

func (b *bench) intakeOf(ctx context.Context, rows int, mib float64, ratios bool) error {
	best, reference := time.Duration(0), time.Duration(0)
	var peak, size, input int64
	repeats := 3
	if !ratios {
		repeats = 1
	}
	for range repeats {
		s, err := b.newSetup(`driver = "null"`)
		if err != nil {
			return err
		}
		// Scheduled for tomorrow, so that nothing is sent during the measurement.
		sidecar := fmt.Sprintf(`{"applicationId": 1, "campaignId": 1, "scheduleAt": %q}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
		if err := s.drop("big", rows, 0, sidecar); err != nil {
			return err
		}
		path := filepath.Join(s.inbox, "big.csv")
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		input = info.Size()
		took, err := readCSV(path)
		if err != nil {
			return err
		}
		d, err := b.run(ctx, s)
		if err != nil {
			return err
		}
		accepted, err := d.await(ctx, "drop accepted", 1)
		if err != nil {
			return err
		}
		ready, err := d.await(ctx, "drop ready", 1)
		if err != nil {
			return err
		}
		if _, err := d.stop(); err != nil {
			return err
		}
		ours := accepted.Time.Sub(ready.Time)
		if best == 0 || ours < best {
			best = ours
		}
		if reference == 0 || took < reference {
			reference = took
		}
		peak, size = max(peak, d.peak), s.storeBytes()
		if err := os.RemoveAll(s.dir); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("%d rows from ready to accepted", rows)
	b.atMost(name, round(best), "encoding/csv "+round(reference), float64(best)/float64(reference), 3)
	b.limit(fmt.Sprintf("peak anonymous memory of %d rows", rows), float64(peak)/(1<<20), "MiB", mib)
	b.atMost(fmt.Sprintf("store size for %d rows", rows), megabytes(size), "CSV "+megabytes(input), float64(size)/float64(input), 0.85)
	return nil
}

// readCSV is the reference: encoding/csv with ReuseRecord over the same file.
func readCSV(path string) (time.Duration, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	begin := time.Now()
	r := csv.NewReader(f)
	r.ReuseRecord = true
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return time.Since(begin), nil
		} else if err != nil {
			return 0, err
		}
	}
}

func round(d time.Duration) string {
	if d > 10*time.Millisecond {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
