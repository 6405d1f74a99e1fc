package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pair is a world with a hub and a standby, which share inboxes and campaigns.
type pair struct {
	*world
	standby string // its configuration
	host    *process
	second  *process
}

// newPair makes a world whose hub has a standby. from says who sends. Nothing runs but NATS.
func newPair(t *testing.T, delay time.Duration, from string) *pair {
	t.Helper()
	p := &pair{world: newWorld(t, delay)}
	p.edit(`send_from = "workers"`, fmt.Sprintf("send_from = %q", from))
	p.edit("[[inboxes]]", "[standby]\n[[inboxes]]")
	p.standby = p.another("standby")
	p.nats()
	return p
}

// another makes the configuration of another machine.
func (p *pair) another(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(p.config)
	p.must(err)
	path, state := filepath.Join(p.dir, name+".toml"), filepath.Join(p.dir, name)
	p.must(os.MkdirAll(state, 0o755))
	p.write(path, strings.Replace(string(text), filepath.Join(p.dir, "state"), state, 1))
	return path
}

// place is what the tests read of a process's status.
type place struct {
	Role        string
	Problem     string
	Replication struct {
		Problem, Hub, Standby string
		Ready                 bool
	}
}

// placeOf returns the place of the process with a configuration; without one the role is "".
func (p *pair) placeOf(config string) place {
	var s struct{ Cluster place }
	cmd := exec.Command(binary, "status", "--json", "--config", config)
	cmd.Dir = p.dir
	out, err := cmd.Output()
	if err != nil || json.Unmarshal(out, &s) != nil {
		return place{}
	}
	return s.Cluster
}

func (p *pair) leads(config string) {
	p.t.Helper()
	p.until(20*time.Second, filepath.Base(config)+" leads", func() bool { return p.placeOf(config).Role == "hub" })
}

// begin starts the hub, then the standby, and waits until it could take over.
func (p *pair) begin() {
	p.t.Helper()
	p.host = p.start("hub", nil, binary, "run", "--config", p.config)
	p.leads(p.config)
	p.follow()
}

func (p *pair) follow() {
	p.t.Helper()
	p.second = p.start("standby", nil, binary, "run", "--standby", "--config", p.standby)
	p.until(20*time.Second, "the standby is ready", func() bool { return p.placeOf(p.config).Replication.Ready })
}

// sendsAgain waits until something arrives that was not sent before, and returns how long that took.
func (p *pair) sendsAgain(limit time.Duration) time.Duration {
	p.t.Helper()
	began := time.Now()
	p.until(limit, "the standby leads", func() bool { return p.placeOf(p.standby).Role == "hub" })
	before, _ := p.hook.count()
	p.until(limit-time.Since(began), "something is sent again", func() bool { n, _ := p.hook.count(); return n > before })
	return time.Since(began)
}

// says waits until a log contains a text.
func (p *pair) says(name, text string) {
	p.t.Helper()
	p.until(20*time.Second, name+".log says "+text, func() bool {
		data, err := os.ReadFile(filepath.Join(p.dir, name+".log"))
		return err == nil && strings.Contains(string(data), text)
	})
}

// ends waits until a process has ended.
func (p *pair) ends(what string, one *process) {
	p.t.Helper()
	p.until(20*time.Second, what+" has ended", func() bool {
		select {
		case <-one.Gone:
			return true
		default:
			return false
		}
	})
}

// workersFor starts workers if they send.
func (p *pair) workersFor(from string) {
	p.t.Helper()
	if from == "workers" {
		p.worker(1)
		p.worker(2)
		p.workersRun(2)
	}
}

// takeoverLimit is how long nothing may be sent after the hub's end.
const takeoverLimit = 10 * time.Second

// Whoever sends, the standby goes on with what was accepted. What this process had in flight itself is
// unknown as after a crash; what workers had isn't.
func TestTheStandbyTakesOverFromAKilledHub(t *testing.T) {
	for round := range rounds(t) {
		for _, from := range []string{"here", "workers"} {
			for _, channel := range []string{viaRetry, viaHold} {
				t.Run(fmt.Sprint(from, " ", channel, " ", round), func(t *testing.T) {
					p := newPair(t, 20*time.Millisecond, from)
					p.begin()
					p.workersFor(from)
					const rows = 2000
					p.drop("spring", channel, rows)
					p.arrived(100 + 117*round)
					p.host.kill()
					t.Logf("sends again after %s", p.sendsAgain(takeoverLimit))
					p.judgeTakeover("spring", channel, rows, from)
				})
			}
		}
	}
}

