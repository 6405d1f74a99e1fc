package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/report"
)

// status is a sending's status.json.
func (r *rig) status(s *campaign.Sending) *report.StatusDocument {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(folder(s), report.StatusFile))
	if err != nil {
		r.t.Fatal(err)
	}
	doc := &report.StatusDocument{}
	if err := json.Unmarshal(text, doc); err != nil {
		r.t.Fatal(err)
	}
	return doc
}

// A large drop that is being checked shows how far it has come.
func TestStatusWhileChecking(t *testing.T) {
	r := newRig(t, "", "")
	var b strings.Builder
	b.WriteString("phone,first\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "34666%06d,Ada\n", i)
	}
	var seen []float64
	tick := r.clock
	r.in.now = func() time.Time { // every look at the clock is a second later, so that status.json is written each time
		tick = tick.Add(time.Second)
		if s := r.newest("spring"); s != nil && s.State == campaign.StateChecking {
			if _, err := os.Lstat(filepath.Join(folder(s), report.StatusFile)); err == nil {
				doc := r.status(s)
				if doc.State != campaign.StateChecking || doc.ID != s.ID || doc.Messages != nil || doc.Slices != nil {
					t.Errorf("%+v", doc)
				}
				seen = append(seen, doc.Percent)
			}
		}
		return tick
	}
	s := r.drop("spring", b.String(), goodLayout, goodSidecar)
	if s.State != campaign.StateScheduled || s.Rows.Accepted != 100_000 {
		t.Fatalf("%+v", s)
	}
	between := 0
	for i, percent := range seen {
		if i > 0 && percent < seen[i-1] {
			t.Errorf("%v goes back", seen)
		}
		if percent > 0 && percent < 100 {
			between++
		}
	}
	if between < 3 {
		t.Errorf("percent was %v", seen)
	}
	if r.in.Checking(s.ID) != 0 {
		t.Error("it still counts as being checked")
	}
	doc := r.status(s)
	if doc.State != campaign.StateScheduled || doc.Recipients.Accepted != 100_000 || doc.Slices == nil || len(doc.Slices) != 0 {
		t.Errorf("%+v", doc)
	}
}

// What is still to be sent has a true status.json after a start.
func TestStatusAfterARestart(t *testing.T) {
	r := newRig(t, "", "")
	s := r.good("spring")
	r.write(filepath.Join(folder(s), report.StatusFile), `{"state": "checking"}`) // a crash came right after acceptance
	r.crash()
	r.work()
	if doc := r.status(s); doc.State != campaign.StateScheduled {
		t.Errorf("%+v", doc)
	}
	// A folder that someone took away is made again, the inbox itself never.
	if err := os.RemoveAll(folder(s)); err != nil {
		t.Fatal(err)
	}
	r.in.Changed(s.ID)
	r.clerk()
	if doc := r.status(s); doc.State != campaign.StateScheduled {
		t.Errorf("%+v", doc)
	}
	if err := os.Rename(r.inbox, r.inbox+".away"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.in.Changed(s.ID)
		r.clerk()
	}
	if _, err := os.Lstat(r.inbox); err == nil {
		t.Error("the inbox was made")
	}
	if said := r.log.lines("a sending's files can't be written"); len(said) != 1 {
		t.Errorf("said %d times", len(said))
	}
	if err := os.Rename(r.inbox+".away", r.inbox); err != nil {
		t.Fatal(err)
	}
	r.sendAll(s.ID)
	if now := r.newest("spring"); !now.Filed {
		t.Errorf("%+v\n%s", now, r.log)
	}
}

// status.json is renewed every 5s while a sending sends, and the reports come when
// the clerk is told to end.
func TestClerkRuns(t *testing.T) {
	r := newRig(t, "", "")
	s, large := r.good("spring"), r.goodRows("large", largeReport)
	for _, one := range []*campaign.Sending{s, large} {
		e := campaign.Entry{Sending: one.ID, Message: 1, Outcome: campaign.InFlight, Attempts: 1, At: time.Now()}
		if err := r.store.Commit(t.Context(), []campaign.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	id := s.ID
	synctest.Test(t, func(t *testing.T) {
		in := New(Options{Store: r.store, StateDir: r.config.StateDir, Checker: r.checker(), Steering: r.steering,
			Accepted: func(campaign.ID) {}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- in.RunClerk(ctx) }()
		in.Changed(id)
		synctest.Wait()
		file := filepath.Join(folder(s), report.StatusFile)
		for range 3 {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			time.Sleep(statusEvery) // virtual
			synctest.Wait()
		}
		if _, err := os.Lstat(file); err != nil {
			t.Error("status.json isn't renewed:", err)
		}
		for _, one := range []*campaign.Sending{s, large} {
			if _, err := r.store.Finalize(one.ID, campaign.Canceled); err != nil {
				t.Fatal(err)
			}
			e := campaign.Entry{Sending: one.ID, Message: 1, Outcome: campaign.Sent, Attempts: 1, At: time.Now()}
			if err := r.store.Commit(t.Context(), []campaign.Entry{e}); err != nil {
				t.Fatal(err)
			}
			if _, err := r.store.Finish(one.ID); err != nil {
				t.Fatal(err)
			}
			in.Changed(one.ID)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"spring", "large"} {
		if s := r.newest(name); !s.Filed || s.State != campaign.StateCompleted {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// goodRows drops a CSV of n rows.
func (r *rig) goodRows(name string, n int) *campaign.Sending {
	r.t.Helper()
	var b strings.Builder
	b.WriteString("phone,first\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,x\n", i)
	}
	s := r.drop(name, b.String(), goodLayout, goodSidecar)
	if s == nil || s.State != campaign.StateScheduled {
		r.t.Fatalf("%+v", s)
	}
	return s
}

func TestKeyedLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyedLock()
		unlock := k.lock("a")
		k.lock("b")()
		got := make(chan struct{}, 2)
		for range 2 {
			go func() {
				defer k.lock("a")()
				got <- struct{}{}
			}()
		}
		synctest.Wait()
		if len(got) != 0 {
			t.Error("locked twice")
		}
		unlock()
		synctest.Wait()
		if len(got) != 2 || len(k.held) != 0 {
			t.Error("not given on")
		}
	})
}

// What the store no longer has is nothing to write about.
func TestClerkForgetsWhatIsGone(t *testing.T) {
	r := newRig(t, "", "")
	r.in.Changed("20260302-000099")
	r.clerk()
	if strings.Contains(r.log.String(), "level=ERROR") {
		t.Error(r.log.String())
	}
}
