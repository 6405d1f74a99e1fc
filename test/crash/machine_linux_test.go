package crash

import (
	"bufio"
	"campaignd/test/programs"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSyncFails makes the kernel fail one sync or write of the store's or of our own files, through strace.
// Nothing is lost, nothing is reported as sent that isn't recorded, nothing is sent twice. A failed sync of the
// store ends the process, which is started again.
func TestSyncFails(t *testing.T) {
	long(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: apt-get install strace")
	}
	if out, err := exec.Command(strace, "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=1", "true").CombinedOutput(); err != nil {
		t.Skipf("strace can't trace here: %v: %s", err, out)
	}
	for _, c := range []struct{ name, inject, says string }{
		{"bbolt's sync, early", "fdatasync:error=EIO:when=4", "input/output error"},
		{"bbolt's sync, while sending", "fdatasync:error=EIO:when=40", "input/output error"},
		{"bbolt's sync, six times", "fdatasync:error=EIO:when=30..35", "input/output error"},
		{"bbolt's write", "pwrite64:error=ENOSPC:when=60..64", "no space left"},
		{"our sync", "fsync:error=EIO:when=8", "input/output error"},
		{"our sync, later", "fsync:error=EIO:when=12..13", "input/output error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, settings{rate: 2000})
			w.start().ready().stop()
			traced := filepath.Join(w.dir, "strace.log")
			w.startUnder([]string{strace, "-f", "-qq", "-o", traced, "-e", "trace=fdatasync,pwrite64,fsync", "-e", "inject=" + c.inject})
			d := w.drop("a", viaHold, 1500, 5, "")
			box := w.drop("b", viaOutbox, 200, 0, "")
			restarted := false
			w.until(90*time.Second, "all has ended", func() bool {
				if w.last.Ended(0) {
					if !w.logged(c.says) {
						t.Fatalf("the daemon exited without %q in its log\n%s", c.says, w.tail())
					}
					w.start()
					restarted = true // and its log began anew
				}
				return w.isOver(d) && w.isOver(box)
			})
			// strace counts per thread: no thread may have reached the call's number.
			if log, err := os.ReadFile(traced); err != nil || !strings.Contains(string(log), "INJECTED") {
				t.Skipf("the fault never happened (%v)", err)
			}
			if !restarted && !w.logged(c.says) {
				t.Errorf("no log line contains %q\n%s", c.says, w.tail())
			}
			t.Logf("the log says:\n%s", firstLines(w, c.says))
			e := w.balance(d)
			certain := e.counts["sent"]
			if restarted { // on_unknown = "hold" leaves what was in flight to a person
				certain += e.counts["unknown"]
			}
			if twice := w.deliveries(e, w.hook.delivered(t)); twice > 0 || certain != d.rows {
				t.Errorf("%s, %d twice; want %d with a certain outcome, none twice", e.describe(), twice, d.rows)
			}
			e = w.balance(box)
			keys, _ := w.outboxKeys()
			if w.deliveries(e, keys); e.counts["sent"] != 2*box.rows {
				t.Error(e.describe())
			}
			w.tidy()
			w.doctor()
		})
	}
}

// nobody is an unprivileged user.
const nobody = 65534

