//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled reports whether this build can fail on request.
const Enabled = true

// plan is parsed at the first pass. It is a package variable, in test builds only, since
// the marked steps are in packages with nothing to pass it around in.
var plan = sync.OnceValue(func() map[Name][]*fault {
	m, err := parse(os.Getenv("CAMPAIGND_FAILPOINT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return m
})

// At marks a step that is done.
func At(name Name) { _ = Err(name) }

// Err marks a step that is about to be done and can fail; it returns the error of that failure.
func Err(name Name) error {
	for _, f := range plan()[name] {
		if n := f.passes.Add(1); n >= f.from && n <= f.to {
			return f.fire(name)
		}
	}
	return nil
}

// Setting returns a switch for tests: the environment's CAMPAIGND_TEST_<name>.
func Setting(name string) string { return os.Getenv("CAMPAIGND_TEST_" + name) }

type fault struct {
	from, to int64
	how      string // "": kill
	err      error
	passes   atomic.Int64
}

func (f *fault) fire(name Name) error {
	switch f.how {
	case "":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // nothing runs after it
		select {}
	case "wait":
		gate := os.Getenv("CAMPAIGND_FAILPOINT_GATE")
		if err := os.WriteFile(gate+".reached", nil, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		for {
			if _, err := os.Stat(gate); err == nil {
				return nil
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	fmt.Fprintf(os.Stderr, "failpoint %s: %v\n", name, f.err) // a test compares the log with it
	return f.err
}

func parse(text string) (map[Name][]*fault, error) {
	m := map[Name][]*fault{}
	for one := range strings.SplitSeq(text, ",") {
		if one == "" {
			continue
		}
		parts := strings.Split(one, ":")
		if len(parts) < 2 || len(parts) > 3 {
			return nil, fmt.Errorf("read CAMPAIGND_FAILPOINT: %q is not name:n or name:n:error", one)
		}
		f := &fault{}
		var err error
		if f.from, f.to, err = span(parts[1]); err != nil {
			return nil, fmt.Errorf("read CAMPAIGND_FAILPOINT: %q: %w", one, err)
		}
		if len(parts) == 3 {
			f.how = parts[2]
			known := map[string]error{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EROFS": syscall.EROFS, "EACCES": syscall.EACCES, "wait": nil}
			if f.err, err = known[f.how], nil; f.err == nil && f.how != "wait" {
				return nil, fmt.Errorf("read CAMPAIGND_FAILPOINT: %q: unknown error", one)
			}
		}
		m[Name(parts[0])] = append(m[Name(parts[0])], f)
	}
	return m, nil
}

func span(text string) (from, to int64, err error) {
	first, last, isRange := strings.Cut(text, "-")
	if rest, open := strings.CutSuffix(text, "+"); open {
		first, last, isRange = rest, "9223372036854775807", true
	}
	if from, err = strconv.ParseInt(first, 10, 64); err != nil {
		return 0, 0, err
	}
	to = from
	if isRange {
		to, err = strconv.ParseInt(last, 10, 64)
	}
	return from, to, err
}
