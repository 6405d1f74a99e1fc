package intake

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/filing"
	"campaignd/internal/send"
	"campaignd/internal/send/null"
	"campaignd/internal/store"
)

// running starts the harness's Intake; accepted receives the ids it accepts.
func (h *harness) running(t *testing.T, c *check.Checker) (in *Intake, accepted chan campaign.ID, stop func()) {
	t.Helper()
	accepted = make(chan campaign.ID, 1000)
	keeper := filing.New(filing.Options{Store: h.store, Inboxes: h.in.inboxes, Config: func() *config.Config { return c.Config },
		Filed: func(id campaign.ID) { in.Filed(id) }, Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: func() time.Time { return h.clock }})
	in = New(Options{Store: h.store, Inboxes: h.in.inboxes, Keeper: keeper, StateDir: h.config.StateDir, Checker: c, Dispatcher: h.dispatcher,
		Accepted: func(id campaign.ID) { accepted <- id }, Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: func() time.Time { return h.clock }})
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := in.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wait.Go(func() {
		if err := keeper.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return in, accepted, func() {
		cancel()
		wait.Wait()
	}
}

// gated is a channel whose check of a message waits.
type gated struct {
	*null.Channel
	at   chan struct{} // takes one when the first message is checked
	gate chan struct{}
}

func (g *gated) CheckMessage(_, content []byte) error {
	if strings.Contains(string(content), "Slow") {
		select {
		case g.at <- struct{}{}:
		default:
		}
		<-g.gate
	}
	return nil
}

// Drops of ten rows are accepted, paused and reported while ten million rows of another
// are being checked (docs/contract.md 12, promise 4).
func TestSmallDropsPassALargeOne(t *testing.T) {
	h := newHarness(t, "", "")
	g := &gated{null.New(1), make(chan struct{}, 1), make(chan struct{})}
	c := h.checker()
	c.Channels = func(int64) map[string]send.Channel {
		return map[string]send.Channel{"cloud_api": g, "sms": null.New(1)}
	}
	in, accepted, stop := h.running(t, c)
	defer stop()
	var b strings.Builder
	b.WriteString("phone,first\n1,Slow\n")
	for i := 0; b.Len() <= smallCSV; i++ {
		fmt.Fprintf(&b, "%d,%s\n", 100+i, strings.Repeat("x", 200))
	}
	h.put("large", b.String(), goodLayout, goodSidecar)
	in.Ready(h.watchedDrop("large"))
	<-g.at
	names := map[string]bool{}
	for i := range 20 {
		name := fmt.Sprint("small", i)
		names[name] = true
		h.put(name, goodCSV, goodLayout, fmt.Sprintf(`{"applicationId": 1, "campaignId": 7, "resend": true, "reference": %q}`, name))
		in.Ready(h.watchedDrop(name))
		in.Ready(h.watchedDrop(name)) // as every scan does
	}
	for range 20 {
		s := h.header(<-accepted)
		if !names[s.Name] {
			t.Errorf("%s came twice, or is none of them", s.Name)
		}
		delete(names, s.Name)
	}
	if s := h.newest("large"); s.State != campaign.StateChecking {
		t.Errorf("the large one is %s", s.State)
	}
	close(g.gate)
	switch s := h.header(<-accepted); {
	case s.Name != "large":
		t.Errorf("s.Name = %q, want \"large\"", s.Name)
	case s.Rows.Rejected != 0:
		t.Errorf("s.Rows.Rejected = %v, want 0", s.Rows.Rejected)
	}
	stop()
	h.verifyStore()
	if errs := h.log.lines("level=ERROR"); len(errs) > 0 {
		t.Error(errs)
	}
}

// A stop during a check leaves a drop that the next start checks again.
func TestStopWhileChecking(t *testing.T) {
	h := newHarness(t, "", "")
	g := &gated{null.New(1), make(chan struct{}, 1), make(chan struct{})}
	c := h.checker()
	c.Channels = func(int64) map[string]send.Channel {
		return map[string]send.Channel{"cloud_api": g, "sms": null.New(1)}
	}
	in, _, stop := h.running(t, c)
	var b strings.Builder
	b.WriteString("phone,first\n1,Slow\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "%d,x\n", 100+i)
	}
	h.put("spring", b.String(), goodLayout, goodSidecar)
	in.Ready(h.watchedDrop("spring"))
	<-g.at
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	close(g.gate)
	<-stopped
	if errs := h.log.lines("level=ERROR"); len(errs) > 0 {
		t.Error(errs)
	}
	h.crash()
	h.work()
	switch s := h.newest("spring"); {
	case s.State != campaign.StateScheduled:
		t.Errorf("s.State = %q, want %q\n%+v", s.State, campaign.StateScheduled, s)
	case s.Rows.Accepted != 100_001:
		t.Errorf("s.Rows.Accepted = %v, want 100_001", s.Rows.Accepted)
	}
	h.verifyStore()
}

// Work that fails because of the machine is retried.
func TestRunTriesAgain(t *testing.T) {
	h := newHarness(t, "", "")
	away := h.config.CampaignsDir + ".away"
	if err := os.Rename(h.config.CampaignsDir, away); err != nil {
		t.Fatal(err)
	}
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	synctest.Test(t, func(t *testing.T) {
		in, accepted, stop := h.running(t, h.checker())
		defer stop()
		in.Ready(h.watchedDrop("spring"))
		synctest.Wait()
		for range 3 {
			time.Sleep(retryInterval) // virtual
			synctest.Wait()
		}
		switch all, err := h.store.Sendings(store.Filter{}); {
		case err != nil:
			t.Fatal(err)
		case len(all) != 1:
			t.Fatalf("len(all) = %v, want 1: %+v", len(all), all)
		case all[0].State != campaign.StateChecking:
			t.Fatalf("all[0].State = %q, want %q\n%+v", all[0].State, campaign.StateChecking, all)
		}
		if err := os.Rename(away, h.config.CampaignsDir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(retryInterval)
		<-accepted
	})
	if s := h.newest("spring"); s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
	if _, err := os.Lstat(filepath.Join(h.inbox, "spring.csv")); err == nil {
		t.Error("it is still in the inbox")
	}
}
