package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// TestCommitReportsEachSenderItsOwn: an error or refusal of one caller doesn't affect the
// others in its group.
func TestCommitReportsEachSenderItsOwn(t *testing.T) {
	s := openTest(t)
	good := accept(t, s, draft{rows: 10}, nil)
	paused := accept(t, s, draft{rows: 10}, nil)
	setState(t, s, paused.ID, campaign.StatePaused, "")
	var refused *campaign.Refused
	err := s.Commit(t.Context(), []campaign.Entry{
		entry(paused.ID, 0, 1, campaign.InFlight, 1),
		entry(good.ID, 0, 1, campaign.InFlight, 1),
		entry("20260101-000099", 0, 1, campaign.InFlight, 1),
		entry(good.ID, 0, 1, campaign.InFlight, 1), // a second runner on the same message
		entry(good.ID, 10, 1, campaign.InFlight, 1),
	})
	if !errors.As(err, &refused) {
		t.Error("commit: errors.As(err, &refused) = false, want true")
	}
	if !errors.Is(err, campaign.ErrNotActive) {
		t.Errorf("commit: got the error %v, want %v", err, campaign.ErrNotActive)
	}
	if !cmp.Equal(refused.Entries, []int{0, 2, 3, 4}) {
		t.Errorf("commit: refused entries %v, want 0, 2, 3 and 4", refused.Entries)
	}
	wantCounts(t, s, good.ID, map[campaign.Outcome]uint64{campaign.Pending: 9, campaign.InFlight: 1})
	if err := s.Commit(t.Context(), []campaign.Entry{entry(good.ID, 0, 2, campaign.Sent, 1), entry(good.ID, 0, 1, campaign.Sent, 1)}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a result for a message that there isn't: %v", err)
	}
	wantCounts(t, s, good.ID, map[campaign.Outcome]uint64{campaign.Pending: 9, campaign.Sent: 1})

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id, want := good.ID, error(nil)
			if i%2 == 0 {
				id, want = paused.ID, campaign.ErrNotActive
			}
			err := s.Commit(context.Background(), []campaign.Entry{entry(id, i+1, 1, campaign.InFlight, 1)})
			if !errors.Is(err, want) {
				t.Errorf("commit %d: got %v, want %v", i, err, want)
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

// TestResultsAfterPause: results of messages in flight are recorded, no new attempt is.
func TestResultsAfterPause(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 2}, nil)
	commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1))
	switch state, ok, err := s.SetState(head.ID, []campaign.State{campaign.StateSending}, campaign.StatePaused, "asked"); {
	case state != campaign.StatePaused:
		t.Fatalf("pause: state = %q, want %q", state, campaign.StatePaused)
	case !ok:
		t.Fatal("pause: ok = false, want true")
	case err != nil:
		t.Fatalf("pause: %v", err)
	}
	commit(t, s, entry(head.ID, 0, 1, campaign.Sent, 1))
	if err := s.Commit(t.Context(), []campaign.Entry{entry(head.ID, 1, 1, campaign.InFlight, 1)}); !errors.Is(err, campaign.ErrNotActive) {
		t.Errorf("attempt while paused: %v", err)
	}
	if ids, _, _ := s.Due(time.Now()); len(ids) > 0 {
		t.Errorf("due while paused: %v", ids)
	}
	switch state, ok, err := s.SetState(head.ID, []campaign.State{campaign.StateSending}, campaign.StateHeld, ""); {
	case state != campaign.StatePaused:
		t.Errorf("compare and set: state = %q, want %q", state, campaign.StatePaused)
	case ok:
		t.Errorf("compare and set: %s, %t, %v", state, ok, err)
	case err != nil:
		t.Errorf("compare and set: %v", err)
	}
	switch state, ok, err := s.SetState(head.ID, []campaign.State{campaign.StatePaused}, campaign.StateScheduled, ""); {
	case state != campaign.StateSending:
		t.Errorf("resume of what had begun: state = %q, want %q", state, campaign.StateSending)
	case !ok:
		t.Errorf("resume of what had begun: %s, %t, %v", state, ok, err)
	case err != nil:
		t.Errorf("resume of what had begun: %v", err)
	}
	if _, _, err := s.SetState(head.ID, nil, campaign.StateCompleted, ""); !errors.Is(err, ErrState) {
		t.Errorf("completed by hand: %v", err)
	}
	if _, _, err := s.SetState("20260101-000099", nil, campaign.StatePaused, ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("pause of nothing: %v", err)
	}
	verify(t, s)
}

