package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

// While the hub compacts its store nothing is committed. A handover begins afterwards; the standby isn't behind.
func TestAHandoverDuringACompaction(t *testing.T) {
	rounds(t)
	p := newPair(t, takeoverDelay, "here")
	p.failures = []string{"CAMPAIGND_FAILPOINT=compact-copied:1:wait", "CAMPAIGND_FAILPOINT_GATE=" + p.gate()}
	p.begin()
	p.drop("spring", viaHold, takeoverRows)
	compacts(p)
	p.reached()
	begun := p.start("handover", nil, binary, "handover", "--config", p.config)
	p.lasts(time.Second)
	if at := p.placeOf(p.standby); at.Role != "standby" || !at.Replication.Ready {
		t.Errorf("while the hub compacts, the other machine is %q and ready: %t, want a standby that is ready", at.Role, at.Replication.Ready)
	}
	p.write(p.gate(), "")
	if code := p.ends("handover", begun); code != 0 {
		t.Errorf("exit status of handover: got %d, want 0\n%s", code, p.logs())
	}
	p.ends("the hub", p.host)
	p.judge("spring", takeoverRows, 0, 0)
	p.bothStoresAreSound()
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
