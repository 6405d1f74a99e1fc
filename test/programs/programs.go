// Package programs runs campaignd, and what it needs, as real processes for the tests of a whole
// installation (test/crash, test/cluster, test/e2e), and waits for facts about them.
package programs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is a running program.
type Process struct {
	Cmd  *exec.Cmd
	Gone chan struct{} // closed after its exit; then Cmd.ProcessState is set
}

// Start starts cmd with its output at the end of the log file. The end of the test kills it.
func Start(t testing.TB, cmd *exec.Cmd, log string) *Process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // the process has its own descriptor
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{Cmd: cmd, Gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // tests that need the exit status read it themselves
		close(p.Gone)
	}()
	t.Cleanup(p.Kill)
	return p
}

// ShortDir makes a folder until the end of the test. Its path is short, because sockets are in folders below it.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Signal sends a signal. A process that has ended needs none.
func (p *Process) Signal(s syscall.Signal) { _ = p.Cmd.Process.Signal(s) }

// Kill kills the process, with its children if it leads a process group, and waits for its exit.
func (p *Process) Kill() {
	if attr := p.Cmd.SysProcAttr; attr != nil && attr.Setpgid {
		_ = syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGKILL)
	}
	p.Signal(syscall.SIGKILL)
	<-p.Gone
}

// Ended reports whether the process has ended, or does so within limit.
func (p *Process) Ended(limit time.Duration) bool {
	select {
	case <-p.Gone:
		return true
	case <-time.After(limit):
		return false
	}
}

// Until polls a fact about real processes, and reports whether it came true within limit.
func Until(limit time.Duration, fact func() bool) bool {
	deadline := time.After(limit)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !fact() {
		select {
		case <-again.C:
		case <-deadline:
			return fact()
		}
	}
	return true
}

// Run runs a command of the campaignd binary in dir, and returns what it printed.
func Run(limit time.Duration, dir, binary, config string, args ...string) (string, error) {
	var out, errw bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "--config", config)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &errw, dir
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s%s", strings.Join(args, " "), err, out.String(), errw.String())
	}
	return out.String(), nil
}
