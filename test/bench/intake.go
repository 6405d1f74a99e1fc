package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// largeDrop is a drop whose way from ready to accepted is measured.
type largeDrop struct {
	what    string // of its rows
	channel string // lines of the channel's configuration
	rows    int
	mib     float64 // most memory
	repeats int     // the best one counts
	packed  *packed // nil: a plain CSV
}

// packed is how a drop is packed, and what it is compared with.
type packed struct {
	ending  string
	pack    func(from, to string) error
	read    func(path string) (time.Duration, error)
	against string
	most    float64
}

// intake measures large drops from ready to accepted: time, memory and store size.
func intake(ctx context.Context, b *bench) error {
	token := filepath.Join(b.scratch, "token")
	if err := os.WriteFile(token, []byte("secret-token"), 0o600); err != nil {
		return err
	}
	// Every contact is read as a phone number, every message is checked by Meta's rules, and nothing is sent.
	whatsapp := fmt.Sprintf("driver = \"whatsapp\"\nbase_url = \"http://127.0.0.1:1\"\nphone_number_id = \"106540352242922\"\ntoken_file = %q", token)
	for _, one := range []largeDrop{
		{"rows", `driver = "null"`, b.rows, 96, 3, nil},
		{"rows of phone numbers, whatsapp,", whatsapp, b.rows, 96, 3, nil},
		{"rows of .csv.gz", `driver = "null"`, b.rows, 96, 3, &packed{".csv.gz", gzipFile, readGzip, "gunzip and encoding/csv", 3}},
		{"rows of .xlsx", `driver = "null"`, b.rows / 5, 256, 3, &packed{".xlsx", workbook, readWorkbook, "xlsxreader", 1.5}},
		{"rows", `driver = "null"`, 10 * b.rows, 256, 1, nil},
	} {
		if err := b.intakeOf(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) intakeOf(ctx context.Context, one largeDrop) error {
	best, reference := time.Duration(0), time.Duration(0)
	p := one.packed
	if p == nil {
		p = &packed{".csv", nil, readCSV, "encoding/csv", 3}
	}
	var peak, size, input int64
	for range one.repeats {
		s, err := b.newSetup(one.channel)
		if err != nil {
			return err
		}
		// Scheduled for tomorrow, so that nothing is sent during the measurement.
		sidecar := fmt.Sprintf(`{"applicationId": 1, "campaignId": 1, "scheduleAt": %q}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
		if err := s.drop("big", one.rows, 0, sidecar); err != nil {
			return err
		}
		path := filepath.Join(s.inbox, "big"+p.ending)
		if p.pack != nil {
			if err := p.pack(filepath.Join(s.inbox, "big.csv"), path); err != nil {
				return err
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		input = info.Size()
		took, err := p.read(path)
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
		if err := d.stop(); err != nil {
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
	rows := fmt.Sprintf("%d %s", one.rows, one.what)
	name := rows + " from ready to accepted"
	b.atMost(name, round(best), p.against+" "+round(reference), float64(best)/float64(reference), p.most)
	b.limit("peak anonymous memory of "+strings.TrimSuffix(rows, ","), float64(peak)/(1<<20), "MiB", one.mib)
	if one.packed == nil {
		b.atMost("store size for "+strings.TrimSuffix(rows, ","), megabytes(size), "CSV "+megabytes(input), float64(size)/float64(input), 0.85)
	}
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
	err = readRecords(f)
	return time.Since(begin), err
}

// readRecords reads a CSV to its end.
func readRecords(in io.Reader) error {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
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
