package send

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"campaignd/internal/campaign"
)

// TestAnyOrderOfEvents has sendings of all kinds meet pauses, cancels, resumes,
// jumps of the clock, reloads, faults of the store, restarts and answers of every
// kind in any order. At the end the counters agree, and nothing went out early,
// while it was paused or canceled, out of order, or twice without a reason.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		steps := rapid.SliceOfN(rapid.IntRange(0, 11), 5, 25).Draw(rt, "steps")
		var wrong []string
		synctest.Test(t, func(t *testing.T) {
			s := newStorm(t, seed)
			s.run(steps)
			wrong = s.wrong
		})
		if len(wrong) > 0 {
			rt.Fatalf("%s\n%s", wrong[0], wrong[len(wrong)-1])
		}
	})
}

// storm is the test's own view of what happens.
type storm struct {
	t       *testing.T
	rnd     *rand.Rand
	wall    *wall
	faults  *faultyStore
	store   *testStore
	harness *harness
	app     Application

	mu      sync.Mutex           // guards what follows
	dice    *rand.Rand           // of the answers
	quiet   map[campaign.ID]bool // paused or canceled: nothing may begin
	sent    map[string]int       // by key: accepted
	maybe   map[string]bool      // by key: an answer said unknown
	started map[string]int       // by recipient: last message accepted
	events  []string
	kind    int // of answers
	wrong   []string
}

func newStorm(t *testing.T, seed uint64) *storm {
	s := &storm{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), dice: rand.New(rand.NewPCG(seed, 2)), wall: &wall{}, faults: &faultyStore{}, store: newTestStore(t),
		quiet: map[campaign.ID]bool{}, sent: map[string]int{}, maybe: map[string]bool{}, started: map[string]int{}}
	s.store.fail = s.faults.fail
	s.start()
	return s
}

func (s *storm) start() {
	s.harness = newHarness(s.t, grid(time.Minute, 50, nil), func(r *harness) {
		r.store, r.opts.Now = s.store, s.wall.now
		r.ch.answer = s.answer
		r.app.Channels[0].RetryBase, r.app.Channels[0].RetryMax, r.app.Channels[0].MaxAttempts = time.Second, 4*time.Second, 4
		r.app.Channels[0].Rate = []float64{0, 5, 200}[s.rnd.IntN(3)]
		s.app = r.app
	})
}

func (s *storm) answer(ctx context.Context, m *Message) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quiet[m.SendingID] {
		s.bad("%s went out while its sending was paused or canceled; %v", m.Key, s.events)
	}
	if m.DueAt.After(s.wall.now()) {
		s.bad("%s went out %v early; %v", m.Key, m.DueAt.Sub(s.wall.now()), s.events)
	}
	if s.sent[m.Key] > 0 && !s.maybe[m.Key] {
		s.bad("%s went out again after it was accepted; %v", m.Key, s.events)
	}
	who := string(m.SendingID) + m.ContactCode
	if s.started[who] != m.Number-1 && !s.maybe[m.Key] {
		s.bad("message %d of a recipient after message %d; %v", m.Number, s.started[who], s.events)
	}
	verdict := VerdictSent
	if s.kind > 0 && s.dice.IntN(4) == 0 {
		verdict = []Verdict{VerdictRetry, VerdictPermanent, VerdictUnknown, VerdictHold}[s.dice.IntN(4)]
	}
	switch verdict {
	case VerdictSent:
		s.sent[m.Key]++
		s.started[who] = m.Number
	case VerdictUnknown:
		s.maybe[m.Key] = true
	}
	if verdict == VerdictRetry && s.dice.IntN(3) == 0 {
		verdict = VerdictThrottled
	}
	return Result{Verdict: verdict, Detail: "as it happens", Hold: Scope(1 + s.dice.IntN(2))}
}

// bad notes what went wrong. s.mu is held.
func (s *storm) bad(format string, args ...any) {
	s.wrong = append(s.wrong, fmt.Sprintf(format, args...))
}

func (s *storm) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func (s *storm) settle(id campaign.ID, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet[id] = on
}

// some is any of the sendings there are.
func (s *storm) ids() (campaign.ID, bool) {
	if len(s.store.all) == 0 {
		return "", false
	}
	return s.store.all[s.rnd.IntN(len(s.store.all))], true
}

