//go:build e2e

package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drop is a campaign on the partner's own machine.
type drop struct {
	t    *testing.T
	p    *partner
	name string
	dir  string
	rows int
	csv  []byte
}

// newDrop writes a drop of the given number of rows into a local folder. more are extra keys of its sidecar.
func newDrop(t *testing.T, p *partner, name string, rows int, more string) *drop {
	t.Helper()
	d := &drop{t: t, p: p, name: name, dir: t.TempDir(), rows: rows}
	var b bytes.Buffer
	b.WriteString("contactCode,name\n")
	for i := range rows {
		fmt.Fprintf(&b, "3460%08d,%s number %d of all the rows there are\n", i, name, i)
	}
	d.csv = b.Bytes()
	for ending, text := range map[string]string{
		".csv":           b.String(),
		".layout.json":   `{"contact": {"contactCode": "{{contactCode}}", "channelType": "box"}, "customFields": {"name": "{{name}}"}}`,
		".schedule.json": fmt.Sprintf(`{"reference": %q%s}`, name, more),
	} {
		if err := os.WriteFile(d.local(ending), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// proof adds rows, bytes and sha256 to the sidecar.
func proof(rows int) string { return fmt.Sprintf(`, "rows": %d`, rows) }

func (d *drop) local(ending string) string { return filepath.Join(d.dir, d.name+ending) }

// put uploads files of the drop in the given order.
func (d *drop) put(c client, endings ...string) {
	d.t.Helper()
	for _, ending := range endings {
		do(d.t, c.put(d.p, d.local(ending), d.name+ending))
	}
}

// here returns the drop's folder below accepted, done or failed, or "".
func (d *drop) here(places ...string) string {
	for _, place := range places {
		found, _ := filepath.Glob(filepath.Join(d.p.inbox, place, d.name+".*-*"))
		for _, one := range found {
			if info, err := os.Lstat(one); err == nil && info.IsDir() {
				return place + "/" + filepath.Base(one)
			}
		}
	}
	return ""
}

// size returns the number of bytes of the CSV that have arrived, or -1.
func (d *drop) size() int64 {
	info, err := os.Lstat(filepath.Join(d.p.inbox, d.name+".csv"))
	if err != nil {
		return -1
	}
	return info.Size()
}

// report holds the keys of report.json that these tests read.
type report struct {
	State, Reason string
	Recipients    struct{ Total, Accepted, Rejected int }
	Messages      map[string]int
	CSV           struct{ Bytes int }
	Warnings      []struct{ Message string }
}

// ends waits for the drop's end, fetches its report over SFTP and returns it with its folder.
func (d *drop) ends(c client) (string, report) {
	d.t.Helper()
	var folder string
	until(d.t, "in done/ or failed/: "+d.name, func() bool {
		folder = d.here("done", "failed")
		return folder != ""
	})
	var r report
	if err := json.Unmarshal(d.fetch(c, folder+"/report.json"), &r); err != nil {
		d.t.Fatal(err)
	}
	return folder, r
}

// fetch downloads a file over SFTP.
func (d *drop) fetch(c client, remote string) []byte {
	d.t.Helper()
	local := filepath.Join(d.t.TempDir(), "fetched")
	do(d.t, c.get(d.p, remote, local))
	text, err := os.ReadFile(local)
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// completes waits until everything is sent and fetches the results. It checks that every row has a line and
// that the files are unchanged.
func (d *drop) completes(c client) {
	d.t.Helper()
	folder, r := d.ends(c)
	switch {
	case r.State != "completed":
		d.t.Fatalf(`%s: r.State: got %q, want "completed"`, folder, r.State)
	case r.Recipients.Accepted != d.rows:
		d.t.Fatalf("%s: r.Recipients.Accepted: got %v, want %v", folder, r.Recipients.Accepted, d.rows)
	case r.Messages["sent"] != d.rows:
		d.t.Fatalf(`%s: r.Messages["sent"]: got %v, want %v`, folder, r.Messages["sent"], d.rows)
	case r.CSV.Bytes != len(d.csv):
		d.t.Fatalf("%s: r.CSV.Bytes: got %v, want %v", folder, r.CSV.Bytes, len(d.csv))
	}
	lines, err := csv.NewReader(bytes.NewReader(d.fetch(c, folder+"/results.csv"))).ReadAll()
	if err != nil {
		d.t.Fatal(err)
	}
	if len(lines) != d.rows+1 {
		d.t.Errorf("results.csv has %d lines, want %d and a header", len(lines), d.rows)
	}
	for _, line := range lines[1:] {
		if line[4] != "sent" {
			d.t.Fatalf("results.csv: %q", line)
		}
	}
	if !bytes.Equal(d.fetch(c, folder+"/"+d.name+".csv"), d.csv) {
		d.t.Error("the CSV in the folder differs from the dropped one")
	}
	if text := string(d.fetch(c, folder+"/report.txt")); !strings.Contains(text, "completed") {
		d.t.Errorf("report.txt:\n%s", text)
	}
}

// untaken fails the test if the drop was claimed.
func (d *drop) untaken(when string) {
	d.t.Helper()
	if folder := d.here("accepted", "done", "failed"); folder != "" {
		text, _ := os.ReadFile(filepath.Join(d.p.inbox, folder, "report.txt"))
		d.t.Errorf("%s: claimed as %s\n%s", when, folder, text)
	}
}
