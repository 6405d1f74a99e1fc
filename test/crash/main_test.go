package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is campaignd built with failpoints, once for all tests.
var binary string

// full reports whether the long run was requested.
func full() bool { return os.Getenv("CAMPAIGND_CRASH") == "full" }

// long marks a test as part of the long run, whose tests run in parallel.
func long(t *testing.T) {
	t.Helper()
	if !full() {
		t.Skip("part of the long run: CAMPAIGND_CRASH=full, make test-crash")
	}
	t.Parallel()
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "campaignd-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some tests run it as another user
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "campaignd")
	build := exec.Command("go", "build", "-tags", "failpoints", "-o", binary, "campaignd/cmd/campaignd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build campaignd: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
