package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// throughput measures messages a second with the null and the outbox driver, with all
// outcomes durable, and the size of outcomes on disk.
func throughput(ctx context.Context, b *bench) error {
	took, err := b.sendAll(ctx, `driver = "null"`, b.rows)
	if err != nil {
		return err
	}
	reference, err := writeRecords(filepath.Join(b.scratch, "records"), b.rows, func(buf []byte, i int) []byte {
		// The store keeps of a message: sending, row, message, outcome, attempts, time.
		buf = binary.BigEndian.AppendUint64(buf[:0], 1)
		buf = binary.BigEndian.AppendUint32(buf, uint32(i))
		buf = append(buf, 1, 3, 1)
		return binary.BigEndian.AppendUint64(buf, uint64(i))
	})
	if err != nil {
		return err
	}
	b.rate("messages/s, null driver", took, "bufio of the same records, one fsync", reference, 0.15)

	took, err = b.sendAll(ctx, "driver = \"outbox\"\npath = "+fmt.Sprintf("%q", filepath.Join(b.scratch, "outbox.jsonl")), b.rows)
	if err != nil {
		return err
	}
	lines := filepath.Join(b.scratch, "outbox.jsonl")
	if reference, err = copyLines(lines, filepath.Join(b.scratch, "lines")); err != nil {
		return err
	}
	b.rate("messages/s, outbox", took, "bufio of the same lines, one fsync", reference, 0.25)
	return os.Remove(lines)
}

// rate adds a line for messages a second.
func (b *bench) rate(what string, took time.Duration, how string, reference time.Duration, least float64) {
	ours, other := float64(b.rows)/took.Seconds(), float64(b.rows)/reference.Seconds()
	b.atLeast(what, fmt.Sprintf("%.0f", ours), fmt.Sprintf("%s: %.0f", how, other), ours/other, least)
}

// sendAll sends n messages at once and returns the time from the first attempt to
// the last recorded outcome.
func (b *bench) sendAll(ctx context.Context, channel string, n int) (time.Duration, error) {
	s, err := b.newSetup(channel)
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(s.dir)
	if err := s.drop("all", n, 0, now); err != nil {
		return 0, err
	}
	d, err := b.run(ctx, s)
	if err != nil {
		return 0, err
	}
	end, err := d.await(ctx, "drop ended", 1)
	if err != nil {
		return 0, err
	}
	took, err := finished(end.Folder)
	if err != nil {
		return 0, err
	}
	return took, d.stop()
}

// writeRecords writes n records through bufio with one fsync at the end.
func writeRecords(path string, n int, record func([]byte, int) []byte) (time.Duration, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	defer f.Close()
	begin := time.Now()
	w := bufio.NewWriter(f)
	var buf []byte
	for i := range n {
		buf = record(buf, i)
		if _, err := w.Write(buf); err != nil {
			return 0, err
		}
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}

// copyLines writes the lines of a file through bufio with one fsync at the end.
func copyLines(from, to string) (time.Duration, error) {
	data, err := os.ReadFile(from)
	if err != nil {
		return 0, err
	}
	var ends []int
	for i, c := range data {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	return writeRecords(to, len(ends), func(_ []byte, i int) []byte {
		start := 0
		if i > 0 {
			start = ends[i-1]
		}
		return data[start:ends[i]]
	})
}
