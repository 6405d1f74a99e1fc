//go:build e2e

package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"campaignd/test/loopback"
)

// sshd starts a real sshd on loopback with the snippet that the package installs. Only
// the group and the two folders are the test's own.
func (w *world) sshd() {
	w.t.Helper()
	snippet, err := os.ReadFile("../../packaging/sshd-partners.conf")
	w.must(err)
	text := string(snippet)
	for _, one := range [][2]string{
		{"Match Group campaignd-partners\n", "Match Group " + w.group + "\n"},
		{" /srv/campaignd/%u\n", " " + filepath.Join(w.root, "partners") + "/%u\n"},
		{" /etc/ssh/campaignd/%u\n", " " + filepath.Join(w.root, "keys") + "/%u\n"},
	} {
		if strings.Count(text, one[0]) != 1 {
			w.t.Fatalf("packaging/sshd-partners.conf doesn't have exactly one %q", one[0])
		}
		text = strings.Replace(text, one[0], one[1], 1)
	}
	hostKey, pid := filepath.Join(w.root, "hostkey"), filepath.Join(w.root, "sshd.pid")
	w.command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", hostKey)
	w.port = loopback.FreePort(w.t)
	file := filepath.Join(w.root, "sshd_config")
	w.write(file, "ListenAddress 127.0.0.1\nPort "+w.port+"\nHostKey "+hostKey+"\nPidFile "+pid+
		"\nUsePAM no\nStrictModes no\nMaxStartups 200\nLogLevel VERBOSE\nSubsystem sftp internal-sftp\n\n"+text)
	bin, err := exec.LookPath("sshd") // sshd requires its absolute path
	w.must(err)
	w.must(os.MkdirAll("/run/sshd", 0o755))
	cmd := exec.Command(bin, "-D", "-f", file, "-E", filepath.Join(w.root, "sshd.log"))
	w.must(cmd.Start())
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if w.t.Failed() {
			text, _ := os.ReadFile(filepath.Join(w.root, "sshd.log"))
			w.t.Logf("sshd's log ends:\n%s", text[max(0, len(text)-3000):])
		}
	})
	w.until("sshd answering", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+w.port)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}
