package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/test/programs"
)

// loss is a way to lose the log of the store.
type loss struct {
	name string
	lose func(p *pair)
}

var losses = []loss{
	{"its stream is deleted", (*pair).forgetLog},
	{"NATS starts on an empty disk", (*pair).wipeNATS},
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

// wipeNATS kills all servers and starts them without their data.
func (p *pair) wipeNATS() {
	p.t.Helper()
	for n, node := range p.nodes {
		node.kill()
		p.must(os.RemoveAll(p.natsDir(n)))
	}
	for n := range p.nodes {
		p.nodes[n] = p.server(n, p.natsDir(n))
	}
}

// lostLog is a scene in which the log is lost.
type lostLog struct {
	loss
	from        string
	replication string
}

func (s lostLog) String() string {
	return fmt.Sprintf("%s, %s, sent from %s", s.name, s.replication, s.from)
}

// lostLogs lists those of a run; the short one has a single one.
func lostLogs(replications ...string) (list []lostLog) {
	for _, l := range losses {
		for _, replication := range replications {
			for _, from := range []string{"here", "workers"} {
				list = append(list, lostLog{l, from, replication})
			}
		}
	}
	if repeats() == 0 {
		return list[:1]
	}
	return list
}

// pair starts a hub and a standby of the scene, and a campaign.
func (s lostLog) pair(t *testing.T, failures ...string) *pair {
	t.Helper()
	p := newPair(t, takeoverDelay, s.from)
	for _, config := range []string{p.config, p.standby} {
		p.change(config, "[standby]\n", fmt.Sprintf("[standby]\nreplication = %q\n", s.replication))
	}
	if failures != nil {
		p.failures = append(failures, "CAMPAIGND_FAILPOINT_GATE="+p.gate())
		p.write(p.gate(), "")
	}
	p.begin()
	p.workersFor(s.from)
	p.drop("spring", viaHold, takeoverRows)
	p.arrived(20 + p.random.IntN(takeoverRows/4))
	return p
}

// With "required" a hub whose log is lost hands nothing out until its store is in a new one; with
// "best-effort" it goes on. Both say so.
func TestAHubWhoseLogIsLost(t *testing.T) {
	for _, s := range lostLogs("required", "best-effort") {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			p := s.pair(t, "CAMPAIGND_FAILPOINT=base-begun:1+:wait")
			p.must(errors.Join(os.Remove(p.gate()), os.Remove(p.gate()+".reached"))) // of the first base
			s.lose(p)
			p.reached() // the new base isn't in the log
			p.says("hub", "the log of the store in NATS was lost")
			effect := "nothing is handed out and no drop is accepted"
			if s.replication == "best-effort" {
				effect = "this hub goes on, and a takeover would lack what it does"
			}
			p.until(20*time.Second, "status says what is wrong and what follows", func() bool {
				out, err := p.run("status")
				return err == nil && strings.Contains(out, "the log in NATS was lost") && strings.Contains(out, effect)
			})
			out, err := p.run("doctor")
			if err == nil {
				t.Error("doctor found no problem, want the lost log")
			}
			for _, want := range []string{"the log in NATS was lost", effect} {
				if !strings.Contains(out, want) {
					t.Errorf("doctor: got\n%s\nwant %q", out, want)
				}
			}
			p.until(20*time.Second, "the standby isn't ready without a log", func() bool { return !p.placeOf(p.standby).Replication.Ready })
			before, _ := p.hook.count()
			if s.replication == "required" {
				p.handsNothingOut(before)
			} else {
				p.arrived(before + 50)
			}
			p.write(p.gate(), "")
			p.says("hub", "the log has a new base of the store")
			p.follows(p.config, p.standby)
			p.judge("spring", takeoverRows, 0, 0)
			if out, err := p.run("doctor", "--deep"); err != nil {
				t.Errorf("doctor: %v\n%s", err, out)
			}
			if repeats() > 0 {
				p.handOver(p.config, p.host)
				p.leads(p.standby)
				p.diagnose(p.standby)
			}
		})
	}
}

// handsNothingOut checks that no message arrives while the base is awaited, in a time for hundreds, and that a change
// is refused with its reason.
func (p *pair) handsNothingOut(before int) {
	p.t.Helper()
	p.lasts(2 * time.Second)
	if _, err := p.run("suppress", "add", "34699999999"); err == nil || !strings.Contains(err.Error(), "every commit waits until NATS has it for the standby: the log in NATS was lost") {
		p.t.Errorf("a change: got %v, want that it is refused with the reason", err)
	}
	if after, _ := p.hook.count(); after != before {
		p.t.Errorf("%d messages arrived while nothing was replicated, want none", after-before)
	}
}

// Without the log nobody knows what the hub did last: everything is held until a person has compared.
func TestTheLogAndTheHubAreLostAtOnce(t *testing.T) {
	for _, s := range lostLogs("required") {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			p := s.pair(t)
			p.host.kill()
			s.lose(p)
			p.takesOver(20 * time.Second)
			sent := p.hook.received("spring")
			p.says("standby", "the log in NATS is lost, or nats.name is wrong, and this store may lack what was done last: everything is held")
			p.says("standby", "then run: campaignd resume --all")
			p.until(10*time.Second, "status says why", func() bool {
				out, err := p.onStandby("status")
				return err == nil && strings.Contains(out, "held") && strings.Contains(out, "no log in NATS confirms") && strings.Contains(out, "Compare before you resume")
			})
			// What is dropped now is sent: the standby works, and leaves what it holds alone.
			const fresh = 100
			p.drop("autumn", viaHold, fresh)
			p.judge("autumn", fresh, 0, 0)
			if got := p.hook.received("spring"); got != sent {
				t.Errorf("%d held messages were sent after the takeover, want none", got-sent)
			}
			if _, err := p.onStandby("resume", "--all"); err != nil {
				t.Fatal(err)
			}
			outcomes := p.outcomesIn(filepath.Join(p.dir, "inbox", "done", "spring.2*"), time.Minute)
			_, twice := p.hook.count()
			t.Logf("spring: %v, %d twice", outcomes, twice)
			if outcomes["sent"]+outcomes["unknown"] != takeoverRows {
				t.Errorf("after the resumption: got %v, want %d sent or unknown", outcomes, takeoverRows)
			}
			if out, err := programs.Run(time.Minute, p.dir, binary, p.standby, "doctor", "--deep"); err != nil && !strings.Contains(out, "no standby follows") {
				t.Errorf("doctor: %v\n%s", err, out)
			}
		})
	}
}
