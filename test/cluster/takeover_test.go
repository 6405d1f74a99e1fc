package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// takeoverLimit is how long nothing may be sent after the hub's end.
const takeoverLimit = 10 * time.Second

// What a takeover has.
const (
	takeoverRows  = 1000
	takeoverDelay = 20 * time.Millisecond // of the receiver
)

// takeover is one scene: who sends, by which channel, what the hub was doing and what befell it.
type takeover struct {
	from, channel string
	moment
	accident
}

func (s takeover) String() string {
	return fmt.Sprintf("%s while it %s, %s from %s", s.accident.name, s.moment.name, s.channel, s.from)
}

// takeovers lists those of a round, so that successive rounds have every one: rounds take turns with the
// moments, and with who sends.
func takeovers(of []accident, round int) (list []takeover) {
	senders := []struct{ from, channel string }{{"here", viaHold}, {"workers", viaHold}, {"here", viaRetry}, {"workers", viaRetry}}
	for i, a := range of {
		for j, m := range moments {
			if (i+j+round)%2 == 0 {
				by := senders[(i+round/2)%len(senders)]
				list = append(list, takeover{by.from, by.channel, m, a})
			}
		}
	}
	return list
}

// The standby sends again within seconds, whatever the hub was doing and whatever became of it.
func TestTakeovers(t *testing.T) { testTakeovers(t, accidents) }

func testTakeovers(t *testing.T, of []accident) {
	t.Helper()
	if repeats() == 0 {
		s := takeover{"here", viaHold, moments[0], of[0]}
		t.Run(s.String(), func(t *testing.T) { t.Parallel(); s.test(t) })
	}
	for round := range repeats() {
		for _, s := range takeovers(of, round) {
			t.Run(s.String(), func(t *testing.T) { t.Parallel(); s.test(t) })
		}
	}
}

func (s takeover) test(t *testing.T) {
	p := newPairAt(t, takeoverDelay, s.from, s.site)
	if s.point != "" {
		p.failures = []string{"CAMPAIGND_FAILPOINT=" + s.point + ":wait", "CAMPAIGND_FAILPOINT_GATE=" + p.gate()}
	}
	if s.begin != nil {
		s.begin(p, s.from, s.channel)
	} else {
		p.begin()
		p.workersFor(s.from)
		p.drop("spring", s.channel, takeoverRows)
	}
	if s.bring != nil {
		s.bring(p)
	}
	if s.point != "" {
		p.reached()
	}
	s.strike(p)
	struck := time.Now()
	p.write(p.gate(), "")
	limit := cmp.Or(s.limit, takeoverLimit)
	p.takesOver(limit - time.Since(struck))
	own := p.hook.at(fromHub)
	all, _ := p.hook.count()
	if s.later != nil {
		s.later(p)
	}
	p.until(limit-time.Since(struck), "something is sent again", func() bool { n, _ := p.hook.count(); return n > all })
	t.Logf("sends again after %s", time.Since(struck).Round(10*time.Millisecond))
	if s.repair != nil {
		s.repair(p)
	}
	if s.deposed {
		if code := p.ends("the hub that leads no more", p.host); code != 1 {
			t.Errorf("exit status of the hub that leads no more: got %d, want 1", code)
		}
		p.says("hub", "leads now, and this process has handed nothing out since")
	}
	s.judge(p)
	if late := p.hook.at(fromHub) - own; s.from == "here" && late > s.late {
		t.Errorf("the hub sent %d messages after the takeover, want at most %d", late, s.late)
	}
	p.bothStoresAreSound()
}

// judge judges the campaign. The standby knows what workers have. What the hub itself was sending is sent again
// under its key, or in doubt.
func (s takeover) judge(p *pair) {
	p.t.Helper()
	unknown, doubles := 0, 0
	switch {
	case s.from == "here":
		doubles, unknown = p.inFlight()
		if s.channel == viaHold && unknown > concurrency {
			p.t.Errorf("%d messages were in flight, want at most %d", unknown, concurrency)
		}
	case s.channel == viaRetry:
		doubles = sendingWorkers * concurrency
	}
	p.judge("spring", takeoverRows, unknown, doubles)
}

// inFlight returns what the standby says was in flight from the hub itself at the takeover: sent again, and unknown.
func (p *pair) inFlight() (again, unknown int) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "standby.log"))
	p.must(err)
	for line := range strings.Lines(string(text)) {
		var l struct {
			Msg                          string
			ResentUnderTheirKey, Unknown int
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "messages were in flight when the last run ended" {
			again, unknown = l.ResentUnderTheirKey, l.Unknown
		}
	}
	return again, unknown
}

// bothStoresAreSound reads the whole store of the standby, which leads, and then, after a handover, that of the
// hub, which has followed it.
func (p *pair) bothStoresAreSound() {
	p.t.Helper()
	p.diagnose(p.standby)
	p.host.kill()
	if p.power.remount != nil {
		p.power.remount()
	}
	p.host = p.start("hub", nil, binary, "run", "--standby", "--config", p.config)
	p.follows(p.standby, p.config)
	if _, err := p.onStandby("handover"); err != nil {
		p.t.Error(err)
	}
	p.leads(p.config)
	p.diagnose(p.config)
}
