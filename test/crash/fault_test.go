package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// injected is a fault at one step, for a number of passes.
type injected struct {
	point string // failpoint
	err   string
	text  string // error text
	most  int    // passes to try, one run each
}

// TestFaultAtEveryStep makes a step fail three times in a row, starting at its first pass, its second and
// so on. The daemon reports it, recovers by itself, loses nothing and sends nothing twice.
func TestFaultAtEveryStep(t *testing.T) {
	long(t)
	for _, f := range []injected{
		{"create", "ENOSPC", "no space left", 14},
		{"write", "ENOSPC", "no space left", 14},
		{"sync", "EIO", "input/output error", 22},
		{"rename", "EIO", "input/output error", 18},
		{"syncdir", "EROFS", "read-only file system", 30},
		{"remove", "EIO", "input/output error", 2},
		{"open", "EIO", "input/output error", 8},
		{"store-commit", "ENOSPC", "no space left", 30},
	} {
		for n := 2; n <= f.most; n++ {
			point := fmt.Sprintf("%s:%d-%d:%s", f.point, n, n+2, f.err)
			t.Run(point, func(t *testing.T) {
				t.Parallel()
				goOnAfter(t, f, point)
			})
		}
	}
}

func goOnAfter(t *testing.T, f injected, point string) {
	w := newWorld(t, settings{slot: 500, rate: 5000})
	w.start().ready().stop()
	w.start("CAMPAIGND_FAILPOINT=" + point)
	drops := []drop{w.drop("mixed", viaHold, 300, 3, ""), w.drop("slotted", sliced, 300, 0, "")}
	wrong := w.prepare("wrong", viaHook, 5, 0, "")
	wrong.files["wrong.csv"] = "phone,name\n1,2\n"
	w.place(wrong)
	if w.last.refuses() {
		// The daemon may refuse to start, with a message. Then the test removes the cause and starts it again.
		if !w.logged(f.text) {
			t.Errorf("the daemon exited without %q in its log\n%s", f.text, w.tail())
		}
		w.start()
	}
	w.ended(100*time.Second, append(drops, wrong)...) // the daemon retries a failed mkdir after a minute
	got := w.hook.delivered(t)
	for _, d := range drops {
		e := w.balance(d)
		if e.counts["sent"] != d.rows {
			t.Errorf("%s: %s", d.name, e.describe())
		}
		if twice := w.deliveries(e, got); twice > 0 {
			t.Errorf("%s: %d delivered twice", d.name, twice)
		}
	}
	if e := w.balance(wrong); e.state != "rejected" {
		t.Errorf("wrong: %s", e.describe())
	}
	w.until(5*time.Second, "tidy", func() bool { return !anyIn(filepath.Join(w.inbox, "accepted")) })
	w.tidy()
	if t.Failed() {
		t.Log(w.tail())
	}
	w.doctor()
	// The daemon retries a file that it can't open, and logs nothing the first time.
	if f.point != "open" && w.logged("failpoint "+f.point) && w.loggedTimes(f.text) == w.loggedTimes("failpoint ") {
		t.Errorf("no log line contains %q\n%s", f.text, w.tail())
	}
}

// TestStoresRefused checks that a file that is no store, or a damaged one, is refused with one line
// that says what to do, and stays unchanged.
func TestStoresRefused(t *testing.T) {
	w := newWorld(t, settings{})
	w.start().ready()
	w.ended(20*time.Second, w.drop("a", viaHook, 3000, 0, ""))
	w.last.stop()
	path := filepath.Join(w.state, "campaignd.db")
	whole, err := os.ReadFile(path)
	w.must(err)
	used := usedBytes(t, path)
	random := make([]byte, 64<<10)
	for i := range random {
		random[i] = byte(i * 7919 >> 3)
	}
	later := filepath.Join(t.TempDir(), "later.db")
	w.must(os.WriteFile(later, whole, 0o600))
	ofVersion(t, later, 99)
	newer, err := os.ReadFile(later)
	w.must(err)
	for name, c := range map[string]struct {
		content []byte
		says    []string
	}{
		"empty":         {nil, []string{"restore a backup"}},
		"random":        {random, []string{"restore a backup"}},
		"cut to half":   {whole[:used/2], []string{"restore a backup"}},
		"cut to pages":  {whole[:8192], []string{"restore a backup"}},
		"cut in a page": {whole[:5000], []string{"restore a backup"}},
		"later":         {newer, []string{"version", "99"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.must(os.WriteFile(path, c.content, 0o600))
			w.refuses(c.says...)
			if got, err := os.ReadFile(path); err != nil || string(got) != string(c.content) {
				t.Errorf("the file was changed: %d of %d bytes, %v", len(got), len(c.content), err)
			}
		})
	}
	w.t = t
	w.must(os.WriteFile(path, whole, 0o600))
	w.start().ready()
	t.Run("locked", func(t *testing.T) {
		w.t = t
		w.refuses("process id", fmt.Sprint(w.last.Cmd.Process.Pid), "stop that one first")
	})
}

// refuses starts the daemon and checks that it exits at once with status 1 and one line that contains all of texts.
func (w *world) refuses(texts ...string) {
	w.t.Helper()
	out, err := w.run("run")
	if err == nil {
		w.t.Fatal("the daemon runs, want a refusal")
	}
	text := strings.TrimSpace(strings.TrimPrefix(err.Error(), "run: "))
	if !strings.Contains(text, "exit status 1") {
		w.t.Errorf("it didn't exit with status 1: %s", text)
	}
	_, said, _ := strings.Cut(text, "exit status 1: ")
	if said == "" || strings.Contains(said, "\n") {
		w.t.Errorf("got %q, want one line", said)
	}
	if out != "" {
		w.t.Errorf("got output %q, want none", out)
	}
	for _, want := range texts {
		if !strings.Contains(said, want) {
			w.t.Errorf("%q doesn't contain %q", said, want)
		}
	}
	w.t.Log(said)
}
