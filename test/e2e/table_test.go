//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// table covers every way in which real clients were seen to write a file: old times, times set after
// close, temporary names, renames by link and unlink, a name written twice. Each drop must
// end as if it had been written at once (docs/contract.md 2). Cut and frozen uploads are in sftp_test.go.
func table(t *testing.T, p *partner) {
	byName := map[string]client{}
	for _, c := range clients() {
		byName[c.name] = c
	}
	sftp := byName["sftp"]
	// batch is one sftp session for a file. Its three verbs are the local name, the remote name and the name below /inbox.
	batch := func(format string) func(*partner, string, string) *exec.Cmd {
		return func(p *partner, local, remote string) *exec.Cmd {
			return p.sftp(fmt.Sprintf(format, local, "/inbox/"+remote))
		}
	}
	for _, one := range []struct {
		name string
		with client // whose put is replaced
		put  func(p *partner, local, remote string) *exec.Cmd
	}{
		{"sftp-put-p", sftp, batch("put -p %s %s")},
		{"sftp-put-rename", sftp, batch("put %[1]s %[2]s.tmp\nrename %[2]s.tmp %[2]s")},
		{"sftp-over-itself", sftp, batch("put %[1]s %[2]s\nput %[1]s %[2]s")},
		{"rclone-partial", sftp, batch("put %[1]s %[2]s.3f9a1c07.partial\nrename %[2]s.3f9a1c07.partial %[2]s")},
		{"winscp-filepart", sftp, batch("put %[1]s %[2]s.filepart\nrename %[2]s.filepart %[2]s")},
		{"chmod-after-close", sftp, batch("put %[1]s %[2]s\nchmod 644 %[2]s")},
		{"scp", sftp, func(p *partner, local, remote string) *exec.Cmd {
			return run("scp", append(append(p.sshOptions(), "-q", "-P", p.w.port), local, p.name+"@127.0.0.1:/inbox/"+remote)...)
		}},
		{"lftp-put-old-time", byName["lftp"], byName["lftp"].put},
		{"lftp-temporary-name", byName["lftp"], func(p *partner, local, remote string) *exec.Cmd {
			return p.lftp("set xfer:use-temp-file yes; set xfer:temp-file-name .in.*;", "put "+local+" -o /inbox/"+remote)
		}},
		{"rclone-old-time", byName["rclone"], byName["rclone"].put},
		{"paramiko-rename", byName["paramiko"], func(p *partner, local, remote string) *exec.Cmd {
			return p.paramiko("rename", local, "/inbox/"+remote) // SFTP 3: link, then unlink
		}},
		{"paramiko-posix-rename", byName["paramiko"], func(p *partner, local, remote string) *exec.Cmd {
			return p.paramiko("posix_rename", local, "/inbox/"+remote)
		}},
	} {
		t.Run(one.name, func(t *testing.T) {
			one.with.here(t, p)
			t.Parallel()
			d := newDrop(t, p, "table-"+one.name, 20, proof(20))
			old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
			for _, ending := range []string{".csv", ".layout.json", ".schedule.json"} {
				if err := os.Chtimes(d.local(ending), old, old); err != nil {
					t.Fatal(err)
				}
			}
			c := one.with
			c.put = one.put
			d.put(c, ".layout.json", ".csv", ".schedule.json")
			d.completes(sftp)
		})
	}
	t.Run("shorter-over-longer", func(t *testing.T) { shorterOverLonger(t, p, sftp) })
}

// A name written again while its drop waits for its proof: the same inode with other bytes.
func shorterOverLonger(t *testing.T, p *partner, c client) {
	t.Parallel()
	d := newDrop(t, p, "table-again", 20, proof(20))
	wrong := newDrop(t, p, "wrong", 500, "")
	do(t, c.put(p, wrong.local(".csv"), d.name+".csv"))
	d.put(c, ".layout.json", ".schedule.json")
	passes(t, p, d.name+"-meanwhile")
	d.untaken("with a wrong number of rows")
	d.put(c, ".csv")
	d.completes(c)
}
