package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
	"campaignd/test/disk"
)

// TestPowerCuts cuts the power repeatedly on one file system while drops are accepted and sent. Acknowledged
// state survives, every message is accounted for, and nothing is sent twice with on_unknown = "hold".
func TestPowerCuts(t *testing.T) {
	cuts := 4
	if full() {
		cuts = 50
	}
	c := newCutting(t, cuts)
	for i := range cuts {
		c.cycle(i)
		for _, wrong := range c.wrong {
			t.Errorf("after cut %d: %s", i+1, wrong)
		}
		c.wrong = nil
	}
	c.end()
	t.Logf("%d cuts, %d drops, %d acknowledged outcomes checked", cuts, len(c.drops), c.looked)
}

// TestPowerCutsHaveTeeth runs the same test without syncing commits, which must fail.
func TestPowerCutsHaveTeeth(t *testing.T) {
	c := newCutting(t, 20)
	c.patient = true
	for i := range 20 {
		c.cycle(i, "CAMPAIGND_TEST_NOSYNC=1")
		if len(c.wrong) > 0 {
			t.Logf("found after %d cuts: %s", i+1, c.wrong[0])
			return
		}
	}
	t.Error("20 power cuts didn't reveal that the store doesn't sync: the test proves nothing")
}

// cutting is an installation on a file system that loses power.
type cutting struct {
	*world
	disk   *disk.Disk
	random *rand.Rand
	large  drop
	drops  map[string]drop
	sure   map[string]bool  // the partner synced it: it must end
	acks   map[string]acked // by drop
	wrong  []string
	looked uint64

	patient bool // cuts only after the daemon has acknowledged something, however slow the machine is
}

// acked is the state of a drop that the daemon has acknowledged to the outside.
type acked struct {
	id     string
	place  string // folder of its files
	sent   uint64 // messages reported as sent
	report []byte // report.json, if present
}

func newCutting(t *testing.T, cuts int) *cutting {
	d := disk.New(t, "256M")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &cutting{world: newWorld(t, settings{rate: 3000, dir: filepath.Join(d.At, "w")}), disk: d,
		random: rand.New(rand.NewPCG(seed, 0)), drops: map[string]drop{}, sure: map[string]bool{}, acks: map[string]acked{}}
	c.log = filepath.Join(filepath.Dir(d.Image), "campaignd.log") // outside, so that it survives
	c.start().ready().stop()
	c.large = c.prepare("large", viaHold, 600*cuts, 0, "")
	c.place(c.large)
	c.drops["large"], c.sure["large"] = c.large, true
	disk.Sync(t, c.dir)
	return c
}

// cycle runs the daemon briefly with fresh drops, cuts the power and checks the result.
func (c *cutting) cycle(i int, env ...string) {
	c.t.Helper()
	name := fmt.Sprint("small", i)
	d := c.prepare(name, []int{viaHook, viaHold, sliced, viaOutbox}[i%4], 200, 5, "")
	c.drops[name] = d
	early := c.random.IntN(2) == 0
	if early { // synced by the partner before the daemon sees it
		c.place(d)
		disk.Sync(c.t, c.dir)
		c.sure[name] = true
	}
	p := c.start(env...)
	if !early {
		c.place(d)
	}
	limit := time.Duration(50+c.random.IntN(300)) * time.Millisecond
	before := c.told()
	for began := time.Now(); time.Since(began) < limit || c.patient && c.told() == before && time.Since(began) < 20*time.Second; {
		c.ask()
	}
	c.disk.Cut()
	p.kill()
	c.disk.Remount()
	c.check()
}

// told returns a number that grows with every acknowledgement.
func (c *cutting) told() uint64 {
	n := uint64(0)
	for _, a := range c.acks {
		n += 1 + a.sent + uint64(len(a.report))
	}
	return n
}

// ask records what the daemon reports in its files and over its API.
func (c *cutting) ask() {
	for name := range c.drops {
		place, path := c.folder(name)
		if place == "" {
			continue
		}
		a := c.acks[name]
		if place == "accepted" {
			var status struct {
				ID, State string
				Messages  struct{ Sent uint64 }
			}
			data, err := os.ReadFile(filepath.Join(path, "status.json"))
			if err != nil || json.Unmarshal(data, &status) != nil || status.State == "checking" {
				continue
			}
			a.id, a.sent = status.ID, max(a.sent, status.Messages.Sent)
			if a.place == "" {
				a.place = place
			}
		} else {
			a.place = place
			a.report, _ = os.ReadFile(filepath.Join(path, "report.json")) // nil: just moved
			if !c.sure[name] && bytes.Contains(a.report, []byte(`"rejected",`)) {
				continue // its partner had not synced it: a cut before the claim left empty files
			}
		}
		c.acks[name] = a
	}
	out, err := c.run("show", "large", "--json")
	if err != nil {
		return // the daemon is starting
	}
	var shown struct {
		ID       string
		State    string
		Messages struct{ Sent uint64 }
	}
	c.must(json.Unmarshal([]byte(out), &shown))
	if shown.State == "checking" {
		return
	}
	a := c.acks["large"]
	a.id, a.sent = shown.ID, max(a.sent, shown.Messages.Sent)
	c.acks["large"] = a
}

func (c *cutting) say(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// check opens the store after the power cut and compares it with the acknowledged state.
func (c *cutting) check() {
	s, err := store.Open(filepath.Join(c.state, "campaignd.db"), store.Options{})
	if err != nil {
		c.say("%v", err)
		return
	}
	defer func() { c.must(s.Close()) }()
	for _, wrong := range s.Verify(true) {
		c.say("%s", wrong)
	}
	for name, a := range c.acks {
		place, path := c.folder(name)
		if a.place == "done" || a.place == "failed" {
			if got, err := os.ReadFile(filepath.Join(path, "report.json")); place != a.place || a.report != nil && string(got) != string(a.report) {
				c.say("%s was in %s/ with its report and is in %q: %v", name, a.place, place, err)
			}
		}
		for file, want := range c.drops[name].files {
			if got, err := os.ReadFile(filepath.Join(path, file)); err != nil || string(got) != want {
				c.say("%s: %s is not what was dropped: %d of %d bytes, %v", name, file, len(got), len(want), err)
			}
		}
		if a.id == "" {
			continue
		}
		_, _, counts, err := s.Load(campaign.ID(a.id))
		if err != nil {
			c.say("%s was accepted as %s and is gone: %v", name, a.id, err)
			continue
		}
		c.looked += a.sent
		if counts[campaign.Sent] < a.sent {
			c.say("%s: %d messages were called sent, now it is %d", name, a.sent, counts[campaign.Sent])
		}
	}
}

// end waits until everything has ended and checks the accounts.
func (c *cutting) end() {
	c.t.Helper()
	c.start().ready()
	got := func() map[string]int { return c.hook.delivered(c.t) }
	for name := range c.drops {
		if _, known := c.acks[name]; known || c.sure[name] {
			c.ended(time.Minute, c.drops[name])
		}
	}
	for name, d := range c.drops {
		if _, known := c.acks[name]; !known && !c.sure[name] {
			if place, _ := c.folder(name); place != "done" {
				continue // its partner's own files were cut off: never claimed, or rejected
			}
		}
		e := c.balance(d)
		if e.state != "completed" {
			c.t.Errorf("%s: %s", name, e.describe())
		}
		keys := got()
		if d.per == 2 {
			keys, _ = c.outboxKeys()
		}
		if twice := c.deliveries(e, keys); twice > 0 && name == "large" {
			c.t.Errorf("%s: %d messages were sent twice with on_unknown = hold", name, twice)
		}
	}
	c.doctor()
}
