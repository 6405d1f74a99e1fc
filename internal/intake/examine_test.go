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
	"campaignd/internal/check"
)

// While a proof doesn't match, the drop waits; resuming the upload completes it; after
// pair_timeout it is rejected with what was found and what the sidecar says.
func TestQuietIsNotComplete(t *testing.T) {
	sum := sha256.Sum256([]byte(goodCSV))
	for name, c := range map[string]struct{ proof, part, reason string }{
		"rows":                       {`"rows": 2`, goodCSV[:30], "the CSV has 1 data row, the schedule says 2"},
		"no row":                     {`"rows": 2`, goodCSV[:8], "the CSV has 0 data rows, the schedule says 2"},
		"cut in the header's quotes": {`"rows": 2`, `"pho`, "the CSV has 0 data rows, the schedule says 2"},
		"cut in a row's quotes":      {`"rows": 2`, "phone,first\n1,\"Ad", "the CSV can't be read to its end (line 2), the schedule says 2 data rows"},
		"a footer":                   {`"rows": 2`, goodCSV[:28] + "(1 row affected)\n-\n", "the CSV has 1 data row and a footer of 2 lines, the schedule says 2"},
		"bytes":                      {fmt.Sprintf(`"bytes": %d`, len(goodCSV)), goodCSV[:8], "the CSV has 8 bytes, the schedule says 46"},
		"sha256":                     {fmt.Sprintf(`"sha256": %q`, strings.ToUpper(hex.EncodeToString(sum[:]))), goodCSV[:30], "has the SHA-256"},
		"all three": {fmt.Sprintf(`"rows": 2, "bytes": %d, "sha256": "%x"`, len(goodCSV), sum), goodCSV[:45],
			"the CSV has 45 bytes, the schedule says 46"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "", "")
			sidecar := `{"applicationId": 1, "campaignId": 7, ` + c.proof + `}`
			h.put("spring", c.part, goodLayout, sidecar)
			first := h.watchedDrop("spring")
			h.in.Ready(first)
			h.work()
			waits := h.in.Waits(h.inbox)
			switch {
			case len(h.sendings()) > 0:
				t.Fatalf("len(h.sendings()): got %v, want 0", len(h.sendings()))
			case len(waits) != 1:
				t.Fatalf("len(waits): got %v, want 1: %+v", len(waits), waits)
			case !strings.Contains(waits[0].Reason, c.reason):
				t.Fatalf("waits[0].Reason: got %q, want %q in it", waits[0].Reason, c.reason)
			case waits[0].Name != "spring":
				t.Fatalf(`waits[0].Name: got %q, want "spring"`, waits[0].Name)
			}
			// The same files again are not read again.
			h.clock = h.clock.Add(30 * time.Minute)
			h.in.Ready(first)
			if _, _, ok := h.in.queue.small.pop(); ok {
				t.Error("what didn't change is looked at again")
			}
			h.put("spring", goodCSV, "", "")
			healed := h.watchedDrop("spring")
			healed.FirstSeen = first.FirstSeen
			h.in.Ready(healed)
			h.work()
			switch s := h.newest("spring"); {
			case s == nil:
				t.Error("not healed: s is nil")
			case s.State != campaign.StateScheduled:
				t.Errorf("not healed: s.State = %q, want %q", s.State, campaign.StateScheduled)
			case len(s.Warnings) > 0:
				t.Errorf("not healed: len(s.Warnings) = %v, want 0", len(s.Warnings))
			}
			if waits := h.in.Waits(h.inbox); len(waits) > 0 {
				t.Errorf("%+v", waits)
			}

			h.put("never", c.part, goodLayout, sidecar)
			lost := h.watchedDrop("never")
			h.in.Ready(lost)
			h.work()
			h.clock = h.clock.Add(time.Hour + time.Second)
			h.in.Ready(lost)
			h.work()
			s := h.newest("never")
			if s == nil || s.State != campaign.StateRejected {
				t.Fatalf("not rejected: got %+v, want State %q", s, campaign.StateRejected)
			}
			wantParts(t, h.report(s), c.reason)
		})
	}
}

// A workbook has NUL bytes and no line end, and nothing that may still arrive makes it a CSV.
func TestOtherFormatIsRefusedAtOnce(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", "%PDF-1.7\n\x00\x00", goodLayout, goodSidecar)
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	if waits := h.in.Waits(h.inbox); len(waits) > 0 {
		t.Fatalf("it waits: %+v", waits)
	}
	wantParts(t, h.report(h.newest("spring")), "the file is a PDF document, not a CSV")
}

