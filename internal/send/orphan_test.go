package send

import (
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// afterCrash is a harness of a process that starts after another died while a worker had the first
// messages of four recipients: batch 7 had the first two, batch 9 the others.
func afterCrash(t *testing.T, policy Policy) (*harness, *fakeRemote, campaign.ID, []Orphan) {
	t.Helper()
	var id campaign.ID
	r, f := remoteHarness(t, policy, func(r *harness, _ *fakeRemote) {
		id = r.store.add(campaign.Sending{ScheduledAt: time.Now(),
			Contents: []campaign.Content{{Item: []byte(`{"n":1}`)}, {Item: []byte(`{"n":2}`)}}}, 6)
		var attempts []campaign.Entry
		for row := range uint32(4) {
			e := campaign.Entry{Sending: id, Row: row, Message: 1, Outcome: campaign.InFlight, Attempts: 1, At: time.Now(), HandOut: uint64(7 + row/2*2)}
			if policy == RetryUnknown {
				e.HandOut = 0
			}
			attempts = append(attempts, e)
		}
		r.store.must(r.store.Commit(t.Context(), attempts))
		list, err := r.store.InFlight()
		r.store.must(err)
		for _, m := range list {
			r.adopt = append(r.adopt, Orphan{Sending: m.Sending, Application: m.Application, Channel: m.Channel, Row: m.Row, Message: m.Message,
				Line: m.Line, Status: m.Status, Number: m.HandOut, Key: m.Key, ContactCode: m.ContactCode, To: m.To})
		}
	})
	return r, f, id, r.adopt
}

func TestAnswersOfTheLastRunAreRecorded(t *testing.T) {
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, f, id, list := afterCrash(t, policy)
				time.Sleep(5 * time.Minute)
				r.store.wantState(t, id, campaign.StateSending, campaign.InFlight, 4)
				r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 4) // of the other two recipients
				answers := []LateAnswer{
					{Key: list[0].Key, Attempt: 1, Number: 7, Result: Result{Verdict: VerdictSent, ProviderID: "p"}},
					{Key: list[0].Key, Attempt: 1, Number: 7, Result: Result{Verdict: VerdictSent, ProviderID: "p"}},
					{Key: list[1].Key, Attempt: 2, Number: 7, Result: Result{Verdict: VerdictSent}}, // another attempt
					{Key: list[2].Key, Attempt: 1, Number: 9, Result: Returned()},
					{Key: "another store's", Attempt: 1, Number: 7, Result: Result{Verdict: VerdictSent}},
				}
				if n, err := r.Settle(t.Context(), answers); n != 2 || err != nil {
					t.Errorf("%d answers concern a message in flight, %v; want 2", n, err)
				}
				if n, err := r.Settle(t.Context(), answers); n != 0 || err != nil {
					t.Errorf("%d answers the second time, %v; want 0", n, err)
				}
				time.Sleep(time.Minute)
				r.store.wantState(t, id, campaign.StateSending, campaign.InFlight, 2)
				r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 8)
				if n, err := r.SettleRest(t.Context(), 1, "c"); n != 2 || err != nil {
					t.Errorf("%d were left, %v; want 2", n, err)
				}
				time.Sleep(time.Hour)
				want := campaign.Counts{campaign.Sent: 12}
				if policy == HoldUnknown {
					want = campaign.Counts{campaign.Sent: 8, campaign.Unknown: 2, campaign.Skipped: 2}
				}
				if state, counts := r.store.state(id); state != campaign.StateCompleted || counts != want {
					t.Errorf("%s, %v; want completed, %v", state, counts, want)
				}
				for _, m := range f.sent() {
					if m.Key == list[0].Key {
						t.Error("a message went out again although its answer was found")
					}
				}
			})
		})
	}
}

// A batch was given back, its message went into another one, and the answer of the first is found.
func TestBatchGivenBackSaysNothingAboutALaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f, id, list := afterCrash(t, HoldUnknown)
		if n, err := r.Settle(t.Context(), []LateAnswer{{Key: list[3].Key, Attempt: 1, Number: 5, Result: Returned()}}); n != 0 || err != nil {
			t.Errorf("%d settled, %v; want 0", n, err)
		}
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateSending, campaign.InFlight, 4)
		for _, m := range f.sent() {
			if m.Key == list[3].Key {
				t.Error("it went out again")
			}
		}
	})
}

func TestOrphansOfACanceledSendingEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, id, list := afterCrash(t, HoldUnknown)
		if _, err := r.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Settle(t.Context(), []LateAnswer{{Key: list[0].Key, Attempt: 1, Number: 7, Result: Result{Verdict: VerdictSent}}}); n != 1 || err != nil {
			t.Errorf("%d settled, %v; want 1", n, err)
		}
		if n, err := r.SettleRest(t.Context(), 1, "c"); n != 3 || err != nil {
			t.Errorf("%d were left, %v; want 3", n, err)
		}
		time.Sleep(time.Hour)
		if got := r.store.entry(id, list[0].Row).Outcome; got != campaign.Sent { // others may have been sent before the cancel
			t.Errorf("the message that was answered for is %s; want sent", got)
		}
		r.store.wantState(t, id, campaign.StateCanceled, campaign.Unknown, 3)
		r.store.wantState(t, id, campaign.StateCanceled, campaign.InFlight, 0)
	})
}

func TestAnswersThatCanNotBeRecordedAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, id, list := afterCrash(t, HoldUnknown)
		f := &faultyStore{}
		f.set("results", true)
		r.store.setFail(f.fail)
		answer := []LateAnswer{{Key: list[0].Key, Attempt: 1, Number: 7, Result: Result{Verdict: VerdictSent}}}
		if _, err := r.Settle(t.Context(), answer); err == nil {
			t.Error("no error although nothing was recorded")
		}
		f.set("results", false)
		if n, err := r.Settle(t.Context(), answer); n != 1 || err != nil {
			t.Errorf("%d settled, %v; want 1", n, err)
		}
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateSending, campaign.InFlight, 3)
	})
}

// The process ended after it had recorded the attempts and before a worker was granted the batch.
func TestBatchThatNobodyWasGrantedGoesOutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, f, id, list := afterCrash(t, HoldUnknown)
		if n, err := r.SettleUnsent(t.Context(), func(number uint64) bool { return number == 9 }); n != 2 || err != nil {
			t.Errorf("%d settled, %v; want 2", n, err)
		}
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateSending, campaign.InFlight, 2)
		r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 8)
		sent := map[string]int{}
		for _, m := range f.sent() {
			sent[m.Key]++
		}
		for i, want := range []int{0, 0, 1, 1} {
			if got := sent[list[i].Key]; got != want {
				t.Errorf("message %d went out %d times, want %d", i, got, want)
			}
		}
	})
}

// Where unknown messages are resent, no grants are recorded.
func TestBatchWithoutNumberMayHaveBeenGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _, _ := afterCrash(t, RetryUnknown)
		if n, err := r.SettleUnsent(t.Context(), func(uint64) bool { return true }); n != 0 || err != nil {
			t.Errorf("%d settled, %v; want 0", n, err)
		}
	})
}
