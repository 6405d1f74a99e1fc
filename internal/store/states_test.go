package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// TestCommitReportsEachSenderItsOwn: one caller's mistake or refusal harms no other
// of the same group.
func TestCommitReportsEachSenderItsOwn(t *testing.T) {
	s := openTest(t)
	good := accept(t, s, draft{rows: 10}, nil)
	paused := accept(t, s, draft{rows: 10}, nil)
	if _, ok, err := s.SetState(paused.ID, nil, campaign.StatePaused, ""); !ok || err != nil {
		t.Fatal(err)
	}
	var refused *campaign.Refused
	err := s.Commit(t.Context(), []campaign.Entry{
		entry(paused.ID, 0, 1, campaign.InFlight, 1),
		entry(good.ID, 0, 1, campaign.InFlight, 1),
		entry("20260101-000099", 0, 1, campaign.InFlight, 1),
		entry(good.ID, 0, 1, campaign.InFlight, 1), // a second runner on the same message
		entry(good.ID, 10, 1, campaign.InFlight, 1),
	})
	if !errors.As(err, &refused) || !errors.Is(err, campaign.ErrNotActive) || !cmp.Equal(refused.Entries, []int{0, 2, 3, 4}) {
		t.Errorf("commit: %v", err)
	}
	wantCounts(t, s, good.ID, map[campaign.Outcome]uint64{campaign.Pending: 9, campaign.InFlight: 1})
	if err := s.Commit(t.Context(), []campaign.Entry{entry(good.ID, 0, 2, campaign.Sent, 1), entry(good.ID, 0, 1, campaign.Sent, 1)}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a result for a message that there isn't: %v", err)
	}
	wantCounts(t, s, good.ID, map[campaign.Outcome]uint64{campaign.Pending: 9, campaign.Sent: 1})

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id, want := good.ID, false
			if i%2 == 0 {
				id, want = paused.ID, true
			}
			err := s.Commit(context.Background(), []campaign.Entry{entry(id, i+1, 1, campaign.InFlight, 1)})
			if errors.Is(err, campaign.ErrNotActive) != want || err != nil && !want {
				t.Errorf("commit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	wantCounts(t, s, good.ID, map[campaign.Outcome]uint64{campaign.Pending: 5, campaign.InFlight: 4, campaign.Sent: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(ctx, []campaign.Entry{entry(good.ID, 9, 1, campaign.InFlight, 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("commit after the end: %v", err)
	}
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Errorf("commit of nothing: %v", err)
	}
	verify(t, s)
}

// TestPitfall27ResultsAfterPause: what was in flight is recorded, nothing new goes out.
func TestPitfall27ResultsAfterPause(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 2}, nil)
	commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1))
	if state, ok, err := s.SetState(head.ID, []campaign.State{campaign.StateSending}, campaign.StatePaused, "asked"); state != campaign.StatePaused || !ok || err != nil {
		t.Fatalf("pause: %s, %t, %v", state, ok, err)
	}
	commit(t, s, entry(head.ID, 0, 1, campaign.Sent, 1))
	if err := s.Commit(t.Context(), []campaign.Entry{entry(head.ID, 1, 1, campaign.InFlight, 1)}); !errors.Is(err, campaign.ErrNotActive) {
		t.Errorf("attempt while paused: %v", err)
	}
	if ids, _, _ := s.Due(time.Now()); len(ids) > 0 {
		t.Errorf("due while paused: %v", ids)
	}
	if state, ok, err := s.SetState(head.ID, []campaign.State{campaign.StateSending}, campaign.StateHeld, ""); state != campaign.StatePaused || ok || err != nil {
		t.Errorf("compare and set: %s, %t, %v", state, ok, err)
	}
	if state, ok, err := s.SetState(head.ID, []campaign.State{campaign.StatePaused}, campaign.StateScheduled, ""); state != campaign.StateSending || !ok || err != nil {
		t.Errorf("resume of what had begun: %s, %t, %v", state, ok, err)
	}
	if _, _, err := s.SetState(head.ID, nil, campaign.StateCompleted, ""); !errors.Is(err, ErrState) {
		t.Errorf("completed by hand: %v", err)
	}
	if _, _, err := s.SetState("20260101-000099", nil, campaign.StatePaused, ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("pause of nothing: %v", err)
	}
	verify(t, s)
}

