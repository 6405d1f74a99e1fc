package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Without [nats] one process does everything: it has no socket for it, and no goroutine.
func TestWithoutNATSThereIsNoSocketAndNoGoroutineOfIt(t *testing.T) {
	w := newWorld(t, 0)
	text, err := os.ReadFile(w.config)
	w.must(err)
	for _, cut := range []string{`(?m)^\[nats\]\nservers = .*\nreplicas = 1\n`, `(?m)^send_from = .*\n`, `(?m)^answer_wait = .*\n`, `(?m)^url = .*\n`} {
		text = regexp.MustCompile(cut).ReplaceAll(text, nil)
	}
	w.write(w.config, string(text))
	w.edit(`driver = "webhook"`, fmt.Sprintf("driver = \"outbox\"\npath = %q", filepath.Join(w.dir, "outbox.jsonl")))
	hub := w.hub()
	w.drop("spring", viaRetry, 50)
	w.allSent("spring", 50)
	if list := sockets(t, hub.Cmd.Process.Pid); len(list) > 0 {
		t.Errorf("the daemon has sockets of TCP or UDP: %q", list)
	}
	hub.signal(syscall.SIGQUIT) // the runtime prints every goroutine
	select {
	case <-hub.Gone:
	case <-time.After(20 * time.Second):
		t.Fatal("the daemon doesn't end")
	}
	log, err := os.ReadFile(filepath.Join(w.dir, "hub.log"))
	w.must(err)
	if n := strings.Count(string(log), "\ngoroutine "); n < 10 {
		t.Errorf("the log has %d goroutines, want all of them", n)
	}
	for _, name := range []string{"nats", "internal/relay"} {
		if strings.Contains(string(log), name) {
			t.Errorf("%q is in the stack of a goroutine", name)
		}
	}
}

// sockets lists the network sockets of a process.
func sockets(t *testing.T, pid int) (list []string) {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("the files of process %d: %v, %v", pid, fds, err)
	}
	open := map[string]bool{}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if inode, ok := strings.CutPrefix(target, "socket:["); ok && err == nil {
			open[strings.TrimSuffix(inode, "]")] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if os.IsNotExist(err) {
			continue // the kernel has none
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && open[f[9]] {
				list = append(list, table+" "+f[1])
			}
		}
	}
	return list
}
