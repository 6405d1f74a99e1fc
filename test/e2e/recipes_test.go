//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recipes runs the commands of the partners' page exactly as they are printed there. They go one after the other,
// because all of them use the name spring. A wrapper around ssh makes the page's address mean the test's account.
func recipes(t *testing.T, p *partner) {
	text, err := os.ReadFile("../../inbox/README.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for i, tool := range []string{"sftp", "lftp"} {
		t.Run(tool, func(t *testing.T) {
			which(t, tool)
			d := newDrop(t, p, "spring", 10+i, "")
			bin, before := p.addressOf(t, "partner", "files.example.org"), p.ended("spring")
			d.recipe(bin, block(t, page, tool, "put spring.csv"))
			folder := ""
			until(t, "in done/ or failed/ for the recipe of "+tool, func() bool {
				for _, one := range p.ended("spring") {
					if !slices.Contains(before, one) {
						folder = one
					}
				}
				return folder != ""
			})
			var r report
			text, err := os.ReadFile(filepath.Join(folder, "report.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			if r.State != "completed" || r.Messages["sent"] != d.rows {
				t.Errorf("%s: state %s, sent %d; want completed, %d", folder, r.State, r.Messages["sent"], d.rows)
			}
			d.recipe(bin, block(t, page, "sftp", "get "))
			if text, err := os.ReadFile(filepath.Join(d.dir, "report.txt")); err != nil || !strings.Contains(string(text), "completed") {
				t.Errorf("the answer that was fetched is %q, %v", text, err)
			}
		})
	}
}

// ended returns the folders of the drops of a name that are over.
func (p *partner) ended(name string) []string {
	done, _ := filepath.Glob(filepath.Join(p.inbox, "done", name+".2*-*"))
	failed, _ := filepath.Glob(filepath.Join(p.inbox, "failed", name+".2*-*"))
	return append(done, failed...)
}

// block returns the code block of the page that begins with a command and has the text in it.
func block(t *testing.T, page, command, has string) string {
	t.Helper()
	parts := strings.Split(page, "```")
	for i := 1; i < len(parts); i += 2 {
		if code := strings.TrimLeft(parts[i], "\n"); strings.HasPrefix(code, command+" ") && strings.Contains(code, has) {
			return code
		}
	}
	t.Fatalf("inbox/README.md has no code block that begins with %q and has %q", command, has)
	return ""
}

// recipe runs a code block of the page in the folder of the drop's files.
func (d *drop) recipe(bin, code string) {
	d.t.Helper()
	cmd := run("sh", "-e", "-c", code)
	cmd.Dir, cmd.Env = d.dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	do(d.t, cmd)
}

// which returns the path of a program, or skips the test.
func which(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s isn't available: %v", name, err)
	}
	return path
}

// addressOf returns a folder with sftp and ssh for which user@host is the partner's account.
func (p *partner) addressOf(t *testing.T, user, host string) string {
	t.Helper()
	dir := t.TempDir()
	ssh := fmt.Sprintf(`#!/bin/sh
n=$#
while [ $n -gt 0 ]; do
	one=$1; shift; n=$((n - 1))
	case "$one" in
	%[1]s) one=%[3]s ;;
	%[2]s) one=127.0.0.1 ;;
	esac
	set -- "$@" "$one"
done
exec %[6]s %[4]s -p %[5]s "$@"
`, user, host, p.name, strings.Join(p.sshOptions(), " "), p.w.port, which(t, "ssh"))
	for name, script := range map[string]string{
		"ssh":  ssh,
		"sftp": fmt.Sprintf("#!/bin/sh\nexec %s -S %s/ssh \"$@\"\n", which(t, "sftp"), dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