// judgeTakeover judges a campaign whose hub ended while it was sent.
func (p *pair) judgeTakeover(name, channel string, rows int, from string) {
	p.t.Helper()
	unknown := 0
	if from == "here" && channel == viaHold {
		unknown = concurrency
	}
	(&scene{world: p.world}).judge(name, rows, unknown, channel == viaHold)
}

// A hub that was frozen hands nothing out when it wakes. It ends and says why.
func TestAFrozenHubThatWakesEnds(t *testing.T) {
	for round := range rounds(t) {
		for _, from := range []string{"here", "workers"} {
			t.Run(fmt.Sprint(from, " ", round), func(t *testing.T) {
				p := newPair(t, 20*time.Millisecond, from)
				p.begin()
				p.workersFor(from)
				const rows = 2000
				p.drop("spring", viaHold, rows)
				p.arrived(100 + 117*round)
				p.host.signal(syscall.SIGSTOP)
				p.sendsAgain(takeoverLimit)
				p.host.signal(syscall.SIGCONT)
				p.ends("the frozen hub", p.host)
				p.says("hub", "leads now, and this process has handed nothing out since")
				p.judgeTakeover("spring", viaHold, rows, from)
			})
		}
	}
}

// A handover loses nothing and leaves nothing in doubt.
func TestAHandoverUnderLoad(t *testing.T) {
	for round := range rounds(t) {
		for _, from := range []string{"here", "workers"} {
			t.Run(fmt.Sprint(from, " ", round), func(t *testing.T) {
				p := newPair(t, 20*time.Millisecond, from)
				p.begin()
				p.workersFor(from)
				const rows = 2000
				p.drop("spring", viaHold, rows)
				p.arrived(100 + 117*round)
				if out, err := p.run("handover"); err != nil {
					t.Fatalf("%v\n%s", err, p.logs())
				} else if !strings.Contains(out, "leads now") {
					t.Errorf("it says %q", out)
				}
				p.ends("the hub", p.host)
				t.Logf("sends again after %s", p.sendsAgain(takeoverLimit))
				(&scene{world: p.world}).judge("spring", rows, 0, true)
			})
		}
	}
}

// In the middle of intake the drop is taken in once, by the one or the other.
func TestTheHubIsKilledWhileItTakesADropIn(t *testing.T) {
	for round := range rounds(t) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			p := newPair(t, 0, "here")
			p.begin()
			const rows = 20_000
			p.drop("spring", viaRetry, rows)
			p.says("hub", "drop claimed")
			wait := time.NewTimer(time.Duration(40*round) * time.Millisecond)
			defer wait.Stop()
			<-wait.C // the moment of the death
			p.host.kill()
			p.judgeTakeover("spring", viaRetry, rows, "here")
		})
	}
}

// Without the log nobody knows what the hub did last: everything is held.
func TestTheLogAndTheHubAreLostAtOnce(t *testing.T) {
	for round := range rounds(t) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			p := newPair(t, 20*time.Millisecond, "here")
			p.begin()
			p.drop("spring", viaHold, 2000)
			p.arrived(100)
			p.host.kill()
			p.forgetLog()
			p.leads(p.standby)
			before, _ := p.hook.count()
			p.says("standby", "everything is held")
			p.config = p.standby
			p.until(10*time.Second, "the sending is held", func() bool {
				out, err := p.run("status")
				return err == nil && strings.Contains(out, "no log in NATS confirms")
			})
			if after, _ := p.hook.count(); after != before {
				t.Errorf("%d messages were sent after the takeover, want none", after-before)
			}
		})
	}
}

