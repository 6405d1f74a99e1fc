package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
)

// harness is a machine in a bubble of virtual time: folders, a daemon that can be
// stopped and started, a wall clock that can be set, and a channel that records
// messages.
type harness struct {
	t       testing.TB
	dir     string
	top     string // TOML at the top of the file
	config  string // TOML after the common part
	batch   int
	skew    atomic.Int64 // how far the wall clock is from virtual time, nanoseconds
	answer  func(m *send.Message) send.Result
	checks  func() // called for each message that a check renders; nil: nothing
	verbose bool

	registered []config.Driver          // that open their own channels; nil: drivers.All, all recording
	secrets    func(name string) string // environment; nil: empty

	running *Daemon
	stop    func()

	mu   sync.Mutex // guards sent
	sent []sent
}

// sent is one attempt.
type sent struct {
	app     int64
	sending campaign.ID
	contact string
	number  int
	attempt int
	verdict send.Verdict
	key     string
	due     time.Time
	wall    time.Time // by the wall clock
	at      time.Time // by virtual time, which never jumps
}

// The day on which most scenarios begin: a Wednesday.
var day = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)

func at(hour, minute int) time.Time {
	return day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
}

// shop configures an application that slices, with one channel.
func shop(id int, more, slicing string) string {
	return fmt.Sprintf("\n[[applications]]\nid = %d\n%s\nslicing = {%s}\n[applications.channels.push]\ndriver = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n", id, more, slicing)
}

// tenMinutes configures slots of ten minutes for 100 messages each.
const tenMinutes = `enabled = true, slot = "10m", capacity = 100`

// scenario runs test in a bubble whose clock starts at start. It doesn't start the daemon.
func scenario(t *testing.T, start time.Time, applications string, test func(t *testing.T, w *harness)) {
	t.Helper()
	dir := tempDir(t)
	synctest.Test(t, func(t *testing.T) {
		w := newHarness(t, dir, start, applications)
		defer w.shutdown()
		test(t, w)
	})
}

// tempDir returns a folder for real files, in memory if possible: days of virtual
// time sync tens of thousands of files.
func tempDir(t *testing.T) string {
	t.Helper()
	const shm = "/dev/shm"
	dir, err := os.MkdirTemp(shm, "campaignd-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // what is left is the machine's to clear
	return dir
}

func newHarness(t testing.TB, dir string, start time.Time, applications string) *harness {
	w := &harness{t: t, dir: dir, batch: 1, config: applications}
	time.Sleep(time.Until(start)) // nothing runs yet: no time at all
	for _, sub := range []string{"in", "campaigns"} {
		w.check(os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	for _, app := range []int{1, 2} {
		for _, n := range []int{1, 2, 3, 5} {
			items := strings.Repeat(`{"body": "Hello {{name}}"},`, n)
			w.write(fmt.Sprintf("campaigns/%d-%d.json", app, n), fmt.Sprintf(`{"id": %d, "applicationId": %d, "enabled": true, "channelTypes": ["push"], "messageContent": [%s]}`,
				n, app, strings.TrimSuffix(items, ",")))
		}
	}
	return w
}

func (w *harness) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *harness) write(name, text string) {
	w.t.Helper()
	w.check(os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644))
}

// now returns the time of the wall clock.
func (w *harness) now() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }

// start starts the daemon.
func (w *harness) start() {
	w.t.Helper()
	w.write("campaignd.toml", fmt.Sprintf("%s\nstate_dir = %q\ncampaigns_dir = %q\n[[inboxes]]\npath = %q\napplication = 1\ncampaign = 1\nrequire_sidecar = true\n%s",
		w.top, filepath.Join(w.dir, "var"), filepath.Join(w.dir, "campaigns"), filepath.Join(w.dir, "in"), w.config))
	known, open := drivers.All(), w.drivers
	if w.registered != nil {
		known, open = w.registered, nil
	}
	getenv := w.secrets
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	c, problems := config.Load(filepath.Join(w.dir, "campaignd.toml"), known)
	for _, p := range problems.List {
		w.t.Fatal(p)
	}
	log := slog.New(slog.DiscardHandler)
	if w.verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	d, err := Open(Options{Config: c, Version: "test", Log: log, Getenv: getenv, Now: w.now, Quiet: true, Drivers: open})
	w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	w.running, w.stop = d, func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the daemon ends with: %v", err)
		}
	}
	go func() { ended <- d.Run(ctx) }() // after running is set: answers of channels read it
	synctest.Wait()
}

