//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSystemd installs the .deb in a container with a real systemd, as an administrator would.
// testdata/script.sh has the steps and their expected results.
func TestSystemd(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("systemd end to end: a container needs root")
	}
	for _, tool := range []string{"systemd-nspawn", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("systemd end to end: %s isn't available", tool)
		}
	}
	tar := os.Getenv("CAMPAIGND_ROOTFS")
	if _, err := os.Stat(tar); err != nil {
		t.Skip("systemd end to end: no root file system for the container: run.sh says why")
	}
	dir := t.TempDir()
	share := filepath.Join(dir, "share")
	if err := os.Mkdir(share, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, debs := range [][2]string{{os.Getenv("CAMPAIGND_DEBS"), "*.deb"}, {"testdata", "script.sh"}} {
		found, err := filepath.Glob(filepath.Join(debs[0], debs[1]))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no file matches %s: %v", debs[0], debs[1], err)
		}
		for _, file := range found {
			copyFile(t, file, filepath.Join(share, filepath.Base(file)))
		}
	}
	copyFile(t, "testdata/unit", filepath.Join(dir, "unit"))
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	// With --kill-child no process of the container outlives an aborted test.
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private",
		"sh", "testdata/nspawn.sh", tar, dir)
	console, err := cmd.CombinedOutput()
	log, _ := os.ReadFile(filepath.Join(share, "log"))
	result, _ := os.ReadFile(filepath.Join(share, "result"))
	ended := false
	for line := range strings.Lines(string(result)) {
		verdict, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		ended = ended || verdict == "end"
		if name != "" {
			t.Run(name, func(t *testing.T) {
				if verdict != "ok" {
					t.Error("see the log below")
				}
			})
		}
	}
	if !ended {
		t.Errorf("the script didn't finish: %v\n%s", err, console)
	}
	if t.Failed() {
		t.Logf("the script's log:\n%s", log)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o755); err != nil {
		t.Fatal(err)
	}
}
