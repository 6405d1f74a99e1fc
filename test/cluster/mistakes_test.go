package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mistake is one of a person, while the rightful hub sends messages that each have a due time of their own.
type mistake struct {
	name  string
	short bool // it is part of the ordinary run
	make  func(p *pair)
}

var mistakes = []mistake{
	{"a second hub", true, secondHub},
	{"a second standby", true, secondStandby},
	{"a restored backup while the standby leads", false, restoredBesideAHub},
	{"a restored backup without a standby", false, restoredAlone},
	{"a hub with another name", false, wrongName},
	{"a standby with another name", false, wrongNameOfAStandby},
}

const mistakeRows = 1200

// Whoever is started by mistake says what is wrong and what to do, and sends nothing, while the rightful hub
// sends what is due. The campaign ends with every message sent once.
func TestMistakesAreToldAndSendNothing(t *testing.T) {
	for _, m := range mistakes {
		if repeats() == 0 && !m.short {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 0, "here")
			p.pace()
			p.begin()
			rows := mistakeRows
			if m.short {
				rows = mistakeRows / 8
			}
			p.drop("spring", viaHold, rows)
			p.arrived(20)
			m.make(p)
			p.judge("spring", rows, 0, 0)
		})
	}
}

// dueSent messages become due and are sent by the rightful hub while the wrong one is watched: a second and a half of them.
const dueSent = 60

// sendsAlone waits until messages of later due times have arrived from the rightful hub, and checks that none
// has from the wrong one. had is how many the wrong one's path had before.
func (p *pair) sendsAlone(rightful, wrong string, had int) {
	p.t.Helper()
	before := p.hook.at(rightful)
	p.until(30*time.Second, rightful+" gets what is due", func() bool { return p.hook.at(rightful) >= before+dueSent })
	if n := p.hook.at(wrong) - had; n != 0 {
		p.t.Errorf("%d messages were sent by mistake, want none", n)
	}
}

// machine makes the configuration of a further machine, which sends to a path of its own.
func (p *pair) machine(name string) string {
	p.t.Helper()
	config := p.another(name)
	p.change(config, p.hook.URL+fromHub, p.hook.URL+"/"+name)
	return config
}

// refused starts campaignd run and checks that it ends with status 2 and says a text.
func (p *pair) refused(name, config, text string) {
	p.t.Helper()
	if code := p.ends(name, p.start(name, nil, binary, "run", "--config", config)); code != 2 {
		p.t.Errorf("%s: exit status %d, want 2", name, code)
	}
	p.says(name, text)
}

func secondHub(p *pair) {
	p.refused("second", p.machine("second"), "start this one with --standby")
	p.sendsAlone(fromHub, "/second", 0)
}

func secondStandby(p *pair) {
	third := p.machine("third")
	spare := p.start("third", nil, binary, "run", "--standby", "--config", third)
	p.says("third", "there is a standby already; this one waits until it is gone")
	p.sendsAlone(fromHub, "/third", 0)
	if at := p.placeOf(third); at.Role != "waiting" || !strings.Contains(at.Problem, "a standby runs already on") {
		p.t.Errorf("the second standby: got role %q and %q, want that it waits", at.Role, at.Problem)
	}
	spare.kill()
}

// backUp makes a backup of the hub's store, and returns how to restore it and to take that back.
func (p *pair) backUp() (restore, undo func()) {
	p.t.Helper()
	backup, current := filepath.Join(p.dir, "backup.db"), filepath.Join(p.state, "campaignd.db")
	if _, err := p.run("backup", backup); err != nil {
		p.t.Fatal(err)
	}
	restore = func() {
		p.t.Helper()
		p.must(os.Rename(current, current+".kept"))
		data, err := os.ReadFile(backup)
		p.must(err)
		p.write(current, string(data))
	}
	return restore, func() { p.t.Helper(); p.must(os.Rename(current+".kept", current)) }
}

func restoredBesideAHub(p *pair) {
	restore, _ := p.backUp()
	p.arrived(60)
	p.host.signal(syscall.SIGTERM)
	p.ends("the hub", p.host)
	p.takesOver(takeoverLimit)
	had := p.hook.at(fromHub)
	restore()
	p.refused("restored", p.config, "start this one with --standby")
	p.sendsAlone(fromStandby, fromHub, had)
	p.host = p.start("hub", nil, binary, "run", "--standby", "--config", p.config) // as it was told
	p.follows(p.standby, p.config)
	p.sendsAlone(fromStandby, fromHub, had)
	if _, err := p.onStandby("handover"); err != nil {
		p.t.Fatal(err)
	}
	p.leads(p.config)
}

func restoredAlone(p *pair) {
	restore, _ := p.backUp()
	p.arrived(60)
	p.second.kill()
	p.host.signal(syscall.SIGTERM)
	p.ends("the hub", p.host)
	sent, _ := p.hook.count()
	restore()
	p.refused("restored", p.config, "start it with --standby, which fetches everything")
	if n, _ := p.hook.count(); n != sent {
		p.t.Errorf("%d messages were sent by the restored backup, want none", n-sent)
	}
	p.host = p.start("hub", nil, binary, "run", "--standby", "--config", p.config) // as it was told
	p.leads(p.config)
}

// wrongName starts the hub's own store in a cluster that doesn't exist, while the standby leads.
func wrongName(p *pair) {
	p.host.signal(syscall.SIGTERM)
	p.ends("the hub", p.host)
	p.takesOver(takeoverLimit)
	wrong := filepath.Join(p.dir, "wrong.toml")
	text, err := os.ReadFile(p.config)
	p.must(err)
	p.write(wrong, strings.Replace(strings.Replace(string(text), "[nats]", "[nats]\nname = \"other\"", 1), p.hook.URL+fromHub, p.hook.URL+"/wrong", 1))
	p.start("wrong", nil, binary, "run", "--config", wrong)
	p.says("wrong", "or nats.name is wrong")
	p.leads(wrong)
	p.sendsAlone(fromStandby, "/wrong", 0)
	p.says("wrong", "no log in NATS confirms, and every sending is held")
}

func wrongNameOfAStandby(p *pair) {
	wrong := p.machine("wrong")
	p.change(wrong, "[nats]", "[nats]\nname = \"other\"")
	p.start("wrong", nil, binary, "run", "--standby", "--config", wrong)
	p.until(20*time.Second, "the standby says what is wrong", func() bool {
		at := p.placeOf(wrong)
		return at.Role == "standby" && strings.Contains(at.Replication.Problem, `NATS has no log of cluster "other"`) && strings.Contains(at.Replication.Problem, "nats.name")
	})
	p.sendsAlone(fromHub, "/wrong", 0)
	if p.placeOf(wrong).Replication.Ready {
		p.t.Error("a standby of a cluster that doesn't exist calls itself ready")
	}
}