func (s *storm) accept() {
	contents := make([]campaign.Content, 1+s.rnd.IntN(3))
	for i := range contents {
		contents[i].Item = []byte(`{"b":"{{name}}"}`)
	}
	n := 1 + s.rnd.IntN(60)
	at := s.wall.now().Add(time.Duration(s.rnd.IntN(300)) * time.Second)
	var slices []campaign.Slice
	if s.rnd.IntN(2) == 0 {
		at = at.Truncate(time.Minute).Add(time.Minute)
		for first := 0; first < n; first += 50 {
			slices = append(slices, slot(at.Add(time.Duration(first/50)*time.Minute), time.Minute, uint32(first), uint32(min(50, n-first))))
		}
	}
	id := s.store.add(campaign.Sending{Contents: contents, ScheduledAt: at}, n, slices...)
	s.note("accept %s: %d, %d contents, %d slices", id, n, len(contents), len(slices))
	s.harness.Kick()
}

func (s *storm) step(what int) {
	id, any := s.ids()
	switch what {
	case 0, 1:
		s.accept()
	case 2:
		if any {
			state, err := s.harness.Pause(s.t.Context(), id)
			s.note("pause %s: %s %v", id, state, err)
			s.settle(id, state == campaign.StatePaused && err == nil)
		}
	case 3:
		if any {
			s.settle(id, false)
			state, err := s.harness.Resume(s.t.Context(), id)
			s.note("resume %s: %s %v", id, state, err)
		}
	case 4:
		if any {
			state, err := s.harness.Cancel(s.t.Context(), id)
			s.note("cancel %s: %s %v", id, state, err)
			if err == nil && state != campaign.StateCompleted {
				s.settle(id, true)
			}
		}
	case 5:
		d := time.Duration(s.rnd.IntN(240)-60) * time.Minute
		s.note("jump %v", d)
		s.wall.jump(d)
	case 6:
		op := []string{"attempts", "results", "rows", "due", "load", "state", "finish", "suppressed"}[s.rnd.IntN(8)]
		s.note("fault %s", op)
		s.faults.set(op, true)
		time.Sleep(time.Duration(s.rnd.IntN(5000)) * time.Millisecond)
		s.faults.set(op, false)
	case 7:
		s.note("restart")
		if err := s.harness.stop(); err != nil {
			s.bad("stop: %v", err)
		}
		time.Sleep(time.Duration(s.rnd.IntN(600)) * time.Second)
		s.start()
	case 8:
		s.note("reload")
		s.app.Channels[0].Concurrency = 1 + s.rnd.IntN(8)
		s.harness.Configure([]Application{s.app})
	case 9:
		s.mu.Lock()
		s.kind = s.rnd.IntN(2)
		s.mu.Unlock()
		s.note("answers %d", s.kind)
	default:
		time.Sleep(time.Duration(s.rnd.IntN(120_000)) * time.Millisecond)
	}
}

func (s *storm) run(steps []int) {
	for _, what := range steps {
		s.step(what)
		time.Sleep(time.Duration(s.rnd.IntN(3000)) * time.Millisecond)
	}
	s.mu.Lock()
	s.kind = 0
	s.mu.Unlock()
	// In calm weather everything comes to its end.
	for range 4 {
		for _, id := range s.store.all {
			s.settle(id, false)
			_, _ = s.harness.Resume(s.t.Context(), id) // what is done already says so
		}
		time.Sleep(2 * time.Hour)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.store.all {
		head := s.store.header(id)
		if _, counts := s.store.state(id); !head.State.Final() || counts.Final() != head.Planned {
			s.bad("%s is %s with counts %v of %d; %v", id, head.State, counts, head.Planned, s.events)
		}
		s.store.must(s.store.EachChunk(id, func(rows *campaign.Rows, statuses []campaign.MessageStatus, _ []campaign.Entry) error {
			for i, status := range statuses {
				key := campaign.Key(id, head.Tag, rows.Lines[i/head.Messages], i%head.Messages+1)
				accepted, recorded := s.sent[key], status.Outcome() == campaign.Sent
				if (accepted > 0) != recorded && !s.maybe[key] {
					s.bad("%s was accepted %d times and is %s; %v", key, accepted, status.Outcome(), s.events)
				}
			}
			return nil
		}))
	}
}
