package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

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
				p.judge("spring", rows, 0, 0)
			})
		}
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
	p.judge("spring", 50, 0, 0)
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
	again, _ := p.inFlight()
	p.judge("spring", rows, 0, again)
}

// While NATS is away nobody can see who lives. The hub is the first to be seen afterwards, and goes on.
func TestAnOutageOfNATSIsNoTakeover(t *testing.T) {
	rounds(t)
	p := &pair{world: newWorld(t, 20*time.Millisecond)}
	p.edit("[[inboxes]]", "[standby]\n[[inboxes]]")
	p.standby, p.remote = p.another("standby"), p.another("workers")
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
	p.judge("spring", rows, 0, 0)
	if got := p.placeOf(p.config).Role; got != "hub" {
		t.Errorf("the hub is %q after the outage, want hub", got)
	}
	if got := p.placeOf(p.standby).Role; got != "standby" {
		t.Errorf("the standby is %q after the outage, want standby", got)
	}
}
