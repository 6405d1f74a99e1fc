//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hostileCounts says how much one partner puts into an inbox.
type hostileCounts struct {
	tiny, incomplete, controls, sparse, longRows, refusable int
}

// hostileConfig has a hostile partner's inbox and another's. stop_timeout is the default.
const hostileConfig = `state_dir = %[1]q
campaigns_dir = %[2]q
rescan = "1s"
stop_timeout = "30s"
[[inboxes]]
path = %[3]q
settle = "100ms"
[[inboxes]]
path = %[4]q
settle = "100ms"
[[applications]]
id = 1
timezone = "UTC"
[applications.channels.box]
driver = "outbox"
path = %[5]q
`

// TestHostile lets one partner fill an inbox with everything that costs the daemon work. Another
// partner's drop is answered meanwhile, no file outside the inbox is touched, and SIGTERM is obeyed.
// The short form takes less than two minutes; CAMPAIGND_HOSTILE=full is the whole of it.
func TestHostile(t *testing.T) {
	n := hostileCounts{tiny: 10_000, incomplete: 2_000, controls: 1_000, sparse: 2, longRows: 50, refusable: 2_000}
	if os.Getenv("CAMPAIGND_HOSTILE") == "full" {
		n = hostileCounts{tiny: 200_000, incomplete: 50_000, controls: 22_000, sparse: 4, longRows: 10_000, refusable: 8_000}
	}
	h := newHostile(t)
	h.fill(n)
	h.start()
	race := h.race()
	began := time.Now()
	h.drop(h.calm, "calm", 10)
	until(t, "answered: the other partner's drop", func() bool { return h.in(h.calm, "done", "calm") })
	answered := time.Since(began)
	_ = syscall.Kill(-race.Process.Pid, syscall.SIGKILL)
	_ = race.Wait() // killed
	if text, err := os.ReadFile(h.secret); err != nil || string(text) != "secret" {
		t.Errorf("the file that the racer's links lead to is %q, %v", text, err)
	}
	if leaked := h.leaked(); leaked != "" {
		t.Errorf("%s holds the content of a file outside the inbox", leaked)
	}
	h.refusable(n.refusable)
	until(t, "refusing", func() bool { return h.count(h.hostile, "failed", "refused") > 0 })
	peak := h.peak()
	began = time.Now()
	if err := h.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	const most = 35 * time.Second // stop_timeout plus one ordinary drop
	select {
	case <-h.gone:
	case <-time.After(most):
		t.Errorf("SIGTERM wasn't obeyed within %s with %d drops to refuse", most, n.refusable)
	}
	t.Logf("%+v: ten rows of another partner answered in %s, peak of memory %d MiB, stopped in %s", n,
		answered.Round(10*time.Millisecond), peak>>20, time.Since(began).Round(10*time.Millisecond))
}

// hostile is an installation with the inboxes of a hostile and of another partner.
type hostile struct {
	*testing.T
	root, bin, config, hostile, calm string
	secret                           string // what no partner may read
	process                          *exec.Cmd
	gone                             chan struct{}
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the racer is another user than the daemon: needs root")
	}
	root, err := os.MkdirTemp("/srv", "campaignd-hostile-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	h := &hostile{T: t, root: root, bin: filepath.Join(root, "campaignd"), config: filepath.Join(root, "campaignd.toml"),
		hostile: filepath.Join(root, "hostile"), calm: filepath.Join(root, "calm"), secret: filepath.Join(root, "secret")}
	if out, err := exec.Command("go", "build", "-o", h.bin, "campaignd/cmd/campaignd").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	campaigns := filepath.Join(root, "campaigns")
	h.must(os.Chmod(root, 0o755))
	for _, dir := range []string{campaigns, h.hostile, h.calm} {
		h.must(os.Mkdir(dir, 0o755))
	}
	h.must(os.Chmod(h.hostile, 0o777|os.ModeSticky))
	h.must(os.WriteFile(h.secret, []byte("secret"), 0o600))
	h.write(h.config, fmt.Sprintf(hostileConfig, filepath.Join(root, "state"), campaigns, h.hostile, h.calm, filepath.Join(root, "outbox.jsonl")))
	h.write(filepath.Join(campaigns, "1.json"), `{"id": 1, "applicationId": 1, "title": "t", "enabled": true, "channelTypes": ["box"], "messageContent": [{"body": "Hello {{name}}"}]}`)
	return h
}

func (h *hostile) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *hostile) write(path, text string) {
	h.Helper()
	h.must(os.WriteFile(path, []byte(text), 0o644))
}

const (
	hostileLayout  = `{"contact": {"contactCode": "{{phone}}", "channelType": "box"}, "customFields": {"name": "{{name}}"}}`
	hostileSidecar = `{"applicationId": 1, "campaignId": 1}`
)

