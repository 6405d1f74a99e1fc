package crash

import (
	"campaignd/test/programs"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Settings of the storm. Application 2 has slots of one second.
const (
	stormConcurrency = 8
	stormCapacity    = 40
	stormTimeout     = time.Second
	// stormLag is the longest time after an acknowledged command that a request may arrive, because it
	// was on its way: the machine is busy.
	stormLag = 400 * time.Millisecond
)

const stormConfig = `state_dir = %[1]q
campaigns_dir = %[2]q
rescan = "1s"
retry_hold = "1s"
stop_timeout = "3s"
[log]
level = "debug"
format = "json"
[[inboxes]]
path = %[3]q
settle = "20ms"
[[inboxes]]
path = %[4]q
settle = "20ms"
[[applications]]
id = 1
timezone = "UTC"
[applications.channels.hook]
driver = "webhook"
url = %[5]q
rate = 200
concurrency = %[6]d
timeout = "1s"
retry_base = "50ms"
retry_max = "1s"
max_attempts = 15
[[applications]]
id = 2
timezone = "UTC"
slicing = {enabled = true, activation_recipients = 1, slot = "1s", capacity = %[7]d}
[applications.channels.hook]
driver = "webhook"
url = %[5]q
concurrency = %[6]d
timeout = "1s"
retry_base = "50ms"
retry_max = "1s"
max_attempts = 15
`

// storm is the state of the test while it interferes.
type storm struct {
	*world
	random  *rand.Rand
	hook    *moodyReceiver
	inboxes [2]*world
	drops   []stormDrop
	process *process
	lost    uint64 // messages in flight at kills
	frozen  []freeze
	quiet   []quiet
}

// freeze is a time in which the daemon was stopped by a signal.
type freeze struct{ from, to time.Time }

type stormDrop struct {
	drop
	world     *world
	state     string    // "", "paused" or "canceled", as acknowledged
	notBefore time.Time // its scheduleAt, else when it was dropped
}

// quiet is a time in which nothing of a sending, or nothing to a contact, may arrive.
type quiet struct {
	what             string
	sending, contact string
	from, to         time.Time // to is zero: for ever
}

// TestStorm kills, freezes, stops, pauses, cancels and opts out at random while several
// sendings go to a receiver that stalls and fails, and judges what arrived there.
func TestStorm(t *testing.T) {
	interventions := stormInterventions(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := newStorm(t, seed)
	s.process = s.start().ready()
	for done := 0; done < interventions; {
		s.keepBusy()
		s.process.Ended(time.Duration(50+s.random.IntN(500)) * time.Millisecond)
		for range min(1+s.random.IntN(3), interventions-done) { // some close together
			s.intervene()
			done++
		}
	}
	s.finish()
	s.judge()
}

// stormInterventions returns how often the storm interferes: 300 times in the long run, 10 times
// otherwise, or as often as CAMPAIGND_STORM says.
func stormInterventions(t *testing.T) int {
	if full() {
		t.Parallel()
	}
	if text := os.Getenv("CAMPAIGND_STORM"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("CAMPAIGND_STORM: %v", err)
		}
		return n
	}
	if full() {
		return 300
	}
	return 10
}

func newStorm(t *testing.T, seed uint64) *storm {
	w := newWorld(t, settings{})
	w.retries = true
	second := *w
	second.inbox = filepath.Join(w.dir, "inbox2")
	w.must(os.MkdirAll(second.inbox, 0o755))
	s := &storm{world: w, random: rand.New(rand.NewPCG(seed, 0)), hook: newMoodyReceiver(t), inboxes: [2]*world{w, &second}}
	campaigns := filepath.Join(w.dir, "campaigns")
	w.write(w.config, fmt.Sprintf(stormConfig, w.state, campaigns, w.inbox, second.inbox, s.hook.URL, stormConcurrency, stormCapacity))
	for id, contents := range map[int]string{viaHook: `{"body":"Hello {{name}}"}`,
		viaHold: `{"body":"One {{name}}"},{"body":"Two"},{"body":"Three"}`, viaOutbox: `{"body":"Hello {{name}}"}`} {
		w.write(filepath.Join(campaigns, fmt.Sprint(id, ".json")), fmt.Sprintf(
			`{"id":%d,"applicationId":1,"title":"t","enabled":true,"channelTypes":["hook"],"messageContent":[%s]}`, id, contents))
	}
	return s
}

// keepBusy drops new campaigns until at least three have not ended.
func (s *storm) keepBusy() {
	active := 0
	for _, d := range s.drops {
		if place, _ := d.world.folder(d.name); place != "done" && place != "failed" {
			active++
		}
	}
	for ; active < 3; active++ {
		w := s.inboxes[s.random.IntN(2)]
		name := fmt.Sprintf("storm%d", len(s.drops))
		via, rows := viaHook, 150
		switch s.random.IntN(3) {
		case 0:
			via, rows = sliced, 120
		case 1:
			via, rows = viaHold, 50
		}
		notBefore, more := time.Now(), `,"resend":true`
		if s.random.IntN(3) == 0 {
			notBefore = notBefore.Add(time.Duration(1+s.random.IntN(4)) * time.Second).Truncate(time.Second)
			more += fmt.Sprintf(`,"scheduleAt":%q`, notBefore.UTC().Format(time.RFC3339))
		}
		d := w.prepare(name, via, rows, 0, more)
		if via == viaHold {
			d.per = 3
		}
		// Contacts of their own, so that an opt-out concerns one sending.
		for file, text := range d.files {
			text = strings.ReplaceAll(text, `"channelType":"hold"`, `"channelType":"hook"`)
			d.files[file] = strings.ReplaceAll(text, "3460", fmt.Sprintf("346%03d", len(s.drops)))
		}
		w.place(d)
		s.drops = append(s.drops, stormDrop{drop: d, world: w, notBefore: notBefore})
	}
}

// intervene does one thing at random.
func (s *storm) intervene() {
	switch s.random.IntN(7) {
	case 0:
		s.process.kill()
		s.lost += s.look()
		s.process = s.start().ready()
	case 1:
		from := time.Now()
		s.must(s.process.Cmd.Process.Signal(syscall.SIGSTOP))
		time.Sleep(time.Duration(100+s.random.IntN(900)) * time.Millisecond) // a freeze is a length of time
		s.must(s.process.Cmd.Process.Signal(syscall.SIGCONT))
		s.frozen = append(s.frozen, freeze{from, time.Now()})
	case 2:
		s.process.stop()
		s.process = s.start().ready()
	case 3, 4:
		s.pauseOrResume()
	case 5:
		s.cancel()
	case 6:
		s.optOut()
	}
}

// pick returns a drop in one of the states that has an id and hasn't ended.
func (s *storm) pick(states ...string) (*stormDrop, string) {
	first := s.random.IntN(len(s.drops))
	for i := range s.drops {
		d := &s.drops[(first+i)%len(s.drops)]
		for _, state := range states {
			place, path := d.world.folder(d.name)
			if d.state == state && place == "accepted" {
				return d, strings.TrimPrefix(filepath.Base(path), d.name+".")
			}
		}
	}
	return nil, ""
}

func (s *storm) pauseOrResume() {
	d, id := s.pick("", "paused")
	if d == nil {
		return
	}
	if d.state == "paused" {
		s.resume(d, id)
		return
	}
	if _, err := s.run("pause", id); err == nil {
		d.state = "paused"
		s.quiet = append(s.quiet, quiet{what: "pause", sending: id, from: time.Now()})
	}
}

func (s *storm) resume(d *stormDrop, id string) {
	d.state = ""
	for i := range s.quiet {
		if q := &s.quiet[i]; q.sending == id && q.what == "pause" && q.to.IsZero() {
			q.to = time.Now()
		}
	}
	if _, err := s.run("resume", id); err != nil {
		s.t.Errorf("resume %s: %v", id, err)
	}
}

func (s *storm) cancel() {
	if d, id := s.pick("", "paused"); d != nil {
		if _, err := s.run("cancel", id); err == nil {
			d.state = "canceled"
			s.quiet = append(s.quiet, quiet{what: "cancel", sending: id, from: time.Now()})
		}
	}
}

func (s *storm) optOut() {
	d, _ := s.pick("")
	if d == nil {
		return
	}
	for line := range strings.Lines(d.files[d.name+".csv"]) {
		contact, _, _ := strings.Cut(line, ",")
		if !strings.HasPrefix(contact, "34") || s.random.IntN(20) > 0 {
			continue
		}
		if _, err := s.run("suppress", "add", contact); err == nil {
			s.quiet = append(s.quiet, quiet{what: "opt-out", contact: contact, from: time.Now()})
		}
		return
	}
}

// finish lets every sending come to its end.
func (s *storm) finish() {
	for i := range s.drops {
		d := &s.drops[i]
		s.until(60*time.Second, d.name+" is claimed", func() bool { _, path := d.world.folder(d.name); return path != "" })
		if d.state == "paused" {
			if place, path := d.world.folder(d.name); place == "accepted" {
				s.resume(d, strings.TrimPrefix(filepath.Base(path), d.name+"."))
			}
		}
	}
	for _, d := range s.drops {
		if !programs.Until(patience(3*time.Minute), func() bool { place, _ := d.world.folder(d.name); return place == "done" || place == "failed" }) {
			out, err := s.run("show", d.name)
			s.t.Fatalf("%s has not ended; it should be %q: %v\n%s\n%s", d.name, d.state, err, out, s.tail())
		}
	}
}
