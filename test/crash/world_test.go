package crash

import (
	"campaignd/test/programs"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// world is one installation: a folder with configuration, campaigns, state and inbox, and a receiver.
type world struct {
	t      *testing.T
	dir    string // root of the installation
	inbox  string
	state  string
	config string
	web    string // address of HTTP, after listen
	log    string // outside, so that it survives a power cut
	hook   *receiver
	runs   int
	last   *process
	as     *syscall.Credential // user of the daemon; nil: the test's user

	// retries says that messages are retried. One that is in progress when its slot has passed moves
	// with its neighbors, without a reservation.
	retries bool
}

// settings are the options of a test.
type settings struct {
	rate        int // of the channels hook and hold, messages a second; 0: unlimited
	concurrency int // 0: 32
	slot        int // capacity of application 2's slots of 1 s; 0: 1,000,000
	dir         string
	outbox      string // 0: state/outbox.jsonl
	badRows     string // max_bad_rows; "": 90%
	retention   string // "": 90d
}

// Campaigns, named after their channel or purpose.
const (
	viaHook   = 7  // webhook, on_unknown = "retry"
	viaHold   = 8  // webhook, on_unknown = "hold"
	viaOutbox = 9  // outbox, two messages per recipient
	sliced    = 20 // application 2, slots of one second
)

const configText = `state_dir = %[1]q
campaigns_dir = %[2]q
rescan = "1s"
retry_hold = "1s"
retention = %[10]q
stop_timeout = "5s"
[log]
level = "debug"
format = "json"
[[inboxes]]
path = %[3]q
application = 1
settle = "20ms"
sidecar_wait = "10s"
unterminated_wait = "20ms"
[[applications]]
id = 1
timezone = "UTC"
max_bad_rows = %[8]q
[applications.channels.hook]
driver = "webhook"
url = %[4]q
rate = %[5]d
concurrency = %[6]d
retry_base = "20ms"
[applications.channels.hold]
driver = "webhook"
url = %[4]q
rate = %[5]d
concurrency = %[6]d
retry_base = "20ms"
on_unknown = "hold"
[applications.channels.box]
driver = "outbox"
path = %[7]q
retry_base = "20ms"
[[applications]]
id = 2
timezone = "UTC"
slicing = {enabled = true, activation_recipients = 1, slot = "1s", capacity = %[9]d, pacing = "burst"}
[applications.channels.hook]
driver = "webhook"
url = %[4]q
rate = %[5]d
concurrency = %[6]d
retry_base = "20ms"
`

func newWorld(t *testing.T, s settings) *world {
	t.Helper()
	w := &world{t: t, dir: s.dir, hook: newReceiver(t)}
	if w.dir == "" {
		w.dir = t.TempDir()
	}
	w.inbox, w.state = filepath.Join(w.dir, "inbox"), filepath.Join(w.dir, "state")
	campaigns := filepath.Join(w.dir, "campaigns")
	w.config, w.log = filepath.Join(w.dir, "campaignd.toml"), filepath.Join(w.dir, "campaignd.log")
	for _, dir := range []string{w.inbox, w.state, campaigns} {
		w.must(os.MkdirAll(dir, 0o755))
	}
	if s.concurrency == 0 {
		s.concurrency = 32
	}
	if s.slot == 0 {
		s.slot = 1_000_000
	}
	if s.outbox == "" {
		s.outbox = filepath.Join(w.state, "outbox.jsonl")
	}
	if s.badRows == "" {
		s.badRows = "90%"
	}
	if s.retention == "" {
		s.retention = "90d"
	}
	w.write(w.config, fmt.Sprintf(configText, w.state, campaigns, w.inbox, w.hook.URL+"/in", s.rate, s.concurrency, s.outbox, s.badRows, s.slot, s.retention))
	for id, one := range map[int][3]string{
		viaHook:   {"1", "hook", `{"body":"Hello {{name}}"}`},
		viaHold:   {"1", "hold", `{"body":"Hello {{name}}"}`},
		viaOutbox: {"1", "box", `{"body":"Hello {{name}}"},{"body":"Good bye"}`},
		sliced:    {"2", "hook", `{"body":"Hello {{name}}"}`},
	} {
		w.write(filepath.Join(campaigns, fmt.Sprint(id, ".json")), fmt.Sprintf(
			`{"id":%d,"applicationId":%s,"title":"t","enabled":true,"channelTypes":[%q],"messageContent":[%s]}`, id, one[0], one[1], one[2]))
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(path, content string) {
	w.t.Helper()
	w.must(os.WriteFile(path, []byte(content), 0o644))
}

// drop remembers the content of a drop for comparison.
type drop struct {
	name  string
	files map[string]string
	rows  int // good rows
	bad   int // rejected rows
	per   int // messages per recipient
}

// drop puts a campaign with rows good and bad rows into the inbox, with the sidecar last.
func (w *world) drop(name string, campaignID, rows, bad int, more string) drop {
	w.t.Helper()
	d := w.prepare(name, campaignID, rows, bad, more)
	w.place(d)
	return d
}

func (w *world) prepare(name string, campaignID, rows, bad int, more string) drop {
	channel, application, per := map[int]string{viaHook: "hook", viaHold: "hold", viaOutbox: "box", sliced: "hook"}[campaignID], 1, 1
	if campaignID == sliced {
		application = 2
	}
	if campaignID == viaOutbox {
		per = 2
	}
	var csv strings.Builder
	csv.WriteString("contactCode,name\n")
	for i := range rows {
		fmt.Fprintf(&csv, "3460%07d,%s %d\n", i, name, i)
		if i < bad {
			fmt.Fprintf(&csv, ",nobody %d\n", i)
		}
	}
	return drop{name: name, rows: rows, bad: bad, per: per, files: map[string]string{
		name + ".csv": csv.String(),
		name + ".layout.json": fmt.Sprintf(`{"contact":{"contactCode":"{{contactCode}}","channelType":%q},"customFields":{"name":"{{name}}"}}`,
			channel),
		name + ".schedule.json": fmt.Sprintf(`{"applicationId":%d,"campaignId":%d%s}`, application, campaignID, more),
	}}
}

func (w *world) place(d drop) {
	w.t.Helper()
	for _, ending := range []string{".csv", ".layout.json", ".schedule.json"} {
		path := filepath.Join(w.inbox, d.name+ending)
		w.write(path+".part", d.files[d.name+ending])
		w.must(os.Rename(path+".part", path))
	}
}

// until waits for a fact by polling: a real process has no virtual time.
func (w *world) until(limit time.Duration, what string, fact func() bool) {
	w.t.Helper()
	if !programs.Until(patience(limit), fact) {
		w.t.Fatalf("after %s: not yet %s\n%s", limit, what, w.tail())
	}
}

// patience scales a limit for a quiet machine to the load of this run: in the long run a
// dozen tests run in parallel.
func patience(limit time.Duration) time.Duration {
	if full() {
		return 5 * limit
	}
	return limit
}

// folder returns the parent folder of the drop ("accepted", "done", "failed") and its path, or "".
func (w *world) folder(name string) (place, path string) {
	for _, place := range []string{"accepted", "done", "failed"} {
		entries, err := os.ReadDir(filepath.Join(w.inbox, place))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), name+".2") && e.IsDir() {
				return place, filepath.Join(w.inbox, place, e.Name())
			}
		}
	}
	return "", ""
}

// ended waits until the drops are in done/ or failed/.
func (w *world) ended(limit time.Duration, drops ...drop) {
	w.t.Helper()
	for _, d := range drops {
		w.until(limit, d.name+" has ended", func() bool { return w.isOver(d) })
	}
}

// isOver reports whether a drop's folder is in done/ or failed/.
func (w *world) isOver(d drop) bool {
	place, _ := w.folder(d.name)
	return place == "done" || place == "failed"
}