// Each mistake is refused with its reason, and nothing is sent.
func TestMistakesWithAStandbyAreToldAndSendNothing(t *testing.T) {
	rounds(t)
	p := newPair(t, 0, "here")
	p.begin()
	refused := func(name, config, text string, args ...string) {
		t.Helper()
		one := p.start(name, nil, append([]string{binary, "run", "--config", config}, args...)...)
		p.ends(name, one)
		if code := one.Cmd.ProcessState.ExitCode(); code != 2 {
			t.Errorf("%s: exit status %d, want 2", name, code)
		}
		p.says(name, text)
	}
	refused("second-hub", p.another("second"), "start this one with --standby")

	third := p.another("third")
	spare := p.start("third", nil, binary, "run", "--standby", "--config", third)
	p.says("third", "there is a standby already")
	if role := p.placeOf(third).Role; role != "waiting" {
		t.Errorf("the second standby is %q, want waiting", role)
	}
	spare.kill()

	backup := filepath.Join(p.dir, "backup.db")
	if _, err := p.run("backup", backup); err != nil {
		t.Fatal(err)
	}
	p.drop("spring", viaHold, 50)
	(&scene{world: p.world}).judge("spring", 50, 0, true)
	p.second.kill()
	p.host.signal(syscall.SIGTERM)
	p.ends("the hub", p.host)
	current := filepath.Join(p.dir, "state", "campaignd.db")
	p.must(os.Rename(current, current+".kept"))
	data, err := os.ReadFile(backup)
	p.must(err)
	p.write(current, string(data))
	refused("restored", p.config, "start it with --standby")
	p.must(os.Rename(current+".kept", current))
	p.must(os.Remove(current + ".restored")) // the refused one left it

	wrong := filepath.Join(p.dir, "wrong.toml")
	text, err := os.ReadFile(p.config)
	p.must(err)
	p.write(wrong, strings.Replace(string(text), "[nats]", "[nats]\nname = \"other\"", 1))
	held := p.start("wrong", nil, binary, "run", "--config", wrong)
	p.says("wrong", "everything is held")
	held.kill()
	if _, twice := p.hook.count(); twice > 0 {
		t.Errorf("%d messages arrived more than once", twice)
	}
}

// forgetLog removes the stream of the log, as the loss of its disk would.
func (p *pair) forgetLog() {
	p.t.Helper()
	nc, err := nats.Connect("nats://127.0.0.1:" + p.port)
	p.must(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	p.must(err)
	p.must(js.DeleteStream(p.t.Context(), "CD_campaignd_LOG"))
}

// Without the old machine's inbox everything that was accepted is sent. Filing waits until the inbox is back.
func TestTheStandbySendsWithoutTheInbox(t *testing.T) {
	rounds(t)
	p := newPair(t, 20*time.Millisecond, "here")
	p.begin()
	const rows = 2000
	p.drop("spring", viaRetry, rows)
	p.arrived(100)
	p.host.kill()
	inbox := filepath.Join(p.dir, "inbox")
	p.must(os.Rename(inbox, inbox+".away"))
	p.sendsAgain(takeoverLimit)
	p.arrived(rows)
	p.must(os.Rename(inbox+".away", inbox))
	p.judgeTakeover("spring", viaRetry, rows, "here")
}

// While NATS is away nobody can see who lives. The hub is the first to be seen afterwards, and goes on.
func TestAnOutageOfNATSIsNoTakeover(t *testing.T) {
	rounds(t)
	p := &pair{world: newWorld(t, 20*time.Millisecond)}
	p.edit("[[inboxes]]", "[standby]\n[[inboxes]]")
	p.standby = p.another("standby")
	server := p.nats()
	p.begin()
	p.workersFor("workers")
	const rows = 2000
	p.drop("spring", viaHold, rows)
	p.arrived(100)
	server.kill()
	outage := time.NewTimer(8 * time.Second)
	defer outage.Stop()
	<-outage.C // more than twice the lease
	p.nats()
	(&scene{world: p.world}).judge("spring", rows, 0, true)
	if got := p.placeOf(p.config).Role; got != "hub" {
		t.Errorf("the hub is %q after the outage, want hub", got)
	}
	if got := p.placeOf(p.standby).Role; got != "standby" {
		t.Errorf("the standby is %q after the outage, want standby", got)
	}
}
