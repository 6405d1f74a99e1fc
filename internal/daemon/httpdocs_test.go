package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The examples of docs/http.md work as they are printed.
func TestDocsOfHTTPWork(t *testing.T) {
	text, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	code := func(language string) string {
		_, rest, found := strings.Cut(string(text), "```"+language+"\n")
		block, _, closed := strings.Cut(rest, "```")
		if !found || !closed {
			t.Fatalf("no block of %s", language)
		}
		return block
	}
	l := newLive(t, "", "")
	for _, one := range []struct{ language, file, want string }{
		{"sh", "client.sh", `"state":"`},
		{"python", "client.py", "completed 100.0%"},
		{"go", "client.go", "completed 100.0%"},
	} {
		command := map[string][]string{"sh": {"sh", one.file}, "python": {"python3", one.file}, "go": {"go", "run", one.file}}[one.language]
		tool := command[0]
		if tool == "sh" {
			tool = "curl"
		}
		if _, err := exec.LookPath(tool); err != nil {
			t.Logf("%s isn't installed: its example wasn't run", tool)
			continue
		}
		t.Run(one.language, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{one.file: code(one.language), "spring.layout.json": theLayout,
				"spring.csv": "code,name\n" + one.language + ",Ada\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "CAMPAIGND_URL="+l.base, "CAMPAIGND_TOKEN="+northToken, "GOFLAGS=-mod=mod")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), one.want) {
				t.Errorf("%v\n%s\nwant %q", err, out, one.want)
			}
		})
	}
}