// TestRetries: each waits under its own time, which makes the sending due.
func TestRetries(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 3, messages: 2}, nil)
	at := time.Now().UTC().Add(time.Hour)
	for row := range 3 {
		e := entry(head.ID, row, 1, campaign.Retrying, 1)
		e.NextAt, e.Code, e.Detail = at.Add(time.Duration(-row)*time.Minute), "503", "busy"
		commit(t, s, entry(head.ID, row, 1, campaign.InFlight, 1))
		commit(t, s, e)
	}
	ids, next, err := s.Due(time.Now())
	if len(ids) > 0 || !next.Equal(at.Add(-2*time.Minute)) || err != nil {
		t.Errorf("due %v, next %v, %v", ids, next, err)
	}
	got, err := s.Retries(head.ID)
	if err != nil || len(got) != 3 || got[0].Row != 2 || got[2].Row != 0 || got[1].Code != "503" || !got[1].NextAt.Equal(at.Add(-time.Minute)) {
		t.Errorf("retries %+v, %v", got, err)
	}
	commit(t, s, entry(head.ID, 2, 1, campaign.InFlight, 2))
	again := entry(head.ID, 2, 1, campaign.Retrying, 2)
	again.NextAt = at.Add(time.Hour)
	commit(t, s, again)
	if ids, _, err := s.Due(at); len(ids) != 1 || err != nil {
		t.Errorf("due %v, %v", ids, err)
	}
	verify(t, s)
	commit(t, s, entry(head.ID, 1, 1, campaign.InFlight, 2), entry(head.ID, 1, 1, campaign.Sent, 2),
		entry(head.ID, 1, 2, campaign.InFlight, 1), entry(head.ID, 1, 2, campaign.Sent, 1))
	if n, err := s.CloseOut(head.ID, campaign.Expired); n != 4 || err != nil {
		t.Errorf("closed %d, %v", n, err)
	}
	if got, err := s.Retries(head.ID); len(got) != 0 || err != nil {
		t.Errorf("retries %v, %v", got, err)
	}
	// What was said at the last attempt stays to be read.
	if err := s.EachChunk(head.ID, func(_ *campaign.Rows, _ []campaign.Mark, entries []campaign.Entry) error {
		if e := entries[0]; e.Row != 0 || e.Outcome != campaign.Expired || e.Detail != "busy" || e.Attempts != 1 {
			t.Errorf("entry %+v", e)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if _, err := s.CloseOut(head.ID, campaign.Pending); !errors.Is(err, ErrState) {
		t.Errorf("closed out as pending: %v", err)
	}
	verify(t, s)
}

// TestCancelWithMessagesInFlight: it has ended when the last answer is there.
func TestCancelWithMessagesInFlight(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 4, messages: 2}, nil)
	for row := range 3 {
		commit(t, s, entry(head.ID, row, 1, campaign.InFlight, 1))
	}
	if _, _, err := s.SetState(head.ID, nil, campaign.StateCanceled, "asked"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CloseOut(head.ID, campaign.Canceled); n != 5 || err != nil {
		t.Errorf("closed %d, %v", n, err)
	}
	if done, err := s.Finish(head.ID); done || err != nil {
		t.Errorf("finished: %t, %v", done, err)
	}
	if head := wantState(t, s, head.ID, campaign.StateCanceled); !head.FinishedAt.IsZero() {
		t.Error("finished with messages in flight")
	}
	late := entry(head.ID, 1, 1, campaign.Retrying, 1)
	late.NextAt = time.Now().Add(time.Minute)
	commit(t, s, entry(head.ID, 0, 1, campaign.Sent, 1), late)
	s.Close()
	s = openAt(t, s.path)
	if got, err := s.Recover(func(int64, string) bool { return true }); err != nil || got.Unknown != 1 || got.Retried != 0 {
		t.Errorf("recover: %+v, %v", got, err)
	}
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Sent: 1, campaign.Unknown: 1, campaign.Canceled: 6})
	if head := wantState(t, s, head.ID, campaign.StateCanceled); head.FinishedAt.IsZero() {
		t.Error("not finished though the books balance")
	}
	verify(t, s)
}

