//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSFTP runs everything that needs sshd, with one set of accounts and one daemon.
func TestSFTP(t *testing.T) {
	w := newWorld(t)
	t.Run("group", func(t *testing.T) { // waits for the parallel tests
		for _, c := range clients() {
			for name, test := range map[string]func(*testing.T, *partner, client){
				"sidecar-last": sidecarLast, "sidecar-first": sidecarFirst, "frozen": frozen, "killed-proof": killedProof, "killed": killed,
			} {
				t.Run(c.name+"-"+name, func(t *testing.T) {
					c.here(t, w.shop)
					t.Parallel()
					test(t, w.shop, c)
				})
			}
		}
		t.Run("table", func(t *testing.T) { table(t, w.shop) })
		t.Run("forms", func(t *testing.T) {
			t.Parallel()
			forms(t, w.plain)
		})
		t.Run("recipes", func(t *testing.T) { recipes(t, w.shop) })
		t.Run("isolation", func(t *testing.T) { isolation(t, w) })
	})
	balanced(t, w)
}

// named returns a name unique to this test.
func named(t *testing.T) string {
	name := t.Name()
	return name[strings.LastIndexByte(name, '/')+1:]
}

// The CSV comes first and the sidecar commits the drop, which isn't taken before
// (sidecar_wait is minutes here).
func sidecarLast(t *testing.T, p *partner, c client) {
	d := newDrop(t, p, named(t), 300, "")
	d.put(c, ".csv", ".layout.json")
	d.untaken("before its sidecar")
	d.put(c, ".schedule.json")
	d.completes(c)
}

func sidecarFirst(t *testing.T, p *partner, c client) {
	d := newDrop(t, p, named(t), 300, "")
	d.put(c, ".schedule.json", ".layout.json", ".csv")
	d.completes(c)
}

// slowRows is a number of rows that a slow upload needs several seconds for.
const slowRows = 6000

// half starts a slow upload of the CSV, the last of its files, and waits until part of it has arrived.
func (d *drop) half(c client) *exec.Cmd {
	d.t.Helper()
	d.put(c, ".layout.json", ".schedule.json")
	cmd := c.slow(d.p, d.local(".csv"), d.name+".csv")
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	until(d.t, "a part of the CSV", func() bool { return d.size() > 0 })
	return cmd
}

// passes waits until a new drop without proof has been claimed. By then any other
// drop allowed by the inbox's waiting times would have been claimed, too.
func passes(t *testing.T, p *partner, name string) {
	t.Helper()
	d := newDrop(t, p, name, 3, "")
	d.csv = bytes.TrimSuffix(d.csv, []byte("\n"))
	if err := os.WriteFile(d.local(".csv"), d.csv, 0o644); err != nil {
		t.Fatal(err)
	}
	var batch strings.Builder // one session, because this polls often
	for _, ending := range []string{".csv", ".layout.json", ".schedule.json"} {
		batch.WriteString("put " + d.local(ending) + " /inbox/" + d.name + ending + "\n")
	}
	do(t, p.sftp(batch.String()))
	until(t, "in done/: "+name, func() bool { return d.here("done") != "" })
}

// A client frozen in the middle of an upload holds the file open. The file isn't taken, however long it is
// quiet, and the upload continues where it stopped.
func frozen(t *testing.T, p *partner, c client) {
	d := newDrop(t, p, named(t), slowRows, "")
	cmd := d.half(c)
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if d.size() == int64(len(d.csv)) {
		t.Fatal("the upload was too fast to be frozen")
	}
	passes(t, p, d.name+"-meanwhile")
	d.untaken("frozen")
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%q: %v", cmd.Args, err)
	}
	d.completes(c)
}

// cut kills an upload half-way.
func (d *drop) cut(c client) {
	d.t.Helper()
	cmd := d.half(c)
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if d.size() >= int64(len(d.csv)) {
		d.t.Fatal("the upload was too fast to be cut")
	}
}

// A cut upload with a proof waits, and resuming the upload completes it.
func killedProof(t *testing.T, p *partner, c client) {
	d := newDrop(t, p, named(t), slowRows, proof(slowRows))
	d.cut(c)
	passes(t, p, d.name+"-meanwhile")
	d.untaken("cut, with a proof")
	do(t, c.resume(p, d.local(".csv"), d.name+".csv"))
	d.completes(c)
}

// A cut upload without proof depends on its last line: cut with too few fields, the drop is
// rejected as incomplete; cut elsewhere in a line, it is taken with a warning; cut after a line, it looks complete.
func killed(t *testing.T, p *partner, c client) {
	d := newDrop(t, p, named(t), slowRows, "")
	d.cut(c)
	folder, r := d.ends(c)
	kept, err := os.ReadFile(filepath.Join(p.inbox, folder, d.name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(d.csv, kept) || len(kept) == len(d.csv) {
		t.Fatalf("%d bytes of %d are in the folder, want a first part of them", len(kept), len(d.csv))
	}
	last := string(kept[bytes.LastIndexByte(kept, '\n')+1:])
	whole := bytes.Count(kept, []byte("\n")) - 1
	switch {
	case last == "":
		if r.State != "completed" || r.Messages["sent"] != whole {
			t.Errorf("cut after a line: %+v; want it completed with %d sent", r, whole)
		}
	case strings.Contains(last, ","):
		if r.State != "completed" || r.Messages["sent"] != whole+1 || len(r.Warnings) == 0 {
			t.Errorf("cut in the last field %q: %+v; want it completed with %d sent and a warning", last, r, whole+1)
		}
	default:
		if r.State != "rejected" || !strings.Contains(r.Reason, "the file ends within this row") {
			t.Errorf("cut in the first field %q: %+v; want it rejected, since the file ends within a row", last, r)
		}
	}
}

// balanced runs the daemon's own doctor over every invariant of the store.
func balanced(t *testing.T, w *world) {
	t.Helper()
	out, err := exec.Command(w.bin, "doctor", "--deep", "--json", "--config", w.config).CombinedOutput()
	if err != nil {
		t.Errorf("doctor: %v\n%s", err, out)
	}
}