// TestPermissionsLost revokes the daemon's permissions while it runs and restores them.
func TestPermissionsLost(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to run the daemon as a user whose permissions can be revoked")
	}
	for name, c := range map[string]struct {
		path string
		mode os.FileMode
		says string
	}{
		"inbox":    {"inbox", 0, "permission denied"},
		"accepted": {"inbox/accepted", 0o555, "permission denied"},
		"done":     {"inbox/done", 0o555, "permission denied"},
		"outbox":   {"outbox", 0, "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			long(t)
			dir, err := os.MkdirTemp("", "campaignd-nobody-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			w := newWorld(t, settings{dir: dir, rate: 500, outbox: filepath.Join(dir, "outbox", "box.jsonl")})
			w.as = &syscall.Credential{Uid: nobody, Gid: nobody}
			w.must(os.Mkdir(filepath.Join(dir, "outbox"), 0o755))
			w.must(filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
				if err != nil {
					return err
				}
				return os.Chown(path, nobody, nobody)
			}))
			w.must(os.Chmod(dir, 0o755))
			w.start().ready()
			give := func(d drop) {
				w.place(d)
				for file := range d.files {
					w.must(os.Chown(filepath.Join(w.inbox, file), nobody, nobody))
				}
			}
			first, second, box := w.prepare("first", viaHook, 600, 0, ""), w.prepare("second", viaHook, 100, 0, ""), w.prepare("box", viaOutbox, 300, 0, "")
			give(first)
			w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 50 })
			path := filepath.Join(dir, c.path)
			before, err := os.Stat(path)
			w.must(err)
			w.must(os.Chmod(path, c.mode))
			if name == "outbox" {
				give(box)
			} else {
				give(second)
			}
			w.until(20*time.Second, "said", func() bool {
				return w.logged("ERROR", c.says) || w.logged("WARN", c.says) || w.logged("drop waits", c.says)
			})
			t.Logf("the log says:\n%s", firstLines(w, c.says))
			w.must(os.Chmod(path, before.Mode().Perm()))
			all := []drop{first, second}
			if name == "outbox" {
				all[1] = box
			}
			w.ended(100*time.Second, all...)
			for _, d := range all {
				e := w.balance(d)
				if e.counts["sent"] != d.rows*d.per {
					t.Error(e.describe())
				}
				keys := w.hook.delivered(t)
				if d.name == "box" {
					keys = map[string]int{}
					f, err := os.Open(filepath.Join(dir, "outbox", "box.jsonl"))
					w.must(err)
					countKeys(t, f, keys)
					w.must(f.Close())
				}
				if twice := w.deliveries(e, keys); twice > 0 {
					t.Errorf("%s: %d twice", d.name, twice)
				}
			}
			w.doctor()
		})
	}
}

// TestOutboxRemoved removes the outbox file repeatedly while lines are appended. The channel creates it again,
// and every line reported as sent was in one of the files.
func TestOutboxRemoved(t *testing.T) {
	w := newWorld(t, settings{})
	w.start().ready()
	d := w.drop("a", viaOutbox, 40_000, 0, "")
	path := filepath.Join(w.state, "outbox.jsonl")
	keys := map[string]int{}
	removed := 0
	for range 3 {
		var kept *os.File
		w.until(20*time.Second, "an outbox file", func() bool {
			f, err := os.Open(path)
			if err != nil {
				return false
			}
			if info, err := f.Stat(); err != nil || info.Size() == 0 {
				_ = f.Close()
				return false
			}
			kept = f
			return true
		})
		defer kept.Close()
		if place, _ := w.folder("a"); place == "done" {
			break
		}
		w.must(os.Remove(path))
		removed++
		programs.Until(30*time.Millisecond, func() bool { return false }) // a batch in progress may still write to it
		countKeys(t, kept, keys)
	}
	w.ended(60*time.Second, d)
	if removed == 0 {
		t.Fatal("everything was sent before the file could be removed")
	}
	if f, err := os.Open(path); err == nil { // missing if everything was written before the last removal
		countKeys(t, f, keys)
		w.must(f.Close())
	}
	e := w.balance(d)
	w.deliveries(e, keys)
	if e.counts["sent"] != 80_000 {
		t.Error(e.describe())
	}
	w.doctor()
}

// countKeys adds the keys in an outbox file.
func countKeys(t *testing.T, f *os.File, keys map[string]int) {
	t.Helper()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m struct{ Key string }
		if json.Unmarshal(lines.Bytes(), &m) != nil || !strings.Contains(m.Key, "-") {
			t.Errorf("a line of the outbox is torn: %.80q", lines.Text())
			continue
		}
		keys[m.Key]++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
