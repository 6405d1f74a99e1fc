package outbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"campaignd/internal/send"
	"campaignd/internal/send/sendtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines returns the messages in the file, one per line.
func lines(t *testing.T, path string) []send.Message {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []send.Message
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var m send.Message
		if err := json.Unmarshal(in.Bytes(), &m); err != nil {
			t.Fatalf("line %d: %v: %s", len(out)+1, err, in.Text())
		}
		out = append(out, m)
	}
	return out
}

func TestConformance(t *testing.T) {
	path := ""
	sendtest.Run(t, sendtest.Driver{
		New: func(t *testing.T, _ string, _ time.Duration) send.Channel {
			path = filepath.Join(t.TempDir(), "outbox.jsonl")
			return New(path)
		},
		Item: `{"body":"hello {{name}}"}`, Contact: "34600000001",
		Count: func() int { return len(lines(t, path)) },
		Cases: map[sendtest.Case]sendtest.Want{
			sendtest.Success:  {Verdict: send.VerdictSent},
			sendtest.Canceled: {Verdict: send.VerdictUnreachable},
		},
	})
}

func messages(n int) ([]*send.Message, []send.Result) {
	out := make([]*send.Message, n)
	for i := range out {
		out[i] = &send.Message{Key: "20261124-000007-42-1-9f3c01ab", SendingID: "20261124-000007", ApplicationID: 1, CampaignID: 7,
			ChannelType: "c", ContactCode: "34600000001", Number: 1, Content: json.RawMessage(`{"body":"hi"}`), DueAt: time.Unix(0, 0).UTC(), Attempt: 1}
	}
	return out, make([]send.Result, n)
}

// put sends n messages and returns their common verdict.
func put(t *testing.T, c *Channel, n int) send.Result {
	t.Helper()
	msgs, results := messages(n)
	c.Send(t.Context(), msgs, results)
	for _, r := range results {
		if r != results[0] {
			t.Errorf("one batch, two results: %+v and %+v", results[0], r)
		}
	}
	return results[0]
}

func wantVerdict(t *testing.T, got send.Result, want send.Verdict) {
	t.Helper()
	if got.Verdict != want {
		t.Errorf("result %+v; want verdict %d", got, want)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	c := New(path)
	defer c.Close()
	wantVerdict(t, put(t, c, 3), send.VerdictSent)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&^os.FileMode(mode) != 0 {
		t.Errorf("mode %v; want at most %o", info.Mode(), mode)
	}
	if n := len(lines(t, path)); n != 3 {
		t.Errorf("%d lines; want 3", n)
	}
	first := strings.SplitN(read(t, path), "\n", 2)[0]
	order := []string{"key", "sendingId", "reference", "applicationId", "campaignId", "channelType", "contactCode", "message", "content", "dueAt", "attempt", "sentAt"}
	at := -1
	for _, key := range order {
		i := strings.Index(first, `"`+key+`":`)
		if i <= at {
			t.Errorf("key %q is missing or out of order in %s", key, first)
		}
		at = i
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRemovedAndRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	c := New(path)
	defer c.Close()
	wantVerdict(t, put(t, c, 1), send.VerdictSent)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, put(t, c, 2), send.VerdictSent)
	if n := len(lines(t, path)); n != 2 {
		t.Errorf("after it was removed: %d lines; want 2", n)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, put(t, c, 3), send.VerdictSent)
	if n, old := len(lines(t, path)), len(lines(t, path+".1")); n != 3 || old != 2 {
		t.Errorf("after it was rotated: %d lines and %d in the old file; want 3 and 2", n, old)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	got := put(t, c, 1)
	switch {
	case got.Verdict != send.VerdictHold:
		t.Errorf("without a folder: got.Verdict: got %v, want %v", got.Verdict, send.VerdictHold)
	case got.Hold != send.HoldChannel:
		t.Errorf("without a folder: got.Hold: got %v, want %v", got.Hold, send.HoldChannel)
	case !strings.Contains(got.Detail, "create its folder"):
		t.Errorf(`without a folder: got.Detail: got %q, want "create its folder" in it`, got.Detail)
	case got.RetryAfter == 0:
		t.Error("without a folder: got.RetryAfter: got 0")
	}
	if err := os.Mkdir(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, put(t, c, 1), send.VerdictSent)
}

func TestTornLineIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(path, []byte(`{"key":"cut o`), 0o600); err != nil {
		t.Fatal(err)
	}
	c := New(path)
	defer c.Close()
	wantVerdict(t, put(t, c, 2), send.VerdictSent)
	got := strings.Split(strings.TrimSuffix(read(t, path), "\n"), "\n")
	switch {
	case len(got) != 3:
		t.Errorf("len(got): got %v, want 3: %+v", len(got), got)
	case got[0] != `{"key":"cut o`:
		t.Errorf("got[0]: got %q, want %q", got[0], `{"key":"cut o`)
	case !json.Valid([]byte(got[1])):
		t.Error("json.Valid([]byte(got[1])): got false, want true")
	case !json.Valid([]byte(got[2])):
		t.Error("json.Valid([]byte(got[2])): got false, want true")
	}
}

func TestNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skipf("no FIFOs here: %v", err)
	}
	for _, path := range []string{fifo, dir} {
		c := New(path)
		wantVerdict(t, put(t, c, 1), send.VerdictHold)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestClosed(t *testing.T) {
	c := New(filepath.Join(t.TempDir(), "out.jsonl"))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, put(t, c, 1), send.VerdictHold)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	msgs, results := messages(1)
	c.Send(ctx, msgs, results)
	wantVerdict(t, results[0], send.VerdictUnreachable)
}

