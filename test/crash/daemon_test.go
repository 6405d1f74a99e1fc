package crash

import (
	"bytes"
	"campaignd/test/programs"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is one run of the daemon.
type process struct {
	*programs.Process
	w *world
}

// start starts the daemon with extra variables in its environment, such as CAMPAIGND_FAILPOINT=accepted:1.
func (w *world) start(env ...string) *process { return w.startUnder(nil, env...) }

// startUnder starts the daemon as the last argument of another command, such as strace.
func (w *world) startUnder(under []string, env ...string) *process {
	w.t.Helper()
	w.runs++
	out, err := os.OpenFile(w.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	w.must(err)
	defer out.Close()
	fmt.Fprintf(out, "=== run %d %s\n", w.runs, strings.Join(env, " "))
	argv := append(append([]string{}, under...), binary, "run", "--config", w.config)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = w.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: w.as}
	p := &process{programs.Start(w.t, cmd, w.log), w}
	w.last = p
	return p
}

// kill kills the daemon with its children and waits for its exit.
func (p *process) kill() { p.Kill() }

// stop shuts the daemon down gracefully.
func (p *process) stop() {
	p.w.t.Helper()
	p.Signal(syscall.SIGTERM)
	if !p.Ended(patience(20 * time.Second)) {
		p.w.t.Fatalf("the daemon didn't exit within 20 s\n%s", p.w.tail())
	}
}

// killed waits until a failpoint has killed the daemon.
func (p *process) killed(limit time.Duration) {
	p.w.t.Helper()
	if !p.Ended(patience(limit)) {
		p.w.t.Fatalf("the daemon didn't reach its failpoint within %s\n%s", limit, p.w.tail())
	}
	if ws, ok := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		p.w.t.Fatalf("the daemon exited by itself: %s\n%s", p.Cmd.ProcessState, p.w.tail())
	}
}

// ready waits until the daemon answers on its socket.
func (p *process) ready() *process {
	p.w.t.Helper()
	p.w.until(20*time.Second, "answering", func() bool {
		select {
		case <-p.Gone:
			p.w.t.Fatalf("the daemon exited at start: %s\n%s", p.Cmd.ProcessState, p.w.tail())
		default:
		}
		_, err := p.w.run("status", "--json")
		return err == nil
	})
	return p
}

// refuses reports whether the daemon exits at start or shortly after.
func (p *process) refuses() bool {
	p.w.t.Helper()
	ended := false
	p.w.until(20*time.Second, "answering or ended", func() bool {
		select {
		case <-p.Gone:
			ended = true
			return true
		default:
		}
		c, err := net.Dial("unix", filepath.Join(p.w.state, "campaignd.sock"))
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return ended || p.Ended(300*time.Millisecond)
}

// run runs another command of campaignd and returns its output.
func (w *world) run(args ...string) (string, error) {
	return programs.Run(patience(15*time.Second), w.dir, binary, w.config, args...)
}

// doctor makes the running daemon verify its whole store.
func (w *world) doctor() {
	w.t.Helper()
	out, err := w.run("doctor", "--deep", "--json")
	var findings []struct{ Check, Level, Message string }
	if jsonErr := json.Unmarshal([]byte(out), &findings); jsonErr != nil {
		w.t.Fatalf("doctor: %v\n%s", errors.Join(err, jsonErr), out)
	}
	for _, f := range findings {
		if f.Level == "failure" {
			w.t.Errorf("doctor: %s: %s", f.Check, f.Message)
		}
	}
}

// logged reports whether a line of the last run's log contains all of texts.
func (w *world) logged(texts ...string) bool {
	return w.loggedTimes(texts...) > 0
}

func (w *world) loggedTimes(texts ...string) int {
	data, _ := os.ReadFile(w.log)
	if i := bytes.LastIndex(data, []byte("=== run")); i >= 0 {
		data = data[i:]
	}
	n := 0
lines:
	for line := range strings.Lines(string(data)) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		n++
	}
	return n
}

// tail returns the end of the log, for failure messages.
func (w *world) tail() string {
	data, _ := os.ReadFile(w.log)
	if len(data) > 6000 {
		data = data[len(data)-6000:]
	}
	return string(data)
}
