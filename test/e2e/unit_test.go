package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit runs systemd's own checks on the unit: no remarks, and an exposure of 1.5 or better.
func TestUnit(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze isn't available: ", err)
	}
	text, err := os.ReadFile("../../systemd/campaignd.service")
	if err != nil {
		t.Fatal(err)
	}
	// ExecStart must exist; on this machine it is another binary.
	here := strings.ReplaceAll(string(text), "=/usr/bin/campaignd ", "=/bin/sh ")
	if strings.Count(here, "=/bin/sh ") != 2 {
		t.Fatal("the unit doesn't name /usr/bin/campaignd twice, for start and reload")
	}
	unit := filepath.Join(t.TempDir(), "campaignd.service")
	if err := os.WriteFile(unit, []byte(here), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify"}, {"security", "--offline=true", "--threshold=15", "--no-pager"}} {
		var out, errs bytes.Buffer
		cmd := exec.Command(tool, append(args, unit)...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil || errs.Len() > 0 {
			t.Errorf("%q: %v\n%s%s", args, err, errs.String(), out.String())
		}
	}
}

// TestUnitReasons requires a reason above every directive. Directives with one purpose may share it.
func TestUnitReasons(t *testing.T) {
	for _, path := range []string{"../../systemd/campaignd.service", "../../systemd/notify-reload.conf", "../../packaging/sshd-partners.conf"} {
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