// Without a proof a last line without an end is held back, then taken with a warning.
func TestUnterminatedLine(t *testing.T) {
	h := newHarness(t, "", "")
	csv := strings.TrimSuffix(goodCSV, "\n")
	h.put("spring", csv, goodLayout, goodSidecar)
	d := h.watchedDrop("spring")
	h.in.Ready(d)
	h.work()
	switch waits := h.in.Waits(h.inbox); {
	case len(waits) != 1:
		t.Fatalf("len(waits) = %v, want 1: %+v", len(waits), waits)
	case !strings.Contains(waits[0].Reason, "the last line of the CSV has no line end"):
		t.Fatalf("waits[0].Reason = %q, want \"the last line of the CSV has no line end\" in it", waits[0].Reason)
	}
	h.clock = h.clock.Add(59 * time.Second)
	h.in.Ready(d)
	h.work()
	if len(h.sendings()) > 0 {
		t.Fatal("taken too early")
	}
	h.clock = h.clock.Add(time.Second)
	h.in.Ready(d)
	h.work()
	s := h.newest("spring")
	switch {
	case s == nil:
		t.Fatal("s is nil")
	case s.State != campaign.StateScheduled:
		t.Fatalf("s.State = %q, want %q", s.State, campaign.StateScheduled)
	case len(s.Warnings) != 1:
		t.Fatalf("len(s.Warnings) = %v, want 1", len(s.Warnings))
	}
	wantParts(t, s.Warnings[0].String(), "spring.csv:3: the last line has no line end", "prove the file complete")

	// With too few cells it was surely cut.
	h.put("cut", goodCSV+"34666", goodLayout, goodSidecar)
	d = h.watchedDrop("cut")
	h.clock = h.clock.Add(time.Minute)
	h.in.Ready(d)
	h.work()
	s = h.newest("cut")
	if s == nil || s.State != campaign.StateRejected {
		t.Fatalf("got %+v, want State %q", s, campaign.StateRejected)
	}
	wantParts(t, h.report(s), "cut.csv:4: the file ends within this row: it is incomplete, or ends with a footer")

	// A proof makes the wait and the warning needless.
	s = h.drop("proven", csv, goodLayout, fmt.Sprintf(`{"applicationId": 1, "campaignId": 7, "bytes": %d, "resend": true}`, len(csv)))
	switch {
	case s == nil:
		t.Error("s is nil")
	case s.State != campaign.StateScheduled:
		t.Errorf("s.State = %q, want %q", s.State, campaign.StateScheduled)
	case len(s.Warnings) > 0:
		t.Errorf("len(s.Warnings) = %v, want 0", len(s.Warnings))
	}
}

// A CSV with NUL bytes waits first and is then refused.
func TestNULBytes(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV+strings.Repeat("\x00", 100), goodLayout, goodSidecar)
	d := h.watchedDrop("spring")
	h.in.Ready(d)
	h.work()
	switch waits := h.in.Waits(h.inbox); {
	case len(waits) != 1:
		t.Fatalf("len(waits) = %v, want 1: %+v", len(waits), waits)
	case !strings.Contains(waits[0].Reason, "NUL"):
		t.Fatalf("waits[0].Reason = %q, want \"NUL\" in it", waits[0].Reason)
	}
	h.clock = h.clock.Add(time.Minute)
	h.in.Ready(d)
	h.work()
	s := h.newest("spring")
	if s == nil || s.State != campaign.StateRejected {
		t.Fatalf("got %+v, want State %q", s, campaign.StateRejected)
	}
	wantParts(t, h.report(s), "spring.csv:4: ", "NUL")
}

// A file that was busy or broken once is examined again.
func TestBusyFileIsExaminedAgain(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	f, err := os.OpenFile(filepath.Join(h.inbox, "spring.csv"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	if len(h.sendings()) > 0 {
		t.Skip("no leases here")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	if s := h.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("got %+v, want State %q", s, campaign.StateScheduled)
	}
}

// With little free space no drop is taken in, until there is room again.
func TestFullDiskTakesNothingIn(t *testing.T) {
	h := newHarness(t, "", "")
	free := uint64(check.MinFreeSpace)
	h.in.free = func(string) (uint64, error) { return free, nil }
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	d := h.watchedDrop("spring")
	for range 100 {
		h.in.Ready(d)
		h.work()
		h.clock = h.clock.Add(time.Minute)
	}
	waits := h.in.Waits(h.inbox)
	switch {
	case len(h.sendings()) > 0:
		t.Fatalf("len(h.sendings()): got %v, want 0", len(h.sendings()))
	case len(waits) != 1:
		t.Fatalf("len(waits): got %v, want 1: %+v", len(waits), waits)
	case !strings.Contains(waits[0].Reason, "64 MiB free"):
		t.Fatalf(`waits[0].Reason: got %q, want "64 MiB free" in it`, waits[0].Reason)
	case !waits[0].Since.Equal(d.FirstSeen):
		t.Fatalf("waits[0].Since: got %v, want %v", waits[0].Since, d.FirstSeen)
	}
	if said := h.log.lines("drop waits"); len(said) != 1 {
		t.Errorf("said %d times", len(said))
	}
	free += 1 << 20
	h.in.Ready(d)
	h.work()
	if s := h.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("got %+v, want State %q", s, campaign.StateScheduled)
	}
}

// A waiting drop that its owner removes is forgotten.
func TestWaitsAreForgotten(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "rows": 3}`)
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	if len(h.in.Waits(h.inbox+"/")) != 1 {
		t.Fatal("it doesn't wait")
	}
	h.retryAll()
	if len(h.in.Waits(h.inbox)) != 1 {
		t.Error("forgotten too early")
	}
	if err := os.Remove(filepath.Join(h.inbox, "spring.csv")); err != nil {
		t.Fatal(err)
	}
	h.retryAll()
	if waits := h.in.Waits(h.inbox); len(waits) > 0 {
		t.Errorf("%+v", waits)
	}
}