// drop puts a drop of good rows into an inbox.
func (h *hostile) drop(inbox, name string, rows int) {
	h.Helper()
	var csv strings.Builder
	csv.WriteString("phone,name\n")
	for i := range rows {
		fmt.Fprintf(&csv, "%d,Ada\n", 34_600_000_000+i)
	}
	base := filepath.Join(inbox, name)
	h.write(base+".csv", csv.String())
	h.write(base+".layout.json", hostileLayout)
	h.write(base+".schedule.json", hostileSidecar)
}

// fill puts files that aren't drops, and drops that are costly, into the hostile inbox.
func (h *hostile) fill(n hostileCounts) {
	h.Helper()
	for i := range n.tiny {
		h.write(filepath.Join(h.hostile, fmt.Sprintf("tiny%06d.dat", i)), "x")
	}
	for i := range n.incomplete {
		h.write(filepath.Join(h.hostile, fmt.Sprintf("part%05d.layout.json", i)), hostileLayout)
	}
	for i := range n.controls {
		h.write(filepath.Join(h.hostile, fmt.Sprintf("none%05d.cancel", i)), "")
	}
	for i := range n.sparse {
		base := filepath.Join(h.hostile, fmt.Sprintf("sparse%d", i))
		h.write(base+".layout.json", hostileLayout)
		h.write(base+".schedule.json", hostileSidecar)
		h.write(base+".csv", "")
		h.must(os.Truncate(base+".csv", 2<<30))
	}
	base, long := filepath.Join(h.hostile, "long"), strings.Repeat("x", 1<<20)
	h.write(base+".layout.json", hostileLayout)
	f, err := os.Create(base + ".csv")
	h.must(err)
	_, err = f.WriteString("phone,name\n")
	for i := 0; i < n.longRows && err == nil; i++ {
		_, err = f.WriteString(strconv.Itoa(34_600_000_000+i) + "," + long + "\n")
	}
	h.must(errors.Join(err, f.Close()))
	h.write(base+".schedule.json", hostileSidecar)
}

// refusable puts drops into the hostile inbox that are refused for their sidecar.
func (h *hostile) refusable(n int) {
	h.Helper()
	for i := range n {
		base := filepath.Join(h.hostile, fmt.Sprintf("refused%05d", i))
		h.write(base+".csv", "phone,name\n34600000000,Ada\n")
		h.write(base+".layout.json", hostileLayout)
		h.write(base+".schedule.json", `{"applicationId": 9}`)
	}
}

// race starts a process of another user that swaps the files of a drop for links and back.
func (h *hostile) race() *exec.Cmd {
	h.Helper()
	cmd := exec.Command("sh", "-c", `while :; do
	rm -f race.csv race.layout.json race.schedule.json
	printf 'phone,name\n34600000000,Ada\n' >race.csv; printf '%s' "$LAYOUT" >race.layout.json; printf '%s' "$SIDECAR" >race.schedule.json
	ln -sf "$SECRET" race.link; sleep 0.1; mv -f race.link race.csv; ln -f race.layout.json race.hard; mv -f race.hard race.schedule.json
done 2>/dev/null`)
	cmd.Dir = h.hostile
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SECRET=" + h.secret, "LAYOUT=" + hostileLayout, "SIDECAR=" + hostileSidecar}
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	h.must(cmd.Start())
	h.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return cmd
}

func (h *hostile) start() {
	h.Helper()
	log, err := os.Create(filepath.Join(h.root, "log"))
	h.must(err)
	defer log.Close()
	h.process = exec.Command(h.bin, "run", "--config", h.config)
	h.process.Dir, h.process.Stdout, h.process.Stderr = h.root, log, log
	h.must(h.process.Start())
	h.gone = make(chan struct{})
	go func() {
		_ = h.process.Wait() // the test looks at gone
		close(h.gone)
	}()
	h.Cleanup(func() {
		_ = h.process.Process.Kill()
		<-h.gone
	})
	until(h.T, "ready", func() bool { return exec.Command(h.bin, "status", "--config", h.config).Run() == nil })
}

// in reports whether a folder of an inbox has the folder of a drop.
func (h *hostile) in(inbox, place, name string) bool { return h.count(inbox, place, name) > 0 }

func (h *hostile) count(inbox, place, prefix string) (n int) {
	entries, _ := os.ReadDir(filepath.Join(inbox, place)) // not made yet
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			n++
		}
	}
	return n
}

// leaked returns a regular file in the hostile inbox's folders that holds the secret, or "".
func (h *hostile) leaked() (path string) {
	for _, place := range []string{"accepted", "done", "failed"} {
		_ = filepath.WalkDir(filepath.Join(h.hostile, place), func(p string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || !strings.HasPrefix(filepath.Base(filepath.Dir(p)), "race.") {
				return nil // a folder moves meanwhile
			}
			if text, err := os.ReadFile(p); err == nil && strings.Contains(string(text), "secret") {
				path = p
			}
			return nil
		})
	}
	return path
}

// peak returns the most memory that the daemon has had, in bytes.
func (h *hostile) peak() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.process.Process.Pid))
	h.must(err)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			h.must(err)
			return n << 10
		}
	}
	return 0
}
