package crash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStoreCutOff truncates the store's file under a sending daemon. The daemon exits with status 1 and one
// line that says what to do, and doesn't change the file.
func TestStoreCutOff(t *testing.T) {
	w := newWorld(t, settings{rate: 500})
	p := w.start().ready()
	w.drop("a", viaHook, 3000, 0, "")
	w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 50 })
	path := filepath.Join(w.state, "campaignd.db")
	w.must(os.Truncate(path, 8192))
	if !p.Ended(patience(20 * time.Second)) {
		t.Fatalf("the daemon still runs\n%s", w.tail())
	}
	if code := p.Cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d, want 1\n%s", code, w.tail())
	}
	data, err := os.ReadFile(w.log)
	w.must(err)
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	if last := all[len(all)-1]; !strings.HasPrefix(last, "campaignd: run: the store is damaged: its file was cut off at 8192 of") || !strings.Contains(last, "restore a backup") {
		t.Errorf("unexpected last line %q", last)
	}
	if strings.Contains(string(data), "goroutine ") {
		t.Errorf("the log has a stack trace\n%s", w.tail())
	}
	if n := sizeOf(t, path); n != 8192 {
		t.Errorf("the file was changed: it has %d bytes", n)
	}
}

// TestOlderCopyOfStore restores a copy made with cp while the daemon was stopped. Every unfinished sending is
// held with a reason, and messages that the copy knows as sent are not sent again.
func TestOlderCopyOfStore(t *testing.T) {
	w := newWorld(t, settings{rate: 1000})
	w.start().ready()
	d := w.drop("a", viaHold, 1500, 0, "")
	w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 200 })
	w.last.stop()
	path := filepath.Join(w.state, "campaignd.db")
	copied, err := os.ReadFile(path)
	w.must(err)
	at, _ := w.hook.count()
	w.start().ready()
	w.until(20*time.Second, "sending on", func() bool { n, _ := w.hook.count(); return n > at+200 })
	w.last.kill()
	known, _ := w.knownBy(path)
	if len(known) < at {
		t.Fatalf("the copy knows %d sent messages, want %d", len(known), at)
	}
	w.must(os.WriteFile(path, copied, 0o600))
	known, _ = w.knownBy(path)
	w.start().ready()
	if !w.logged("restored from an older copy", "resume --all") {
		t.Errorf("the start doesn't say that the store was restored\n%s", w.tail())
	}
	w.heldAndQuiet(1)
	if _, err := w.run("resume", "--all"); err != nil {
		t.Fatal(err)
	}
	w.ended(30*time.Second, d)
	e := w.balance(d)
	got := w.hook.delivered(t)
	for message := range known {
		if n := timesOf(got, e.id, message); n != 1 {
			t.Errorf("message %s was sent when the copy was made, and was delivered %d times", message, n)
		}
	}
	w.deliveries(e, got)
	w.doctor()
}
