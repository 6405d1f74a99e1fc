package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// TestPitfall01QuietIsNotWhole: while a proof doesn't match the drop waits; a resumed
// upload heals it; after pair_timeout it is rejected with what was found and promised.
func TestPitfall01QuietIsNotWhole(t *testing.T) {
	sum := sha256.Sum256([]byte(goodCSV))
	for name, c := range map[string]struct{ proof, part, reason string }{
		"rows":                       {`"rows": 2`, goodCSV[:30], "the CSV has 1 data row, the sidecar promised 2"},
		"no row":                     {`"rows": 2`, goodCSV[:8], "the CSV has 0 data rows, the sidecar promised 2"},
		"cut in the header's quotes": {`"rows": 2`, `"pho`, "the CSV has 0 data rows, the sidecar promised 2"},
		"cut in a row's quotes":      {`"rows": 2`, "phone,first\n1,\"Ad", "the CSV can't be read to its end (line 2), the sidecar promised 2 data rows"},
		"bytes":                      {fmt.Sprintf(`"bytes": %d`, len(goodCSV)), goodCSV[:8], "the CSV has 8 bytes, the sidecar promised 46"},
		"sha256":                     {fmt.Sprintf(`"sha256": %q`, strings.ToUpper(hex.EncodeToString(sum[:]))), goodCSV[:30], "has the SHA-256"},
		"all three": {fmt.Sprintf(`"rows": 2, "bytes": %d, "sha256": "%x"`, len(goodCSV), sum), goodCSV[:45],
			"the CSV has 45 bytes, the sidecar promised 46"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "", "")
			sidecar := `{"applicationId": 1, "campaignId": 7, ` + c.proof + `}`
			r.put("spring", c.part, goodLayout, sidecar)
			first := r.seen("spring")
			r.in.Ready(first)
			r.work()
			waits := r.in.Waits(r.inbox)
			if len(r.sendings()) > 0 || len(waits) != 1 || !strings.Contains(waits[0].Reason, c.reason) || waits[0].Name != "spring" {
				t.Fatalf("%+v\n%s", waits, r.log)
			}
			// The same files again are not read again.
			r.clock = r.clock.Add(30 * time.Minute)
			r.in.Ready(first)
			if _, _, ok := r.in.small.pop(); ok {
				t.Error("what didn't change is looked at again")
			}
			r.put("spring", goodCSV, "", "")
			healed := r.seen("spring")
			healed.FirstSeen = first.FirstSeen
			r.in.Ready(healed)
			r.work()
			if s := r.newest("spring"); s == nil || s.State != campaign.StateScheduled || len(s.Warnings) > 0 {
				t.Errorf("not healed: %+v", s)
			}
			if waits := r.in.Waits(r.inbox); len(waits) > 0 {
				t.Errorf("%+v", waits)
			}

			r.put("never", c.part, goodLayout, sidecar)
			lost := r.seen("never")
			r.in.Ready(lost)
			r.work()
			r.clock = r.clock.Add(time.Hour + time.Second)
			r.in.Ready(lost)
			r.work()
			s := r.newest("never")
			if s == nil || s.State != campaign.StateRejected {
				t.Fatalf("not rejected: %+v", s)
			}
			has(t, r.report(s), c.reason)
		})
	}
}

