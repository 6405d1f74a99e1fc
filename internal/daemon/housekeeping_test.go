package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/store"
)

// TestRetention: sendings older than retention are removed on the cron schedule, at start if they became due
// while the daemon was down, and soon if retention is short.
func TestRetention(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		kept := func(name string) bool {
			t.Helper()
			paths, err := filepath.Glob(filepath.Join(w.dir, "in", "done", name+".*"))
			w.check(err)
			if len(paths) != 1 {
				t.Fatalf("%s: %q", name, paths)
			}
			names, err := os.ReadDir(paths[0])
			w.check(err)
			known, err := w.running.Sendings(context.Background(), api.Filter{})
			w.check(err)
			inStore := false
			for _, s := range known {
				inStore = inStore || s.Name == name
			}
			if report := names[0].Name() == "report.json"; !inStore && !report {
				t.Fatalf("%s is forgotten: got %v, want only report.json", name, names)
			}
			if whole := len(names) > 1; inStore != whole {
				t.Fatalf("%s in the store: got %t, want %t, since its folder has %v", name, inStore, whole, names)
			}
			return inStore
		}
		w.top = "retention = \"48h\"\nhousekeeping = \"TZ=UTC 30 3 * * *\"\n"
		w.start()
		w.accept("first", 20)
		w.until(at(3*24+3, 29))
		if !kept("first") {
			t.Error("gone before its cron minute")
		}
		w.until(at(3*24+3, 31))
		if kept("first") {
			t.Error("still there after it")
		}
		w.accept("second", 20)
		w.shutdown()
		w.wait(50 * time.Hour)
		w.start()
		w.wait(time.Second)
		if kept("second") {
			t.Error("still there after a start")
		}
		w.accept("third", 20)
		text, err := os.ReadFile(filepath.Join(w.dir, "campaignd.toml"))
		w.check(err)
		w.write("campaignd.toml", strings.Replace(string(text), `"48h"`, `"1h"`, 1))
		w.check(w.running.Reload(context.Background(), "user:ada"))
		w.wait(58 * time.Minute)
		if !kept("third") {
			t.Error("gone too early")
		}
		w.wait(4 * time.Minute) // of less than a day: every minute
		if kept("third") {
			t.Error("still there after the new schedule")
		}
	})
}

// TestCompactsByItself: retention freed half of the file, so the space is returned, but only when
// nothing is due soon: nothing is sent during a compaction.
func TestCompactsByItself(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "max_rows = 100000", "enabled = false"), func(t *testing.T, w *harness) {
		w.top, w.batch = "retention = \"1h\"\n", 1000
		w.start()
		for i := range 3 {
			w.accept(fmt.Sprint("drop", i), 20_000)
		}
		for minute := range 30 { // from before they are removed
			w.accept(fmt.Sprint("later", minute), 1, "scheduleAt", at(9, 50+minute))
		}
		size := func() api.Store {
			s, err := w.running.Status(context.Background())
			w.check(err)
			return s.Store
		}
		compactions := func() (n int) {
			audit, err := w.running.Audit(context.Background(), api.AuditFilter{})
			w.check(err)
			for _, e := range audit {
				if e.Action == "compact" && e.Who == "daemon" {
					n++
				}
			}
			return n
		}
		w.until(at(10, 15))
		before := size()
		if before.FreeBytes*2 < before.Bytes {
			t.Errorf("%d of %d bytes are free, want half of them", before.FreeBytes, before.Bytes)
		}
		if n := compactions(); n > 0 {
			t.Errorf("compacted %d times while something was due every minute", n)
		}
		w.until(at(11, 0))
		after := size()
		if after.Bytes > before.Bytes/2 {
			t.Errorf("%d bytes before, %d after, want less than half", before.Bytes, after.Bytes)
		}
		if after.FreeBytes*2 > after.Bytes && after.FreeBytes > minCompactBytes {
			t.Errorf("%d of %d bytes are free after it, want less than half", after.FreeBytes, after.Bytes)
		}
		if compactions() == 0 {
			t.Error("no compaction in the audit trail")
		}
	})
}

// TestStopEndsACompactionAskedFor: results can't be recorded before a compaction ends, and a stop records them.
func TestStopEndsACompactionAskedFor(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 100)
		d := w.running
		w.shutdown()
		_, err := d.Compact(context.Background(), "user:ada")
		wantCode(t, err, api.CodeUnavailable, "the daemon is stopping")
	})
}

// TestCompactAsked: a person can start a compaction and learns when it isn't possible now.
func TestCompactAsked(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 100)
		done, err := w.running.Compact(context.Background(), "user:ada")
		w.check(err)
		if done.BytesAfter == 0 || done.BytesBefore == 0 {
			t.Errorf("%d bytes before, %d after, want both", done.BytesBefore, done.BytesAfter)
		}
		r, pipe := io.Pipe()
		backup := make(chan error, 1)
		go func() { backup <- errors.Join(w.running.Backup(context.Background(), pipe), pipe.Close()) }()
		_, err = r.Read(make([]byte, 1))
		w.check(err)
		_, err = w.running.Compact(context.Background(), "user:ada")
		wantCode(t, err, api.CodeConflict, store.ErrBusy.Error())
		_, err = io.Copy(io.Discard, r)
		w.check(errors.Join(err, <-backup))
	})
}
