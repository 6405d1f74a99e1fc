package crash

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"campaignd/internal/failpoint"
)

// mounted is an installation whose inbox is a mount of its own, in a private mount namespace.
type mounted struct {
	*world
	disk string // what is mounted at the inbox
}

// newMounted mounts a disk at the inbox of a new installation, or skips the test with a reason. The
// namespace belongs to this goroutine's thread and ends with it, so only this goroutine and the
// processes that it starts see the mount.
func newMounted(t *testing.T, s settings) *mounted {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for a mount namespace")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Skipf("make a mount namespace: %v", err)
	}
	// Not private: what other tests unmount must go here, too (disk.New).
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		t.Skipf("make the mounts slaves: %v", err)
	}
	m := &mounted{world: newWorld(t, s), disk: t.TempDir()}
	m.mount(m.disk)
	t.Cleanup(func() { _ = unix.Unmount(m.inbox, unix.MNT_DETACH) }) // a test may leave it unmounted
	return m
}

func (m *mounted) mount(disk string) {
	m.t.Helper()
	m.must(unix.Mount(disk, m.inbox, "", unix.MS_BIND, ""))
}

// unmount takes the disk away, even while files on it are open.
func (m *mounted) unmount() {
	m.t.Helper()
	m.must(unix.Unmount(m.inbox, unix.MNT_DETACH))
}

// away waits until the daemon has noticed that the disk is away, and checks that it says so and has
// created nothing in the mount point.
func (m *mounted) away() {
	m.t.Helper()
	m.until(20*time.Second, "noticed", func() bool { return m.logged("the inbox isn't there", m.inbox) })
	out, _ := m.run("doctor", "--deep", "--json") // it exits with 3
	if !strings.Contains(out, "is its disk mounted?") {
		m.t.Errorf("doctor doesn't report the missing disk:\n%s", out)
	}
	var status struct{ Inboxes []struct{ Problem string } }
	out, err := m.run("status", "--json")
	m.must(err)
	m.must(json.Unmarshal([]byte(out), &status))
	if len(status.Inboxes) != 1 || !strings.Contains(status.Inboxes[0].Problem, "is its disk mounted?") {
		m.t.Errorf("status is %+v; want one inbox, whose problem asks for its disk", status)
	}
	m.empty()
}

// empty checks that nothing is in the mount point.
func (m *mounted) empty() {
	m.t.Helper()
	entries, err := os.ReadDir(m.inbox)
	m.must(err)
	for _, e := range entries {
		m.t.Errorf("%s was created in the mount point", e.Name())
	}
}

// TestInboxUnmounted takes the inbox's disk away at the steps of a drop, from its claim to its
// removal. Nothing is created in the mount point, and every drop ends as if the disk had stayed.
func TestInboxUnmounted(t *testing.T) {
	steps := []failpoint.Name{failpoint.FileMoved, failpoint.Accepted, failpoint.ReportsWritten}
	if full() {
		steps = []failpoint.Name{
			failpoint.ClaimRecorded, failpoint.FolderMade, failpoint.FileMoved, failpoint.FilesMoved, failpoint.RowsStored,
			failpoint.RejectedWritten, failpoint.FilesSynced, failpoint.Checked, failpoint.SlotsBooked, failpoint.Accepted,
			failpoint.Refused, failpoint.AttemptsCommitted, failpoint.ResultsCommitted, failpoint.Finalized, failpoint.BeforeFinish,
			failpoint.Finished, failpoint.StatusWritten, failpoint.ReportsWritten, failpoint.StatusRemoved, failpoint.FolderMoved,
			failpoint.Filed, failpoint.Obeyed, failpoint.ControlMoved,
		}
	}
	for _, step := range steps {
		t.Run(string(step), func(t *testing.T) { t.Parallel(); unmountAt(t, step) })
	}
	t.Run("before the start", func(t *testing.T) { t.Parallel(); mountLate(t) })
	t.Run("at retirement", func(t *testing.T) { t.Parallel(); retireUnmounted(t) })
	t.Run("replaced", func(t *testing.T) { t.Parallel(); replaceDisk(t) })
}