// Without a proof a last line without an end is held back, then taken with a warning.
func TestPitfall01UnterminatedLine(t *testing.T) {
	r := newRig(t, "", "")
	csv := strings.TrimSuffix(goodCSV, "\n")
	r.put("spring", csv, goodLayout, goodSidecar)
	d := r.seen("spring")
	r.in.Ready(d)
	r.work()
	if waits := r.in.Waits(r.inbox); len(waits) != 1 || !strings.Contains(waits[0].Reason, "the last line of the CSV has no end") {
		t.Fatalf("%+v", waits)
	}
	r.clock = r.clock.Add(59 * time.Second)
	r.in.Ready(d)
	r.work()
	if len(r.sendings()) > 0 {
		t.Fatal("taken too early")
	}
	r.clock = r.clock.Add(time.Second)
	r.in.Ready(d)
	r.work()
	s := r.newest("spring")
	if s == nil || s.State != campaign.StateScheduled || len(s.Warnings) != 1 {
		t.Fatalf("%+v", s)
	}
	has(t, s.Warnings[0].String(), "spring.csv: its last line has no end", "prove the file whole")

	// With too few cells it was surely cut.
	r.put("cut", goodCSV+"34666", goodLayout, goodSidecar)
	d = r.seen("cut")
	r.clock = r.clock.Add(time.Minute)
	r.in.Ready(d)
	r.work()
	s = r.newest("cut")
	if s == nil || s.State != campaign.StateRejected {
		t.Fatalf("%+v", s)
	}
	has(t, r.report(s), "cut.csv:4: the file ends within this row: it was cut off; upload it again")

	// A proof makes the wait and the warning needless.
	s = r.drop("proven", csv, goodLayout, fmt.Sprintf(`{"applicationId": 1, "campaignId": 7, "bytes": %d, "resend": true}`, len(csv)))
	if s == nil || s.State != campaign.StateScheduled || len(s.Warnings) > 0 {
		t.Errorf("%+v", s)
	}
}

// TestPitfall11NULBytes: not ready, then refused.
func TestPitfall11NULBytes(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV+strings.Repeat("\x00", 100), goodLayout, goodSidecar)
	d := r.seen("spring")
	r.in.Ready(d)
	r.work()
	if waits := r.in.Waits(r.inbox); len(waits) != 1 || !strings.Contains(waits[0].Reason, "NUL") {
		t.Fatalf("%+v", waits)
	}
	r.clock = r.clock.Add(time.Minute)
	r.in.Ready(d)
	r.work()
	s := r.newest("spring")
	if s == nil || s.State != campaign.StateRejected {
		t.Fatalf("%+v", s)
	}
	has(t, r.report(s), "spring.csv:4: ", "NUL")
}

// TestPitfall02BusyOnce: a file that was found busy or broken once is looked at anew.
func TestPitfall02BusyOnce(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	f, err := os.OpenFile(filepath.Join(r.inbox, "spring.csv"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.in.Ready(r.seen("spring"))
	r.work()
	if len(r.sendings()) > 0 {
		t.Skip("no leases here")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.in.Ready(r.seen("spring"))
	r.work()
	if s := r.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
}

// TestPitfall29FullDisk: with little space nothing new is taken in, and the drop is
// taken as soon as there is room, however long that was.
func TestPitfall29FullDisk(t *testing.T) {
	r := newRig(t, "", "")
	free := uint64(reserve)
	r.in.free = func(string) (uint64, error) { return free, nil }
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	d := r.seen("spring")
	for range 100 {
		r.in.Ready(d)
		r.work()
		r.clock = r.clock.Add(time.Minute)
	}
	waits := r.in.Waits(r.inbox)
	if len(r.sendings()) > 0 || len(waits) != 1 || !strings.Contains(waits[0].Reason, "64 MiB free") || !waits[0].Since.Equal(d.FirstSeen) {
		t.Fatalf("%+v", waits)
	}
	if said := r.log.lines("drop waits"); len(said) != 1 {
		t.Errorf("said %d times", len(said))
	}
	free += 1 << 20
	r.in.Ready(d)
	r.work()
	if s := r.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
}

// What waits and is taken away by its owner is forgotten.
func TestWaitsAreForgotten(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "rows": 3}`)
	r.in.Ready(r.seen("spring"))
	r.work()
	if len(r.in.Waits(r.inbox+"/")) != 1 {
		t.Fatal("it doesn't wait")
	}
	r.again()
	if len(r.in.Waits(r.inbox)) != 1 {
		t.Error("forgotten too early")
	}
	if err := os.Remove(filepath.Join(r.inbox, "spring.csv")); err != nil {
		t.Fatal(err)
	}
	r.again()
	if waits := r.in.Waits(r.inbox); len(waits) > 0 {
		t.Errorf("%+v", waits)
	}
}