// TestPitfall23InFlightAtACrash: by channel, never for ever.
func TestPitfall23InFlightAtACrash(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10, messages: 2, channels: []string{"webhook", "whatsapp"}}, nil)
	for row := range 4 {
		commit(t, s, entry(head.ID, row, 1, campaign.InFlight, 3))
	}
	s.Close() // as a kill leaves it
	s = openAt(t, s.path)
	got, err := s.Recover(func(application int64, channel string) bool { return application == 1 && channel == "webhook" })
	if err != nil || got != (Recovered{Retried: 2, Unknown: 2}) {
		t.Errorf("recover: %+v, %v", got, err)
	}
	marks, err := s.Rows(head.ID, 0, &campaign.Rows{}, nil)
	want := []campaign.Mark{campaign.NewMark(campaign.Pending, 3), 0, campaign.NewMark(campaign.Unknown, 3), campaign.NewMark(campaign.Skipped, 0)}
	if err != nil || !slices.Equal(marks[:4], want) {
		t.Errorf("marks %v, %v", marks[:4], err)
	}
	if ids, _, err := s.Due(time.Now()); len(ids) != 1 || err != nil {
		t.Errorf("due: %v, %v", ids, err)
	}
	if got, err := s.Recover(func(int64, string) bool { return true }); err != nil || got != (Recovered{}) {
		t.Errorf("second recover: %+v, %v", got, err)
	}
	verify(t, s)
}

// TestPitfall19PassedSlicesAreSlicedAgain: SPEC 8, never in one burst.
func TestPitfall19PassedSlicesAreSlicedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		grid := testGrid(10)
		at := time.Now().UTC().Add(time.Minute).Truncate(time.Minute)
		a := accept(t, s, draft{rows: 35, at: at}, grid)
		b := accept(t, s, draft{rows: 8, at: at.Add(10 * time.Minute)}, grid)
		time.Sleep(time.Until(at) + 10*time.Second)
		for row := range 3 {
			commit(t, s, entry(a.ID, row*2, 1, campaign.InFlight, 1), entry(a.ID, row*2, 1, campaign.Sent, 1))
		}
		time.Sleep(9*time.Minute + 50*time.Second) // all four slots have passed
		now := time.Now().UTC()
		list, expired, err := s.Replan(a.ID, *grid, now)
		if err != nil || expired != 0 {
			t.Fatalf("replan: %d expired, %v", expired, err)
		}
		want := []campaign.Slice{
			{Start: at, End: at.Add(time.Minute), First: 0, Rows: 1, Recipients: 3},
			// b holds 8 of 10 in the slot of now.
			{Start: now, End: now.Add(time.Minute), First: 1, Rows: 4, Recipients: 2},
			{Start: now.Add(time.Minute), End: now.Add(2 * time.Minute), First: 5, Rows: 5, Recipients: 5},
			{Start: now.Add(time.Minute), End: now.Add(2 * time.Minute), First: 10, Rows: 5, Recipients: 5},
			{Start: now.Add(2 * time.Minute), End: now.Add(3 * time.Minute), First: 15, Rows: 5, Recipients: 5},
			{Start: now.Add(2 * time.Minute), End: now.Add(3 * time.Minute), First: 20, Rows: 5, Recipients: 5},
			{Start: now.Add(3 * time.Minute), End: now.Add(4 * time.Minute), First: 25, Rows: 5, Recipients: 5},
			{Start: now.Add(3 * time.Minute), End: now.Add(4 * time.Minute), First: 30, Rows: 5, Recipients: 5},
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Error(diff)
		}
		reserved, _ := s.Reserved(1, grid.Slot, grid.Number(now), 5)
		if !cmp.Equal(reserved, []uint32{10, 10, 10, 10, 0}) {
			t.Errorf("reserved %v", reserved)
		}
		verify(t, s)
		// Again at the same moment changes nothing.
		if again, expired, err := s.Replan(a.ID, *grid, now); err != nil || expired > 0 || !cmp.Equal(again, list) {
			t.Errorf("again: %v, %d, %v", again, expired, err)
		}
		if _, ok, err := s.SetState(b.ID, nil, campaign.StatePaused, ""); !ok || err != nil {
			t.Fatal(err)
		}
		time.Sleep(47*time.Hour + 55*time.Minute)
		// Five minutes are left before T + 48 h for b, none for a.
		if _, ok, err := s.SetState(b.ID, nil, campaign.StateScheduled, ""); !ok || err != nil {
			t.Fatal(err)
		}
		if _, expired, err := s.Replan(a.ID, *grid, time.Now().UTC()); err != nil || expired != 32 {
			t.Errorf("%d expired, %v", expired, err)
		}
		if _, expired, err := s.Replan(b.ID, plan.Grid{Slot: time.Minute, Capacity: 1}, at.Add(10*time.Minute+plan.Horizon-3*time.Minute)); err != nil || expired != 5 {
			t.Errorf("%d expired, %v", expired, err)
		}
		wantCounts(t, s, a.ID, map[campaign.Outcome]uint64{campaign.Sent: 3, campaign.Expired: 32})
		verify(t, s)
		if done, err := s.Finish(a.ID); !done || err != nil {
			t.Errorf("finish: %t, %v", done, err)
		}
	})
}

