package safeio

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAdvice(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{syscall.ENOSPC: "make room", syscall.EROFS: "writable", syscall.EACCES: "daemon's user",
		syscall.EIO: "kernel's log", syscall.EDQUOT: "quota", syscall.ESTALE: "mount", syscall.EEXIST: ""} {
		if got := Advice(fmt.Errorf("write: %w", errno)); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%v: %q", errno, got)
		}
	}
	if got := Advice(errors.New("no errno")); got != "" {
		t.Errorf("%q", got)
	}
}

// TestSameTroubleSameWords: no error contains a temporary file's name, so that a lasting one is logged once.
func TestSameTroubleSameWords(t *testing.T) {
	for _, op := range []Op{OpCreate, OpWrite, OpSync, OpRename} {
		disk := Disk{Fault: func(o Op, _ string) error {
			if o == op {
				return syscall.ENOSPC
			}
			return nil
		}}
		path := filepath.Join(t.TempDir(), "file")
		err := disk.WriteFile(path, 0o600, func(w io.Writer) error { _, err := w.Write(make([]byte, 1<<17)); return err })
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: got the error %v, want %v", op, err, syscall.ENOSPC)
		}
		if strings.Contains(err.Error(), tempPrefix) {
			t.Errorf("%s: err = %q, want no %q in it", op, err.Error(), tempPrefix)
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: err = %q, want %q in it", op, err.Error(), path)
		}
	}
}
