package crash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"campaignd/test/disk"
	"campaignd/test/programs"
)

// newTmpfs mounts a small file system in memory, or skips the test with a reason.
func newTmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("campaignd-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		programs.Until(5*time.Second, func() bool { return unix.Unmount(dir, 0) == nil })
	})
	return dir
}

// fill uses up the file system of dir and returns a function that frees the space.
func (w *world) fill(dir string) (empty func()) {
	w.t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	w.must(err)
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	w.must(f.Close())
	return func() { w.must(os.Remove(path)) }
}

// TestFullDiskBeforeADrop checks that a full disk stops claims with a log line, and that free space resumes them.
func TestFullDiskBeforeADrop(t *testing.T) {
	long(t) // the daemon checks again after a minute
	disk := newTmpfs(t, "160m")
	w := newWorld(t, settings{dir: filepath.Join(disk, "w")})
	w.log = filepath.Join(t.TempDir(), "log")
	w.start().ready()
	d := w.drop("a", viaHook, 100, 0, "")
	w.ended(20*time.Second, d)
	empty := w.fill(disk)
	w.must(os.Truncate(filepath.Join(disk, "ballast"), sizeOf(t, filepath.Join(disk, "ballast"))-(1<<20))) // a little room for the partner
	d2 := w.drop("b", viaHook, 100, 0, "")
	w.until(20*time.Second, "said", func() bool { return w.logged("the operator has to make room") })
	if place, _ := w.folder("b"); place != "" {
		t.Errorf("a drop was claimed without room for it: %s", place)
	}
	if n := w.loggedTimes("the operator has to make room"); n != 1 {
		t.Errorf("it was logged %d times, want once", n)
	}
	empty()
	w.ended(90*time.Second, d2)
	for _, d := range []drop{d, d2} {
		if e := w.balance(d); e.counts["sent"] != 100 {
			t.Error(e.describe())
		}
	}
	w.tidy()
	w.doctor()
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestFullDiskWhileSending checks that a message that can't be recorded isn't sent, that one log line says so, and
// that sending resumes by itself once there is space. Nothing is sent twice.
func TestFullDiskWhileSending(t *testing.T) {
	long(t)
	disk := newTmpfs(t, "160m")
	w := newWorld(t, settings{dir: filepath.Join(disk, "w"), rate: 20_000})
	w.log = filepath.Join(t.TempDir(), "log")
	w.start().ready()
	d := w.drop("a", viaHold, 60_000, 100, "")
	box := w.drop("b", viaOutbox, 60_000, 0, "")
	w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 2000 })
	empty := w.fill(disk)
	w.until(30*time.Second, "said", func() bool { return w.logged("ERROR", "no space left") || w.logged("WARN", "no space left") })
	t.Logf("the log says:\n%s", firstLines(w, "no space left"))
	programs.Until(time.Second, func() bool { return false })
	empty()
	w.ended(90*time.Second, d, box)
	e := w.balance(d)
	if twice := w.deliveries(e, w.hook.delivered(t)); twice > 0 || e.counts["sent"] != d.rows {
		t.Errorf("%s, %d twice; want %d sent, none twice", e.describe(), twice, d.rows)
	}
	e = w.balance(box)
	keys, torn := w.outboxKeys()
	if w.deliveries(e, keys); e.counts["sent"] != 2*box.rows {
		t.Errorf("%s, %d torn", e.describe(), torn)
	}
	w.tidy()
	w.doctor()
}

// TestFullInbox fills the inbox's disk but not the store's. Sending continues and the problem is logged once with
// advice. Once there is space, status, reports and folders are complete.
func TestFullInbox(t *testing.T) {
	long(t)
	disk := newTmpfs(t, "8m")
	w := newWorld(t, settings{rate: 500})
	w.must(unix.Mount(disk, w.inbox, "", unix.MS_BIND, ""))
	t.Cleanup(func() { programs.Until(5*time.Second, func() bool { return unix.Unmount(w.inbox, 0) == nil }) })
	w.start().ready()
	d := w.drop("a", viaHold, 3000, 10, "")
	next := w.drop("b", viaHook, 100, 0, "")
	w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 200 })
	empty := w.fill(disk)
	w.until(40*time.Second, "said", func() bool { return w.logged("ERROR", "no space left", "make room on its disk") })
	w.until(60*time.Second, "all sent", func() bool { _, keys := w.hook.count(); return keys == d.rows+next.rows })
	programs.Until(12*time.Second, func() bool { return false }) // two rounds of the folder keeper
	if n := w.loggedTimes("ERROR", "no space left"); n > 6 {
		t.Errorf("it was logged %d times, want at most 6\n%s", n, w.tail())
	}
	t.Logf("the log says:\n%s", firstLines(w, "no space left"))
	empty()
	w.ended(60*time.Second, d, next)
	e := w.balance(d)
	if twice := w.deliveries(e, w.hook.delivered(t)); twice > 0 || e.counts["sent"] != d.rows {
		t.Errorf("%s, %d twice; want %d sent, none twice", e.describe(), twice, d.rows)
	}
	w.balance(next)
	w.tidy()
	w.doctor()
}