// shutdown stops the daemon if it is running.
func (w *harness) shutdown() {
	if w.running != nil {
		w.stop()
		w.running = nil
	}
}

// wait lets time pass.
func (w *harness) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// until lets time pass until the wall clock shows at.
func (w *harness) until(at time.Time) { w.wait(at.Sub(w.now())) }

// setClock moves the wall clock forward or, if d is negative, back.
func (w *harness) setClock(d time.Duration) { w.skew.Add(int64(d)) }

// drivers creates the recording channels.
func (w *harness) drivers(c *config.Config, _ func(string) string) (Drivers, error) {
	all := Drivers{}
	for _, a := range c.Applications {
		all[a.ID] = map[string]send.Channel{}
		for name := range a.Channels {
			all[a.ID][name] = &recordingChannel{null.New(w.batch), w}
		}
	}
	return all, nil
}

// recordingChannel is a channel that records its messages.
type recordingChannel struct {
	*null.Channel
	h *harness
}

func (n *recordingChannel) Send(_ context.Context, msgs []*send.Message, results []send.Result) {
	wall, now := n.h.now(), time.Now()
	for i, m := range msgs {
		results[i] = send.Result{Verdict: send.VerdictSent}
		if n.h.answer != nil {
			results[i] = n.h.answer(m)
		}
		n.h.mu.Lock()
		n.h.sent = append(n.h.sent, sent{m.ApplicationID, m.SendingID, m.ContactCode, m.Number, m.Attempt, results[i].Verdict, m.Key, m.DueAt, wall.UTC(), now})
		n.h.mu.Unlock()
	}
}

// CheckMessage implements send.Channel.
func (n *recordingChannel) CheckMessage(to, content []byte) error {
	if n.h.checks != nil {
		n.h.checks()
	}
	return n.Channel.CheckMessage(to, content)
}

// allSent returns the attempts so far, in order.
func (w *harness) allSent() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent)
}

// sentBy returns the attempts of one drop.
func (w *harness) sentBy(name string) []sent {
	return slices.DeleteFunc(w.allSent(), func(s sent) bool { return !strings.HasPrefix(s.contact, name+"-") })
}

// contact returns the contactCode of a row of a drop: a phone number where the channel needs one.
func (w *harness) contact(name string, i int) string {
	if strings.Contains(w.config, `driver = "whatsapp"`) {
		return fmt.Sprintf("34666%06d", i)
	}
	return fmt.Sprintf("%s-%d", name, i)
}

// drop puts a drop of n rows into the inbox. sidecar alternates keys and values.
func (w *harness) drop(name string, n int, sidecar ...any) {
	w.t.Helper()
	var csv strings.Builder
	csv.WriteString("code,name\n")
	for i := range n {
		fmt.Fprintf(&csv, "%s,Ada\n", w.contact(name, i))
	}
	keys := map[string]any{}
	for i := 0; i < len(sidecar); i += 2 {
		v := sidecar[i+1]
		if at, ok := v.(time.Time); ok {
			v = at.UTC().Format(time.RFC3339)
		}
		keys[sidecar[i].(string)] = v
	}
	text, err := json.Marshal(keys)
	w.check(err)
	w.write("in/"+name+".csv", csv.String())
	w.write("in/"+name+".layout.json", `{"contact": {"contactCode": "{{code}}", "channelType": "push"}, "customFields": {"name": "{{name}}"}}`)
	w.write("in/"+name+".schedule.json", string(text))
}

// accept calls drop and waits until intake has accepted it.
func (w *harness) accept(name string, n int, sidecar ...any) {
	w.t.Helper()
	w.drop(name, n, sidecar...)
	w.wait(25 * time.Second)
	if w.folder(name) == "" {
		w.t.Fatalf("%s was not taken in", name)
	}
}

// control changes a drop's sending.
func (w *harness) control(name string, do func(context.Context, campaign.ID) (campaign.State, error)) {
	w.t.Helper()
	if _, err := do(context.Background(), w.id(name)); err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	synctest.Wait()
}