// TestReplanManyExpired: beyond one chunk.
func TestReplanManyExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		grid := testGrid(6000)
		head := accept(t, s, draft{rows: 10000, messages: 2, at: time.Now()}, grid)
		commit(t, s, entry(head.ID, 9, 1, campaign.InFlight, 1), entry(head.ID, 9000, 1, campaign.InFlight, 1))
		time.Sleep(49 * time.Hour)
		if _, expired, err := s.Replan(head.ID, *grid, time.Now()); err != nil || expired != 2*9998 {
			t.Errorf("%d expired, %v", expired, err)
		}
		wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Expired: 2 * 9998, campaign.InFlight: 2, campaign.Pending: 2})
		verify(t, s)
		commit(t, s, entry(head.ID, 9, 1, campaign.Sent, 1), entry(head.ID, 9000, 1, campaign.Failed, 1))
		if _, expired, err := s.Replan(head.ID, *grid, time.Now()); err != nil || expired != 1 {
			t.Errorf("%d expired, %v", expired, err)
		}
		if done, err := s.Finish(head.ID); !done || err != nil {
			t.Errorf("finish: %t, %v", done, err)
		}
		verify(t, s)
	})
}

func TestResendUnknownAndFailed(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 6, messages: 2, channels: []string{"a", "b"}, per: []int{2, 1}}, nil)
	for row := range 6 {
		commit(t, s, entry(head.ID, row, 1, campaign.InFlight, 1))
		o := []campaign.Outcome{campaign.Unknown, campaign.Unknown, campaign.Failed, campaign.Failed, campaign.Sent, campaign.Sent}[row]
		commit(t, s, entry(head.ID, row, 1, o, 1))
	}
	commit(t, s, entry(head.ID, 4, 2, campaign.InFlight, 1), entry(head.ID, 4, 2, campaign.Sent, 1))
	if done, err := s.Finish(head.ID); !done || err != nil {
		t.Fatal(err)
	}
	if err := s.Filed(head.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resend(head.ID, []campaign.Outcome{campaign.Expired}, false); !errors.Is(err, errResend) {
		t.Errorf("resend of expired ones: %v", err)
	}
	if n, err := s.Resend(head.ID, []campaign.Outcome{campaign.Unknown}, true); n != 3 || err != nil {
		t.Errorf("dry run: %d, %v", n, err)
	}
	wantState(t, s, head.ID, campaign.StateCompleted)
	if n, err := s.Resend(head.ID, []campaign.Outcome{campaign.Unknown}, false); n != 3 || err != nil {
		t.Errorf("resend: %d, %v", n, err)
	}
	got := wantState(t, s, head.ID, campaign.StateSending)
	if got.Filed || !got.FinishedAt.IsZero() {
		t.Errorf("header %+v", got)
	}
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Pending: 3, campaign.Failed: 2, campaign.Skipped: 1, campaign.Sent: 3})
	if ids, _, err := s.Due(time.Now()); len(ids) != 1 || err != nil {
		t.Errorf("due: %v, %v", ids, err)
	}
	_, list, _, _ := s.Load(head.ID)
	if len(list) != 1 || list[0].Sliced() || time.Since(list[0].Start) > time.Minute || list[0].Recipients != 2 {
		t.Errorf("slices %+v", list)
	}
	verify(t, s)
	canceled := accept(t, s, draft{rows: 1}, nil)
	if _, _, err := s.SetState(canceled.ID, nil, campaign.StateCanceled, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resend(canceled.ID, []campaign.Outcome{campaign.Unknown}, false); !errors.Is(err, ErrState) {
		t.Errorf("resend of a canceled one: %v", err)
	}
}

