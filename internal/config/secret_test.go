package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"campaignd/internal/config"
)

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(write("target", "linked\n"), link); err != nil {
		t.Fatal(err)
	}
	write("cred", "from-systemd")
	env := map[string]string{"CREDENTIALS_DIRECTORY": dir, "TOKEN": "from-env\n", "EMPTY": ""}
	getenv := func(name string) string { return env[name] }
	for _, one := range []struct{ name, ref, want, wrong string }{
		{"file", write("plain", "s3cret"), "s3cret", ""},
		{"one line end is trimmed", write("lf", "s3cret\n"), "s3cret", ""},
		{"CRLF", write("crlf", "s3cret\r\n"), "s3cret", ""},
		{"spaces and a second line end stay", write("two", " s3cret \n\n"), " s3cret \n", ""},
		{"link", link, "linked", ""},
		{"environment", "env:TOKEN", "from-env", ""},
		{"credential", "credential:cred", "from-systemd", ""},
		{"missing file", filepath.Join(dir, "none"), "", "none"},
		{"empty file", write("empty", "\n"), "", "empty"},
		{"empty variable", "env:EMPTY", "", `"EMPTY"`},
		{"missing credential", "credential:none", "", "none"},
		{"too large", write("large", strings.Repeat("s3cret", 64<<10)), "", "large"},
		{"FIFO", fifo, "", "regular"},
		{"folder", dir, "", "regular"},
	} {
		t.Run(one.name, func(t *testing.T) {
			got, err := config.ReadSecret(one.ref, getenv)
			if got != one.want || (err != nil) != (one.wrong != "") {
				t.Fatalf("got %q, %v", got, err)
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), one.wrong) {
				t.Errorf("got error %q, want %q in it", err, one.wrong)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got error %q, want no content in it", err)
			}
		})
	}
	if _, err := config.ReadSecret("credential:cred", func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "LoadCredential") {
		t.Errorf("without systemd: %v", err)
	}
}
