package send

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// counter is an Observer that adds up.
type counter struct {
	mu        sync.Mutex
	recorded  map[string]int
	attempted int
	latest    time.Duration
	longest   time.Duration
}

func (c *counter) Attempted(_ int64, _ string, n int, lateness, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempted += n
	c.latest, c.longest = max(c.latest, lateness), max(c.longest, took)
}

func (c *counter) Recorded(application int64, channelType string, o campaign.Outcome, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recorded[channelType+" "+o.String()] += n
}

func TestWhatIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{recorded: map[string]int{}}
		var mu sync.Mutex
		changes := map[campaign.ID]int{}
		r := newHarness(t, func(r *harness) {
			r.opts.Observer = c
			r.opts.OnChange = func(id campaign.ID) {
				mu.Lock()
				defer mu.Unlock()
				changes[id]++
			}
			r.store.optOut("34600000005")
			r.ch.answer = func(_ context.Context, m *Message) Result {
				time.Sleep(30 * time.Millisecond)
				switch {
				case m.ContactCode == "34600000001" && m.Attempt == 1:
					return Result{Verdict: VerdictRetry, Detail: "busy"}
				case m.ContactCode == "34600000002":
					return Result{Verdict: VerdictPermanent, Code: "x", Detail: string(make([]byte, 2000)) + "\xff"}
				}
				return Result{Verdict: VerdictSent}
			}
		})
		id := r.accept(campaign.Sending{}, 10)
		time.Sleep(10 * time.Millisecond)
		switch n, of := r.InFlight(), r.InFlightOf(id); {
		case n == 0:
			t.Error("n is 0")
		case n != of:
			t.Errorf("n = %v, want %v", n, of)
		case r.InFlightOf("20000101-000099") != 0:
			t.Errorf("r.InFlightOf(\"20000101-000099\") = %v, want 0", r.InFlightOf("20000101-000099"))
		}
		switch s := r.Channels(); {
		case len(s) != 1:
			t.Errorf("len(s): got %v, want 1: %+v", len(s), s)
		case s[0].Sendings != 1:
			t.Errorf("s[0].Sendings: got %v, want 1", s[0].Sendings)
		case s[0].Name != "c":
			t.Errorf(`s[0].Name: got %q, want "c"`, s[0].Name)
		case s[0].Application != 1:
			t.Errorf("s[0].Application: got %v, want 1", s[0].Application)
		}
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 8)
		c.mu.Lock()
		defer c.mu.Unlock()
		want := map[string]int{"c sent": 8, "c retrying": 1, "c failed": 1, "c suppressed": 1}
		if diff := cmp.Diff(want, c.recorded); diff != "" {
			t.Errorf("recorded (-want +got):\n%s", diff)
		}
		switch {
		case c.attempted != 10:
			t.Errorf("c.attempted: got %v, want 10", c.attempted)
		case c.longest != 30*time.Millisecond:
			t.Errorf("c.longest: got %v, want %v", c.longest, 30*time.Millisecond)
		case c.latest < 30*time.Millisecond:
			t.Errorf("c.latest: got %v, want at least %v", c.latest, 30*time.Millisecond)
		case c.latest > time.Second:
			t.Errorf("c.latest: got %v, want at most %v", c.latest, time.Second)
		}
		mu.Lock()
		defer mu.Unlock()
		if changes[id] != 2 {
			t.Errorf("observed %d changes, want sending and completed", changes[id])
		}
		if d := r.store.entry(id, 2).Detail; len(d) > 503 {
			t.Errorf("a detail of %d bytes was kept", len(d))
		}
	})
}
