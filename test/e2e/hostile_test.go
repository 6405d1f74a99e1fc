//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaignd/internal/display"
	"campaignd/test/programs"
)

// hostileCounts says how much one partner puts into an inbox.
type hostileCounts struct {
	tiny, incomplete, controls, sparse, longRows, refusable int
}

// hostileConfig has a hostile partner's inbox and another's. stop_timeout is the default. Incomplete
// drops are given up while the test runs, and long rows are read instead of refused for their file's size.
const hostileConfig = `state_dir = %[1]q
campaigns_dir = %[2]q
rescan = "1s"
stop_timeout = "30s"
[[inboxes]]
path = %[3]q
settle = "100ms"
pair_timeout = "1m"
[[inboxes]]
path = %[4]q
settle = "100ms"
[[applications]]
id = 1
timezone = "UTC"
max_file_size = "8GiB"
[applications.channels.box]
driver = "outbox"
path = %[5]q
`

// TestHostile lets one partner fill an inbox with everything that costs the daemon work, half of it
// before the daemon starts and half while it runs. Another partner's drops are answered meanwhile, no
// file outside the inbox is touched, and SIGTERM is obeyed. The short form takes less than two minutes;
// CAMPAIGND_HOSTILE=full is the whole of it. CAMPAIGND_HOSTILE_OUT names a Markdown file whose table of
// figures is written again.
func TestHostile(t *testing.T) {
	n := hostileCounts{tiny: 10_000, incomplete: 2_000, controls: 1_000, sparse: 2, longRows: 100, refusable: 2_000}
	long := patience
	if os.Getenv("CAMPAIGND_HOSTILE") == "full" {
		n = hostileCounts{tiny: 200_000, incomplete: 50_000, controls: 22_000, sparse: 4, longRows: 10_000, refusable: 8_000}
		long = 20 * time.Minute
	}
	h := newHostile(t)
	h.fill(n, 0)
	h.start()
	began := time.Now()
	for _, pause := range []string{"0", "0.1", "0.15"} {
		h.race("race"+strings.TrimPrefix(pause, "0."), pause)
	}
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		h.fill(n, 1)
	}()
	slowest := h.answers(filled)
	within(t, long, "ended: the drops of long rows", func() bool {
		return h.count(h.hostile, "failed", "long") == 2 && h.count(h.hostile, "done", "wide") == 2
	})
	slowest = max(slowest, h.answer("calm after them"))
	worked := time.Since(began)
	if text, err := os.ReadFile(h.secret); err != nil || string(text) != "secret" {
		t.Errorf("the file that the racers' links lead to is %q, %v", text, err)
	}
	if leaked := h.leaked(); leaked != "" {
		t.Errorf("%s holds the content of a file outside the inbox", leaked)
	}
	before := h.refused()
	h.refusable(n.refusable) // behind the incomplete drops that have been given up
	within(t, patience, "refusing", func() bool { return h.refused() > before })
	peak := h.peak()
	began = time.Now()
	if err := h.process.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	const most = 35 * time.Second // stop_timeout plus one ordinary drop
	select {
	case <-h.process.Gone:
	case <-time.After(most):
		t.Errorf("SIGTERM wasn't obeyed within %s with %d drops to refuse", most, n.refusable)
	}
	h.figures(n, [][2]string{
		{"slowest answer to ten rows of another partner", slowest.Round(10 * time.Millisecond).String()},
		{"peak of the daemon's memory", fmt.Sprintf("%d MiB", peak>>20)},
		{"until the drops of long rows had ended", worked.Round(time.Second).String()},
		{fmt.Sprintf("from SIGTERM to the end, with %s drops to refuse and the incomplete ones to give up", display.Number(n.refusable)), time.Since(began).Round(10 * time.Millisecond).String()},
	})
}

// The table of figures is between these lines of a file.
const (
	hostileBegin = "<!-- hostile: written by make e2e-hostile -->\n"
	hostileEnd   = "<!-- end of hostile -->\n"
)

// figures logs the figures and writes them to the file that CAMPAIGND_HOSTILE_OUT names.
func (h *hostile) figures(n hostileCounts, rows [][2]string) {
	h.Helper()
	text := fmt.Sprintf("%s tiny files, %s incomplete drops, %s control files, %d sparse files of 2 GiB, %s rows of nearly 1 MiB, "+
		"and three processes of another user that swap files for links; on %d cores:\n\n| what | figure |\n| --- | --- |\n",
		display.Number(n.tiny), display.Number(n.incomplete), display.Number(n.controls), n.sparse, display.Number(n.longRows), runtime.NumCPU())
	for _, row := range rows {
		text += fmt.Sprintf("| %s | %s |\n", row[0], row[1])
	}
	h.Log("\n" + text)
	path := os.Getenv("CAMPAIGND_HOSTILE_OUT")
	if path == "" || h.Failed() {
		return
	}
	old, err := os.ReadFile(path)
	h.must(err)
	before, rest, found := strings.Cut(string(old), hostileBegin)
	_, after, ended := strings.Cut(rest, hostileEnd)
	if !found || !ended {
		h.Fatalf("%s lacks the lines %q and %q", path, hostileBegin, hostileEnd)
	}
	h.write(path, before+hostileBegin+text+hostileEnd+after)
}

