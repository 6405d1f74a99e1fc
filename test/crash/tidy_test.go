package crash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTidying is the short form of TestFailpoints for the removal of old sendings
// and the compaction of the store.
func TestTidying(t *testing.T) {
	t.Run("retention", func(t *testing.T) { t.Parallel(); killTidying(t, "forgotten:1") })
	t.Run("compaction", func(t *testing.T) { t.Parallel(); killCompacting(t, "compact-swapped:1") })
}

// killTidying kills the daemon while it removes an old sending. The next start removes the rest.
func killTidying(t *testing.T, point string) {
	w := newWorld(t, settings{})
	d := w.drop("old", viaHook, 300, 2, "")
	p := w.start().ready()
	w.ended(20*time.Second, d)
	id := w.balance(d).id
	p.stop()
	text, err := os.ReadFile(w.config)
	w.must(err)
	w.write(w.config, strings.Replace(string(text), `retention = "90d"`, `retention = "10ms"`, 1))
	w.start("CAMPAIGND_FAILPOINT=" + point).killed(20 * time.Second)
	w.start().ready()
	w.until(20*time.Second, "removed", func() bool {
		_, err := w.run("show", id)
		return err != nil && strings.Contains(err.Error(), "no sending")
	})
	_, path := w.folder("old")
	names, err := filepath.Glob(filepath.Join(path, "*"))
	w.must(err)
	if len(names) != 1 || filepath.Base(names[0]) != "report.json" {
		t.Errorf("files left: %q, want report.json alone", names)
	}
	w.doctor()
}

// killCompacting kills the daemon while the compacted store replaces the old one. One of the two is there, complete.
func killCompacting(t *testing.T, point string) {
	w := newWorld(t, settings{})
	d := w.drop("a", viaHook, 300, 2, "")
	p := w.start("CAMPAIGND_FAILPOINT=" + point).ready()
	w.ended(20*time.Second, d)
	if _, err := w.run("compact"); err == nil {
		t.Error("compact reported success")
	}
	p.killed(5 * time.Second)
	w.start().ready()
	if e := w.balance(d); e.counts["sent"] != 300 {
		t.Error(e.describe())
	}
	more := w.drop("b", viaHook, 100, 0, "")
	w.ended(20*time.Second, more)
	if out, err := w.run("compact"); err != nil || !strings.Contains(out, "The store shrank") {
		t.Errorf("%q, %v", out, err)
	}
	w.doctor()
	if names, err := filepath.Glob(filepath.Join(w.state, "*.compact")); err != nil || len(names) != 0 {
		t.Errorf("%q, %v", names, err)
	}
}
