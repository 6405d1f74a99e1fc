package crash

import (
	"cmp"
	"path/filepath"
	"strings"
	"time"
)

// judge compares what arrived with what was promised.
func (s *storm) judge() {
	s.hook.mu.Lock()
	defer s.hook.mu.Unlock()
	kept, late := map[string]int{}, map[freeze]int{}
	slots := map[int64]int{}
	notBefore := map[string]time.Time{}
	for _, d := range s.drops {
		_, path := d.world.folder(d.name)
		notBefore[strings.TrimPrefix(filepath.Base(path), d.name+".")] = d.notBefore
	}
	for _, a := range s.hook.arrivals {
		if early := max(a.dueAt.Sub(a.at), notBefore[a.sending].Sub(a.at)); early > 0 {
			s.t.Errorf("%s arrived %v before its time", a.key, early)
		}
		if a.application == 2 {
			slots[a.at.Unix()]++
		}
		if a.kept {
			kept[a.key]++
		}
		for _, q := range s.quiet {
			if q.sending != a.sending && q.contact != a.contact || a.at.Before(q.from.Add(stormLag)) || !q.to.IsZero() && a.at.After(q.to) {
				continue
			}
			if f, frozen := s.frozenOnItsWay(q, a); frozen {
				late[f]++
			} else {
				s.t.Errorf("%s arrived %v after an acknowledged %s", a.key, a.at.Sub(q.from), q.what)
			}
		}
	}
	// A process that is frozen between the check and the write lets as many leave as were there.
	excused := 0
	for f, n := range late {
		excused += n
		if n > stormConcurrency {
			s.t.Errorf("%d requests left after the freeze at %s; want %d at most", n, f.from, stormConcurrency)
		}
	}
	for at, n := range slots {
		if n > stormCapacity+stormConcurrency { // those on their way when the slot began
			s.t.Errorf("slot %d: %d requests arrived; its capacity is %d", at, n, stormCapacity)
		}
	}
	twice, outcomes := 0, map[string]int{}
	for _, d := range s.drops {
		e := d.world.balance(d.drop)
		twice += s.deliveries(e, kept)
		for o, n := range e.counts {
			outcomes[o] += n
		}
	}
	s.t.Logf("%d sendings, %d requests, %d messages kept, %d in flight at kills, %d freezes (%d requests left after a command because of them), %d kept without an answer, %d kept twice, outcomes %v",
		len(s.drops), len(s.hook.arrivals), len(kept), s.lost, len(s.frozen), excused, s.hook.unclear, twice, outcomes)
	if most := s.lost + uint64(s.hook.unclear) + uint64(len(s.frozen)*2*stormConcurrency); uint64(twice) > most {
		s.t.Errorf("%d messages were kept twice, but only %d attempts had no answer", twice, most)
	}
	if n := outcomes["sent"]; n == 0 {
		s.t.Error(cmp.Or(s.tail(), "nothing was sent"))
	}
	s.doctor()
}

// frozenOnItsWay returns the freeze that kept a request from arriving before it was forbidden, if
// there is one.
func (s *storm) frozenOnItsWay(q quiet, a arrival) (freeze, bool) {
	for _, f := range s.frozen {
		if f.from.Before(q.from.Add(stormLag)) && f.to.After(q.from) && a.at.Before(f.to.Add(stormLag)) {
			return f, true
		}
	}
	return freeze{}, false
}