// TestRetries: each retry waits for its own time and makes the sending due.
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
	switch {
	case len(ids) > 0:
		t.Errorf("len(ids) = %v, want 0: %+v", len(ids), ids)
	case !next.Equal(at.Add(-2 * time.Minute)):
		t.Errorf("next = %v, want %v", next, at.Add(-2*time.Minute))
	case err != nil:
		t.Error(err)
	}
	got, err := s.Retries(head.ID, 0)
	switch {
	case err != nil:
		t.Error(err)
	case len(got) != 3:
		t.Errorf("len(got): got %v, want 3: %+v", len(got), got)
	case got[0].Row != 2:
		t.Errorf("got[0].Row: got %v, want 2", got[0].Row)
	case got[2].Row != 0:
		t.Errorf("got[2].Row: got %v, want 0", got[2].Row)
	case got[1].Code != "503":
		t.Errorf(`got[1].Code: got %q, want "503"`, got[1].Code)
	case !got[1].NextAt.Equal(at.Add(-time.Minute)):
		t.Errorf("got[1].NextAt: got %v, want %v", got[1].NextAt, at.Add(-time.Minute))
	}
	if first, err := s.Retries(head.ID, 1); err != nil || !cmp.Equal(first, got[:1]) {
		t.Errorf("first retry: got %+v, %v; want %+v", first, err, got[:1])
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
	if n, _, err := s.Finalize(head.ID, campaign.Expired); n != 4 || err != nil {
		t.Errorf("closed %d, %v", n, err)
	}
	if got, err := s.Retries(head.ID, 0); len(got) != 0 || err != nil {
		t.Errorf("retries %v, %v", got, err)
	}
	// The detail of the last attempt remains readable.
	if err := s.EachChunk(head.ID, func(_ *campaign.Rows, _ []campaign.MessageStatus, entries []campaign.Entry) error {
		switch e := entries[0]; {
		case e.Row != 0:
			t.Errorf("e.Row: got %v, want 0", e.Row)
		case e.Outcome != campaign.Expired:
			t.Errorf("e.Outcome: got %v, want %v", e.Outcome, campaign.Expired)
		case e.Detail != "busy":
			t.Errorf(`e.Detail: got %q, want "busy"`, e.Detail)
		case e.Attempts != 1:
			t.Errorf("e.Attempts: got %v, want 1", e.Attempts)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Finalize(head.ID, campaign.Pending); !errors.Is(err, ErrState) {
		t.Errorf("finalized as pending: %v", err)
	}
	verify(t, s)
}

// TestCancelWithMessagesInFlight: the sending ends with its last result.
func TestCancelWithMessagesInFlight(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 4, messages: 2}, nil)
	for row := range 3 {
		commit(t, s, entry(head.ID, row, 1, campaign.InFlight, 1))
	}
	setState(t, s, head.ID, campaign.StateCanceled, "asked")
	if n, _, err := s.Finalize(head.ID, campaign.Canceled); n != 5 || err != nil {
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
	s = openAt(t, s.db.Path())
	switch got, err := recoverOwn(s, func(int64, string) bool { return true }); {
	case err != nil:
		t.Errorf("recover: %v", err)
	case got.Unknown != 1:
		t.Errorf("recover: got.Unknown = %v, want 1", got.Unknown)
	case got.Retried != 0:
		t.Errorf("recover: got.Retried = %v, want 0", got.Retried)
	}
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Sent: 1, campaign.Unknown: 1, campaign.Canceled: 6})
	if head := wantState(t, s, head.ID, campaign.StateCanceled); head.FinishedAt.IsZero() {
		t.Error("not finished although all outcomes are final")
	}
	verify(t, s)
}

// TestInFlightAtACrash: messages in flight are resolved by channel, and never stay in flight.
func TestInFlightAtACrash(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10, messages: 2, channels: []string{"webhook", "whatsapp"}}, nil)
	for row := range 4 {
		commit(t, s, entry(head.ID, row, 1, campaign.InFlight, 3))
	}
	s.Close() // like after a kill
	s = openAt(t, s.db.Path())
	got, err := recoverOwn(s, func(application int64, channel string) bool { return application == 1 && channel == "webhook" })
	if err != nil || got != (Recovered{Retried: 2, Unknown: 2}) {
		t.Errorf("recover: %+v, %v", got, err)
	}
	statuses, err := s.Rows(head.ID, 0, &campaign.Rows{}, nil)
	want := []campaign.MessageStatus{campaign.NewMessageStatus(campaign.Pending, 3).WithMaybeDelivered(), 0, campaign.NewMessageStatus(campaign.Unknown, 3), campaign.NewMessageStatus(campaign.Skipped, 0)}
	if err != nil || !slices.Equal(statuses[:4], want) {
		t.Errorf("statuses %v, %v", statuses[:4], err)
	}
	if ids, _, err := s.Due(time.Now()); len(ids) != 1 || err != nil {
		t.Errorf("due: %v, %v", ids, err)
	}
	if got, err := recoverOwn(s, func(int64, string) bool { return true }); err != nil || got != (Recovered{}) {
		t.Errorf("second recover: %+v, %v", got, err)
	}
	verify(t, s)
}

// TestManyAtOnce: with readers, senders, an iteration and a backup at the same time, every
// read sees balanced counters.
func TestManyAtOnce(t *testing.T) {
	const senders, rows = 8, 2000
	s := openTest(t)
	head := accept(t, s, draft{rows: rows}, nil)
	var sending, reading sync.WaitGroup
	done := make(chan struct{})
	reader := func(read func() error) {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := read(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	reader(func() error {
		_, _, counts, err := s.Load(head.ID)
		if n := counts[campaign.Pending] + counts[campaign.InFlight] + counts[campaign.Sent]; n != rows {
			return fmt.Errorf("counts add up to %d", n)
		}
		return err
	})
	reader(func() error { _, _, err := s.Due(time.Now()); return err })
	reader(func() error { return s.Backup(io.Discard) })
	reader(func() error {
		return s.EachChunk(head.ID, func(_ *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error {
			sent := 0
			for _, m := range statuses {
				if m.Outcome() == campaign.Sent {
					sent++
				}
			}
			if sent != len(entries) {
				return fmt.Errorf("%d sent, %d entries", sent, len(entries))
			}
			return nil
		})
	})
	for n := range senders {
		sending.Go(func() {
			for row := n; row < rows; row += senders {
				for _, o := range []campaign.Outcome{campaign.InFlight, campaign.Sent} {
					if err := s.Commit(context.Background(), []campaign.Entry{entry(head.ID, row, 1, o, 1)}); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	sending.Wait()
	close(done)
	reading.Wait()
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Sent: rows})
	verify(t, s)
}