// faulty is the real file system, but one kind of call fails.
type faulty struct {
	osDisk
	fail  map[string]error
	short int // bytes that a failing write still writes
}

type faultyFile struct {
	file
	d *faulty
}

func (d *faulty) Open(path string) (file, bool, error) {
	if err := d.fail["open"]; err != nil {
		return nil, false, err
	}
	f, made, err := d.osDisk.Open(path)
	return &faultyFile{f, d}, made, err
}

func (d *faulty) SyncDir(path string) error {
	return errors.Join(d.fail["syncdir"], d.osDisk.SyncDir(path))
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.d.fail["write"]; err != nil {
		n, _ := f.file.Write(p[:min(f.d.short, len(p))])
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultyFile) Sync() error {
	if err := f.d.fail["sync"]; err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *faultyFile) Truncate(n int64) error {
	if err := f.d.fail["truncate"]; err != nil {
		return err
	}
	return f.file.Truncate(n)
}

func TestFaults(t *testing.T) {
	full, broken := syscall.ENOSPC, syscall.EIO
	for _, tt := range []struct {
		name  string
		fail  map[string]error
		short int
		want  send.Verdict
		lines int // complete lines after the fault
		words string
	}{
		{name: "disk full", fail: map[string]error{"write": full}, want: send.VerdictHold, lines: 1, words: "make room"},
		{name: "disk full in the middle", fail: map[string]error{"write": full}, short: 300, want: send.VerdictHold, lines: 1, words: "make room"},
		{name: "and it can't be taken back", fail: map[string]error{"write": full, "truncate": broken}, short: 300, want: send.VerdictUnknown, lines: 2},
		{name: "sync fails", fail: map[string]error{"sync": broken}, want: send.VerdictUnknown, lines: 4},
		{name: "no permission", fail: map[string]error{"open": os.ErrPermission}, want: send.VerdictHold, words: "user"},
		{name: "folder's sync fails", fail: map[string]error{"syncdir": broken}, want: send.VerdictHold},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "out.jsonl")
			c := New(path)
			defer c.Close()
			d := &faulty{fail: map[string]error{}}
			c.disk = d
			if tt.lines > 0 {
				wantVerdict(t, put(t, c, 1), send.VerdictSent)
			}
			d.fail, d.short = tt.fail, tt.short
			got := put(t, c, 3)
			wantVerdict(t, got, tt.want)
			if !strings.Contains(got.Detail, tt.words) {
				t.Errorf("detail %q doesn't say %q", got.Detail, tt.words)
			}
			d.fail = nil
			wantVerdict(t, put(t, c, 2), send.VerdictSent)
			whole := 0
			for line := range strings.Lines(read(t, path)) {
				if json.Valid([]byte(line)) {
					whole++
				}
			}
			if diff := cmp.Diff(tt.lines+2, whole); diff != "" {
				t.Errorf("whole lines (-want +got):\n%s", diff)
			}
		})
	}
}

func BenchmarkOutbox(b *testing.B) {
	c := New(filepath.Join(b.TempDir(), "out.jsonl"))
	defer c.Close()
	msgs, results := messages(maxBatch)
	b.ReportAllocs()
	for b.Loop() {
		c.Send(b.Context(), msgs, results)
	}
	b.ReportMetric(float64(b.N*maxBatch)/b.Elapsed().Seconds(), "messages/s")
}
