package safeio

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var errFault = errors.New("injected")

// failing is a disk on which the nth step op fails with err.
func failing(op Op, nth int, err error) Disk {
	n := 0
	return Disk{Fault: func(o Op, _ string) error {
		if o == op {
			if n++; n == nth {
				return err
			}
		}
		return nil
	}}
}

// acrossMounts is a disk on which the first rename finds another mount, and then the nth
// step op fails (never for n = 0).
func acrossMounts(op Op, nth int) Disk {
	later := failing(op, nth, errFault)
	first := true
	return Disk{Fault: func(o Op, path string) error {
		if o == OpRename && first {
			first = false
			return unix.EXDEV
		}
		return later.Fault(o, path)
	}}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
}

// look lists all files below dir with their contents, folders with a trailing slash.
func look(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if e.IsDir() {
			all[name+"/"] = ""
			return nil
		}
		data, err := os.ReadFile(path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func writing(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// trace records the steps of a disk.
func trace(steps *[]string) Disk {
	return Disk{Fault: func(op Op, path string) error {
		if op != OpRead && op != OpOpen {
			name := filepath.Base(path)
			if IsTemp(name) {
				name = "temp"
			}
			*steps = append(*steps, string(op)+" "+name)
		}
		return nil
	}}
}

func wantSteps(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("steps are\n%q, want\n%q", got, want)
	}
}