// TestKilledOnAFullDisk checks that starting on a full disk and dying on one lose nothing.
func TestKilledOnAFullDisk(t *testing.T) {
	long(t)
	disk := newTmpfs(t, "160m")
	w := newWorld(t, settings{dir: filepath.Join(disk, "w"), rate: 10_000})
	w.log = filepath.Join(t.TempDir(), "log")
	w.start().ready()
	d := w.drop("a", viaHold, 20_000, 0, "")
	w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 2000 })
	empty := w.fill(disk)
	lost := uint64(0)
	for range 3 {
		programs.Until(200*time.Millisecond, func() bool { return false })
		w.last.kill()
		lost += w.look()
		w.start()
	}
	programs.Until(200*time.Millisecond, func() bool { return false })
	empty()
	if w.last.refuses() { // with a message
		if !w.logged("no space left") {
			t.Errorf("the daemon exited without a reason\n%s", w.tail())
		}
		w.start()
	}
	w.ended(60*time.Second, d)
	e := w.balance(d)
	if twice := w.deliveries(e, w.hook.delivered(t)); twice > 0 || uint64(e.counts["unknown"]) > lost {
		t.Errorf("%s, %d twice; want none twice and at most %d unknown, which were in flight", e.describe(), twice, lost)
	}
	w.doctor()
}

// TestReadOnlyInbox checks that a read-only inbox is reported and works again once it is writable.
func TestReadOnlyInbox(t *testing.T) {
	long(t) // the daemon checks again after a minute
	disk := newTmpfs(t, "32m")
	w := newWorld(t, settings{})
	w.must(os.Chmod(disk, 0o755))
	w.must(unix.Mount(disk, w.inbox, "", unix.MS_BIND, ""))
	t.Cleanup(func() { programs.Until(5*time.Second, func() bool { return unix.Unmount(w.inbox, 0) == nil }) })
	w.start().ready()
	first := w.drop("first", viaHook, 3000, 0, "")
	w.until(20*time.Second, "accepted", func() bool { place, _ := w.folder("first"); return place != "" })
	d := w.prepare("a", viaHook, 50, 0, "")
	w.place(d)
	w.until(5*time.Second, "read-only", func() bool {
		return unix.Mount("", w.inbox, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "") == nil
	})
	w.until(20*time.Second, "said", func() bool { return w.logged("ERROR", "read-only file system") })
	t.Logf("the log says:\n%s", firstLines(w, "read-only"))
	w.must(unix.Mount("", w.inbox, "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	w.ended(60*time.Second, first, d)
	for _, d := range []drop{first, d} {
		if e := w.balance(d); e.counts["sent"] != d.rows {
			t.Error(e.describe())
		}
	}
	w.doctor()
}

// TestBrokenFileSystem makes the store's ext4 read-only. Nothing is sent that can't be recorded,
// and after the repair every message is accounted for.
func TestBrokenFileSystem(t *testing.T) {
	long(t)
	ext4 := disk.New(t, "128M")
	w := newWorld(t, settings{dir: filepath.Join(ext4.At, "w"), rate: 3000})
	w.log = filepath.Join(filepath.Dir(ext4.Image), "log")
	disk.Sync(t, w.dir)
	p := w.start().ready()
	d := w.drop("a", viaHold, 4000, 0, "")
	w.until(20*time.Second, "sending", func() bool { n, _ := w.hook.count(); return n > 500 })
	ext4.Cut()
	w.until(20*time.Second, "said", func() bool { return w.logged("ERROR", "the store can't be written") })
	t.Logf("the log says:\n%s", firstLines(w, "the store can't be written"))
	n, _ := w.hook.count()
	programs.Until(500*time.Millisecond, func() bool { return false })
	if now, _ := w.hook.count(); now != n {
		t.Errorf("%d messages went out that could not be recorded", now-n)
	}
	p.kill()
	ext4.Remount()
	lost := w.look()
	w.start().ready()
	w.ended(30*time.Second, d)
	e := w.balance(d)
	if twice := w.deliveries(e, w.hook.delivered(t)); twice > 0 || uint64(e.counts["unknown"]) > lost {
		t.Errorf("%s, %d twice; want none twice and at most %d unknown, which were in flight", e.describe(), twice, lost)
	}
	w.doctor()
}

// firstLines returns the first lines of the last run's log that contain text, for the test's output.
func firstLines(w *world, text string) string {
	data, _ := os.ReadFile(w.log)
	var out []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, text) && len(out) < 3 {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}