// answers drops ten rows into the other partner's inbox, again and again until done is closed, and
// returns the slowest answer.
func (h *hostile) answers(done <-chan struct{}) (slowest time.Duration) {
	h.Helper()
	for i := 0; ; i++ {
		slowest = max(slowest, h.answer(fmt.Sprintf("calm%d", i)))
		select {
		case <-done:
			return slowest
		default:
		}
	}
}

// answer returns how long the answer to ten rows takes.
func (h *hostile) answer(name string) time.Duration {
	h.Helper()
	began := time.Now()
	h.drop(h.calm, name, 10)
	within(h.T, patience, "answered: the other partner's drop", func() bool { return h.in(h.calm, "done", name+".") })
	return time.Since(began)
}

// hostile is an installation with the inboxes of a hostile and of another partner.
type hostile struct {
	*testing.T
	root, bin, config, hostile, calm string
	secret                           string // what no partner may read
	process                          *programs.Process
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

// drop puts a drop of good rows, which no other drop has, into an inbox.
func (h *hostile) drop(inbox, name string, rows int) {
	h.Helper()
	var csv strings.Builder
	csv.WriteString("phone,name\n")
	for i := range rows {
		fmt.Fprintf(&csv, "%d,Ada %s\n", 34_600_000_000+i, name)
	}
	base := filepath.Join(inbox, name)
	h.write(base+".csv", csv.String())
	h.write(base+".layout.json", hostileLayout)
	h.write(base+".schedule.json", hostileSidecar)
}

// fill puts files that aren't drops, and drops that are costly, into the hostile inbox: the even ones
// (half is 0) or the odd ones.
func (h *hostile) fill(n hostileCounts, half int) {
	for i := half; i < n.tiny; i += 2 {
		h.write(filepath.Join(h.hostile, fmt.Sprintf("tiny%06d.dat", i)), "x")
	}
	for i := half; i < n.incomplete; i += 2 {
		h.write(filepath.Join(h.hostile, fmt.Sprintf("part%05d.layout.json", i)), hostileLayout)
	}
	for i := half; i < n.controls; i += 2 {
		h.write(filepath.Join(h.hostile, fmt.Sprintf("none%05d.cancel", i)), "")
	}
	for i := half; i < n.sparse; i += 2 {
		base := filepath.Join(h.hostile, fmt.Sprintf("sparse%d", i))
		h.write(base+".layout.json", hostileLayout)
		h.write(base+".schedule.json", hostileSidecar)
		h.write(base+".csv", "")
		h.must(os.Truncate(base+".csv", 2<<30))
	}
	first := 34_600_000_000 + half*n.longRows
	h.long(fmt.Sprint("long", half), first, n.longRows/4, "name") // every row is refused for its length, and copied into rejected.csv
	h.long(fmt.Sprint("wide", half), first, n.longRows/4, "unused")
}

// long puts a drop of rows of nearly 1 MiB, the most that a row may have, into the hostile inbox. The
// text is in the column; contacts count from first.
func (h *hostile) long(name string, first, rows int, column string) {
	base, text := filepath.Join(h.hostile, name), strings.Repeat("x", 1<<20-64)
	f, err := os.Create(base + ".csv")
	h.must(err)
	_, err = f.WriteString("phone,name," + column + "2\n")
	line := "%d,Ada,%s\n"
	if column == "name" {
		line = "%d,%s,\n"
	}
	for i := 0; i < rows && err == nil; i++ {
		_, err = fmt.Fprintf(f, line, first+i, text)
	}
	h.must(errors.Join(err, f.Close()))
	h.write(base+".layout.json", hostileLayout)
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

// race starts a process of another user that swaps the files of a drop for links and back, until the
// test ends. Between the swaps it pauses, so that the daemon sometimes takes the drop.
func (h *hostile) race(name, pause string) {
	h.Helper()
	cmd := exec.Command("sh", "-c", `while :; do
	rm -f $N.csv $N.layout.json $N.schedule.json
	printf 'phone,name\n34600000000,Ada\n' >$N.csv; printf '%s' "$LAYOUT" >$N.layout.json; printf '%s' "$SIDECAR" >$N.schedule.json
	ln -sf "$SECRET" $N.link; sleep $PAUSE; mv -f $N.link $N.csv; ln -f $N.layout.json $N.hard; mv -f $N.hard $N.schedule.json
	sleep $PAUSE
done 2>/dev/null`)
	cmd.Dir = h.hostile
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "N=" + name, "PAUSE=" + pause, "SECRET=" + h.secret, "LAYOUT=" + hostileLayout, "SIDECAR=" + hostileSidecar}
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	h.must(cmd.Start())
	h.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // killed
	})
}

func (h *hostile) start() {
	h.Helper()
	cmd := exec.Command(h.bin, "run", "--config", h.config)
	cmd.Dir = h.root
	h.process = programs.Start(h.T, cmd, filepath.Join(h.root, "log"))
	until(h.T, "ready", func() bool { return exec.Command(h.bin, "status", "--config", h.config).Run() == nil })
}

// refused counts the drops of the hostile inbox that were refused or given up.
func (h *hostile) refused() int {
	return h.count(h.hostile, "failed", "refused") + h.count(h.hostile, "failed", "part")
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
			if err != nil || !e.Type().IsRegular() || !strings.HasPrefix(filepath.Base(filepath.Dir(p)), "race") {
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
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.process.Cmd.Process.Pid))
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
