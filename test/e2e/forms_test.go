//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/plan/spreadsheet/sheettest"
)

// forms uploads a drop as one file, in each form that a CSV may have, to an inbox that has defaults for the rest,
// and fetches what the partner reads from it: results, the page, its examples, and the way back of a
// sending that has not begun. The five clients work at the same time.
func forms(t *testing.T, p *partner) {
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			c.here(t, p)
			t.Parallel()
			var drops []*drop
			for ending, pack := range map[string]func(t *testing.T, d *drop) []byte{
				".csv": func(_ *testing.T, d *drop) []byte { return d.csv }, ".csv.gz": gzipped, ".zip": zipped, ".xlsx": workbook,
			} {
				d := newDrop(t, p, "one-"+c.name+strings.ReplaceAll(ending, ".", "-"), 3, "")
				if err := os.WriteFile(d.local(ending), pack(t, d), 0o644); err != nil {
					t.Fatal(err)
				}
				d.put(c, ending)
				drops = append(drops, d)
			}
			d := newDrop(t, p, "later-"+c.name, 3, `, "delay": "P1D"`)
			d.put(c, ".schedule.json", ".layout.json", ".csv") // the CSV alone would be a drop
			for _, d := range drops {
				folder, r := d.ends(c)
				if r.State != "completed" || r.Messages["sent"] != d.rows {
					t.Errorf("%s: %+v; want it completed with %d sent", folder, r, d.rows)
				}
				if lines, err := csv.NewReader(bytes.NewReader(d.fetch(c, folder+"/results.csv"))).ReadAll(); err != nil || len(lines) != d.rows+1 {
					t.Errorf("%s: results.csv has %d lines, %v; want %d and a header", folder, len(lines), err, d.rows)
				}
			}
			page := string(d.fetch(c, "campaigns.txt"))
			if !strings.Contains(page, "campaign-7-of-1.csv") {
				t.Errorf("campaigns.txt:\n%s", page)
			}
			if got, want := string(d.fetch(c, "examples/campaign-7-of-1.csv")), "contactCode,name\n"; !strings.HasPrefix(got, want) {
				t.Errorf("the example begins with %.40q, want %q", got, want)
			}
			d.wayBack(c)
		})
	}
}

// wayBack asks for the results of a scheduled sending, reads them and its status, and cancels it.
func (d *drop) wayBack(c client) {
	d.t.Helper()
	var folder string
	until(d.t, "scheduled: "+d.name, func() bool {
		folder = d.here("accepted")
		text, err := os.ReadFile(filepath.Join(d.p.inbox, folder, "status.txt"))
		return folder != "" && err == nil && strings.Contains(string(text), "scheduled")
	})
	if text := string(d.fetch(c, folder+"/status.txt")); !strings.Contains(text, d.name+".cancel") {
		d.t.Errorf("status.txt:\n%s", text)
	}
	for _, ending := range []string{".results", ".cancel"} {
		if err := os.WriteFile(d.local(ending), nil, 0o644); err != nil {
			d.t.Fatal(err)
		}
	}
	d.put(c, ".results")
	until(d.t, "results.partial.csv of "+d.name, func() bool {
		_, err := os.Stat(filepath.Join(d.p.inbox, folder, "results.partial.csv"))
		return err == nil
	})
	if lines, err := csv.NewReader(bytes.NewReader(d.fetch(c, folder+"/results.partial.csv"))).ReadAll(); err != nil || len(lines) == 0 || lines[0][0] != "line" {
		d.t.Errorf("results.partial.csv: %q, %v; want a header that begins with line", lines, err)
	}
	d.put(c, ".cancel")
	if folder, r := d.ends(c); r.State != "canceled" || r.Messages["canceled"] != d.rows {
		d.t.Errorf("%s: %+v; want it canceled with all %d messages", folder, r, d.rows)
	}
}

func gzipped(t *testing.T, d *drop) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(d.csv); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t *testing.T, d *drop) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range map[string][]byte{"export.csv": d.csv, "schedule.json": []byte(`{"reference": "zipped"}`)} {
		one, err := w.Create(name)
		if err == nil {
			_, err = one.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func workbook(t *testing.T, d *drop) []byte {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(d.csv)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return sheettest.Simple(rows...)
}