// unmountAt takes the disk away when the daemon has reached a step for the first time.
func unmountAt(t *testing.T, step failpoint.Name) {
	m := newMounted(t, settings{rate: 4000})
	m.start().ready().stop() // creates the store and the inbox's folders
	gate := filepath.Join(m.dir, "gate")
	p := m.start("CAMPAIGND_FAILPOINT="+string(step)+":1:wait", "CAMPAIGND_FAILPOINT_GATE="+gate).ready()
	mixed := m.drop("mixed", viaHook, 300, 3, "")
	later := m.drop("later", sliced, 40, 0, `,"delay":"PT8M"`) // waits until it is canceled
	wrong := m.prepare("wrong", viaHook, 5, 0, "")
	wrong.files["wrong.csv"] = "phone,name\n1,2\n"
	m.place(wrong)
	canceled := false
	cancel := func() {
		if _, path := m.folder("later"); path != "" && !canceled {
			canceled = true
			m.write(filepath.Join(m.inbox, "later.cancel"), "")
		}
	}
	m.until(20*time.Second, "at "+string(step), func() bool {
		cancel()
		_, err := os.Stat(gate + ".reached")
		return err == nil
	})
	m.unmount()
	m.write(gate, "")
	m.away()
	m.mount(m.disk)
	for _, d := range []drop{mixed, later, wrong} {
		m.until(40*time.Second, d.name+" has ended", func() bool {
			cancel()
			place, _ := m.folder(d.name)
			return place == "done" || place == "failed"
		})
	}
	e := m.balance(mixed)
	if e.state != "completed" || e.counts["sent"] != mixed.rows {
		t.Errorf("mixed: %s; want it completed with %d sent", e.describe(), mixed.rows)
	}
	if twice := m.deliveries(e, m.hook.delivered(t)); twice > 0 {
		t.Errorf("%d messages were delivered twice", twice)
	}
	if e := m.balance(later); e.state != "canceled" {
		t.Errorf("later: %s", e.describe())
	}
	if e := m.balance(wrong); e.state != "rejected" {
		t.Errorf("wrong: %s", e.describe())
	}
	m.until(20*time.Second, "tidy", func() bool {
		entries, err := os.ReadDir(m.inbox)
		return err == nil && len(entries) == 5 && !anyIn(filepath.Join(m.inbox, "accepted"))
	})
	m.tidy()
	m.doctor()
	p.stop()
}

// mountLate starts the daemon before the disk is there. What was accepted is sent, and its files and
// a new drop follow when the disk arrives.
func mountLate(t *testing.T) {
	m := newMounted(t, settings{})
	p := m.start().ready()
	due := m.drop("due", viaHook, 20, 0, `,"delay":"PT4S"`)
	m.until(20*time.Second, "accepted", func() bool { return m.logged("drop accepted") })
	p.stop()
	fresh := m.drop("fresh", viaHook, 20, 0, "")
	m.unmount()
	m.start().ready()
	m.until(20*time.Second, "sent", func() bool { n, _ := m.hook.count(); return n == 20 })
	m.away()
	m.mount(m.disk)
	m.ended(40*time.Second, due, fresh)
	for _, d := range []drop{due, fresh} {
		if e := m.balance(d); e.counts["sent"] != 20 {
			t.Errorf("%s: %s", d.name, e.describe())
		}
	}
	m.tidy()
	m.doctor()
}

// retireUnmounted lets retention run while the disk is away: the sending stays in the store, since
// its contacts are still on the disk.
func retireUnmounted(t *testing.T) {
	m := newMounted(t, settings{})
	p := m.start().ready()
	d := m.drop("old", viaHook, 20, 2, "")
	m.ended(20*time.Second, d)
	id := m.balance(d).id
	p.stop()
	m.unmount()
	text, err := os.ReadFile(m.config)
	m.must(err)
	m.write(m.config, strings.Replace(string(text), `retention = "90d"`, `retention = "10ms"`, 1))
	p = m.start().ready()
	m.away()
	if _, err := m.run("show", id); err != nil {
		t.Errorf("the sending was removed while its disk was away: %v", err)
	}
	p.stop()
	m.empty()
	m.mount(m.disk)
	m.start().ready()
	m.until(20*time.Second, "removed", func() bool {
		_, err := m.run("show", id)
		return err != nil && strings.Contains(err.Error(), "no sending")
	})
	_, path := m.folder("old")
	names, err := filepath.Glob(filepath.Join(path, "*"))
	m.must(err)
	if len(names) != 1 || filepath.Base(names[0]) != "report.json" {
		t.Errorf("files left: %q, want report.json alone", names)
	}
	m.doctor()
}

// replaceDisk puts an empty disk in the inbox's place. The daemon leaves it alone until an operator
// adopts it.
func replaceDisk(t *testing.T) {
	m := newMounted(t, settings{})
	m.start().ready()
	due := m.drop("due", viaHook, 20, 0, `,"delay":"PT4S"`)
	m.until(20*time.Second, "accepted", func() bool { return m.logged("drop accepted") })
	m.unmount()
	m.mount(t.TempDir())
	m.until(20*time.Second, "sent", func() bool { n, _ := m.hook.count(); return n == 20 })
	m.away()
	fresh := m.drop("fresh", viaHook, 20, 0, "")
	if out, err := m.run("inbox", "accept", m.inbox); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m.ended(40*time.Second, fresh)
	if e := m.balance(fresh); e.counts["sent"] != 20 {
		t.Errorf("fresh: %s", e.describe())
	}
	due.files = nil // they are on the other disk
	m.ended(40*time.Second, due)
	if e := m.balance(due); e.counts["sent"] != 20 {
		t.Errorf("due: %s", e.describe())
	}
	m.tidy()
	m.doctor()
}