func TestUpdate(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 3}, nil)
	stop := errors.New("stop")
	if err := s.Update(head.ID, func(h *campaign.Sending) error { h.Name = "x"; return stop }); err != stop {
		t.Errorf("update: %v", err)
	}
	if err := s.Update(head.ID, func(h *campaign.Sending) error { h.State = campaign.StateRejected; return nil }); !errors.Is(err, ErrState) {
		t.Errorf("illegal move: %v", err)
	}
	if err := s.Update(head.ID, func(h *campaign.Sending) error { h.Tag = "00000000"; return nil }); err == nil {
		t.Error("the tag was changed")
	}
	if err := s.Filed(head.ID); !errors.Is(err, ErrState) {
		t.Errorf("filed while scheduled: %v", err)
	}
	if err := s.Update(head.ID, func(h *campaign.Sending) error { h.Reason = "noted"; return nil }); err != nil {
		t.Error(err)
	}
	if got := wantState(t, s, head.ID, campaign.StateScheduled); got.Reason != "noted" || got.Name != "spring" {
		t.Errorf("header %+v", got)
	}
	verify(t, s)
}

func TestSendingsFilter(t *testing.T) {
	s := openTest(t)
	var ids []campaign.ID
	for i := range 12 {
		head := begin(t, s, draft{rows: 2})
		head.ApplicationID = int64(1 + i%2)
		if i%3 == 0 {
			if err := s.Refuse(head, campaign.StateRejected, "bad"); err != nil {
				t.Fatal(err)
			}
		} else if _, err := s.Accept(head, Terms{}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, head.ID)
	}
	for name, c := range map[string]struct {
		filter Filter
		want   []int
	}{
		"all":         {Filter{}, []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
		"limit":       {Filter{Limit: 2}, []int{11, 10}},
		"before":      {Filter{Before: ids[3]}, []int{2, 1, 0}},
		"before none": {Filter{Before: ids[0]}, nil},
		"application": {Filter{Application: 2, Limit: 3}, []int{11, 9, 7}},
		"unfinished":  {Filter{States: []campaign.State{campaign.StateScheduled, campaign.StateHeld}, Limit: 3}, []int{11, 10, 8}},
		"states":      {Filter{States: []campaign.State{campaign.StateRejected}}, []int{9, 6, 3, 0}},
		"far":         {Filter{Before: "20260101-999999", Limit: 1}, []int{11}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Sendings(c.filter)
			var have, want []campaign.ID
			for _, head := range got {
				have = append(have, head.ID)
			}
			for _, i := range c.want {
				want = append(want, ids[i])
			}
			if err != nil || !slices.Equal(have, want) {
				t.Errorf("got %v, want %v, %v", have, want, err)
			}
		})
	}
	if _, err := s.Sendings(Filter{Before: "x"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("before nothing: %v", err)
	}
	st, err := s.Stats()
	if err != nil || st.Sendings[campaign.StateRejected] != 4 || st.Sendings[campaign.StateScheduled] != 8 || st.Messages[campaign.Pending] != 16 || st.FileBytes == 0 {
		t.Errorf("stats: %+v, %v", st, err)
	}
}

// TestPitfall26OptOuts: exact, by channel or for all, kept over a restart.
func TestPitfall26OptOuts(t *testing.T) {
	s := openTest(t)
	check := func(application int64, channel, contact string, want bool) {
		t.Helper()
		if got, err := s.Suppressed(application, channel, []byte(contact)); got != want || err != nil {
			t.Errorf("suppressed(%d, %q, %q): %t, %v", application, channel, contact, got, err)
		}
	}
	check(1, "sms", "346", false)
	long := fmt.Sprintf("%01000d", 7)
	list := []Suppression{{ApplicationID: 1, ChannelType: "sms", ContactCode: "346"}, {ApplicationID: 1, ContactCode: "347", Source: "a.suppress.csv"},
		{ApplicationID: 2, ContactCode: long}, {ApplicationID: 1, ChannelType: "sms", ContactCode: "346"}}
	if n, err := s.AddSuppressions(list); n != 3 || err != nil {
		t.Errorf("added %d, %v", n, err)
	}
	s.Close()
	s = openAt(t, s.path)
	check(1, "sms", "346", true)
	check(1, "email", "346", false)
	check(2, "sms", "346", false)
	check(1, "sms", "34", false)
	check(1, "email", "347", true)
	check(1, "", "347", true)
	check(2, "x", long, true)
	check(2, "x", long[1:], false)
	var got []string
	walk := func(one Suppression) error {
		if one.At.IsZero() {
			t.Error("no time")
		}
		got = append(got, one.ChannelType+"/"+one.ContactCode)
		return nil
	}
	if err := s.EachSuppression(1, walk); err != nil || !slices.Equal(got, []string{"/347", "sms/346"}) {
		t.Errorf("walk: %v, %v", got, err)
	}
	got = nil
	if err := s.EachSuppression(0, walk); err != nil || len(got) != 3 {
		t.Errorf("walk over all: %v, %v", got, err)
	}
	if found, err := s.RemoveSuppression(1, "sms", "346"); !found || err != nil {
		t.Errorf("remove: %t, %v", found, err)
	}
	if found, err := s.RemoveSuppression(1, "sms", "346"); found || err != nil {
		t.Errorf("remove again: %t, %v", found, err)
	}
	check(1, "sms", "346", false)
}

func TestAudit(t *testing.T) {
	s := openTest(t)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2500 {
		if err := s.Audit(AuditEntry{At: start.Add(time.Duration(i/2) * time.Second), Who: "ana", Action: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	next := 2000
	err := s.EachAudit(start.Add(1000*time.Second), func(e AuditEntry) error {
		if e.Action != fmt.Sprint(next) {
			t.Fatalf("got %s, want %d", e.Action, next)
		}
		next++
		return nil
	})
	if err != nil || next != 2500 {
		t.Errorf("%d, %v", next, err)
	}
	if err := s.Audit(AuditEntry{Who: "ana", Action: "now"}); err != nil {
		t.Error(err)
	}
	stop := errors.New("stop")
	if err := s.EachAudit(time.Time{}, func(AuditEntry) error { return stop }); err != stop {
		t.Errorf("walk: %v", err)
	}
}

// TestPitfall28Retention: what is removed is gone, and its pages are used again.
func TestPitfall28Retention(t *testing.T) {
	s := openTest(t)
	size := int64(0)
	for i := range 12 {
		head := accept(t, s, draft{rows: 3000, digest: fmt.Sprintf("%064x", i)}, nil)
		sendAll(t, s, head.ID, 3000, 1000)
		if done, err := s.Finish(head.ID); !done || err != nil {
			t.Fatal(err)
		}
		if n, err := s.Prune(time.Now().Add(time.Hour), 10); n != 0 || err != nil {
			t.Errorf("pruned %d that are not filed, %v", n, err)
		}
		if err := s.Filed(head.ID); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Prune(time.Now().Add(-time.Hour), 10); n != 0 || err != nil {
			t.Errorf("pruned %d that are new, %v", n, err)
		}
		if n, err := s.Prune(time.Now().Add(time.Hour), 10); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		verify(t, s)
		if i == 5 {
			size = fileSize(t, s)
		}
	}
	if now := fileSize(t, s); now > size*5/4 {
		t.Errorf("the file grew from %d to %d bytes", size, now)
	}
	for _, name := range [][]byte{bucketSendings, bucketActive, bucketSlices, bucketCounts, bucketChunks, bucketMarks, bucketOutcomes,
		bucketInFlight, bucketTimeline, bucketDigests} {
		if err := s.view(func(tx *tx) error {
			if k, _ := tx.bucket(name).Cursor().First(); k != nil {
				t.Errorf("bucket %s is not empty", name)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}
