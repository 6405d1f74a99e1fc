package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"spring.csv", "spring.layout.json", "spring.schedule.json", "winter.csv", "spring.CSV", "notes.txt"} {
		write(t, dir, name, "")
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo.csv"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("spring.csv", filepath.Join(dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	for files, want := range map[string]string{
		"spring.schedule.json spring.csv spring.layout.json": "",
		"link.csv":                      "",
		"spring.csv winter.csv":         "are the same part of a drop: name only the files of one drop",
		"spring.csv spring.CSV":         "are the same part of a drop: name only the files of one drop",
		"winter.csv spring.layout.json": `"winter" and "spring" are two drops`,
		"notes.txt":                     `"notes.txt" is not part of a drop`,
		".csv":                          `".csv" is not part of a drop`,
		"fifo.csv":                      "is not a regular file",
		"spring.csv absent.layout.json": `are two drops`,
		"absent.csv":                    "no such file",
	} {
		var paths []string
		for _, f := range strings.Fields(files) {
			paths = append(paths, filepath.Join(dir, f))
		}
		p, err := OpenFiles(paths, openFile)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", files, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", files, err, want)
		}
		if p != nil {
			p.Close()
		}
	}
}
