package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit runs systemd's own checks on the units: no remarks, and an exposure of 1.5 or better.
func TestUnit(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze isn't available: ", err)
	}
	// The times that a unit names the binary, for start and reload.
	for name, times := range map[string]int{"campaignd.service": 2, "campaignd-worker.service": 1} {
		text, err := os.ReadFile("../../systemd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		// ExecStart must exist; on this machine it is another binary.
		here := strings.ReplaceAll(string(text), "=/usr/bin/campaignd ", "=/bin/sh ")
		if got := strings.Count(here, "=/bin/sh "); got != times {
			t.Fatalf("%s names /usr/bin/campaignd %d times, want %d", name, got, times)
		}
		unit := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(unit, []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"verify"}, {"security", "--offline=true", "--threshold=15", "--no-pager"}} {
			var out, errs bytes.Buffer
			cmd := exec.Command(tool, append(args, unit)...)
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil || errs.Len() > 0 {
				t.Errorf("%s, %q: %v\n%s%s", name, args, err, errs.String(), out.String())
			}
		}
	}
}

// TestUnitReasons requires a reason above every directive. Directives with one purpose may share it.
func TestUnitReasons(t *testing.T) {
	for _, path := range []string{"../../systemd/campaignd.service", "../../systemd/campaignd-worker.service", "../../systemd/notify-reload.conf", "../../packaging/sshd-partners.conf"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bare := 0
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "#"):
				bare = 0
			case line != "" && !strings.HasPrefix(line, "["):
				bare++
			}
			if bare > 3 {
				t.Errorf("%s: %q has no reason before it", path, line)
			}
		}
	}
}
