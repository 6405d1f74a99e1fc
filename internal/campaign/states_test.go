package campaign

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestMoves holds every pair of states to the table, so that a move added by
// mistake is seen.
func TestMoves(t *testing.T) {
	legal := map[State][]State{
		StateChecking:  {StateScheduled, StateHeld, StateCompleted, StateCanceled, StateRejected},
		StateScheduled: {StateSending, StatePaused, StateHeld, StateCompleted, StateCanceled},
		StateSending:   {StateScheduled, StatePaused, StateHeld, StateCompleted, StateCanceled},
		StatePaused:    {StateScheduled, StateSending, StateHeld, StateCompleted, StateCanceled},
		StateHeld:      {StateScheduled, StateSending, StatePaused, StateCompleted, StateCanceled},
		StateCompleted: {StateScheduled, StateSending},
	}
	for _, from := range append(States, "", "unheard of") {
		for _, to := range append(States, "", "unheard of") {
			if got, want := from.CanBecome(to), slices.Contains(legal[from], to); got != want {
				t.Errorf("%q to %q: %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestStatesAreEitherFinalOrNot(t *testing.T) {
	final := []State{StateCompleted, StateCanceled, StateRejected}
	active := []State{StateScheduled, StateSending}
	if len(States) != 8 {
		t.Errorf("the contract has 8 states, here are %d", len(States))
	}
	for _, s := range States {
		if s.Final() != slices.Contains(final, s) {
			t.Errorf("%s: s.Final() = %v, want %v", s, s.Final(), slices.Contains(final, s))
		}
		if s.Active() != slices.Contains(active, s) {
			t.Errorf("%s: s.Active() = %v, want %v", s, s.Active(), slices.Contains(active, s))
		}
		if !s.Final() && !s.CanBecome(StateCanceled) {
			t.Errorf("%s can't be canceled", s)
		}
	}
}

func TestOutcomeNames(t *testing.T) {
	for o := Outcome(0); o < outcomes; o++ {
		got, err := ParseOutcome(o.String())
		if got != o || err != nil {
			t.Errorf("ParseOutcome(%q) = %v, %v", o.String(), got, err)
		}
		if o.Final() != slices.Contains(FinalOutcomes, o) {
			t.Errorf("%v: final %v", o, o.Final())
		}
	}
	if got := Outcome(12).String(); got != "outcome(12)" {
		t.Errorf("an unknown outcome is %q", got)
	}
	for _, name := range []string{"", "Sent", "sent ", "outcome(3)"} {
		if o, err := ParseOutcome(name); err == nil {
			t.Errorf("ParseOutcome(%q) = %v", name, o)
		}
	}
	// The numbers are on disk.
	for n, name := range []string{"pending", "inFlight", "retrying", "sent", "failed", "unknown", "expired", "canceled", "suppressed", "skipped", "duplicate", "rejected"} {
		if Outcome(n).String() != name {
			t.Errorf("outcome %d is %v, was %s", n, Outcome(n), name)
		}
	}
}

func TestMessageStatus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Outcome(rapid.IntRange(0, outcomes-1).Draw(t, "outcome"))
		attempts := rapid.IntRange(0, 100).Draw(t, "attempts")
		m := NewMessageStatus(o, attempts)
		if m.Outcome() != o {
			t.Fatalf("m.Outcome() = %v, want %v", m.Outcome(), o)
		}
		if m.Attempts() != min(attempts, MaxAttempts) {
			t.Fatalf("m.Attempts() = %v, want %v", m.Attempts(), min(attempts, MaxAttempts))
		}
	})
	if NewMessageStatus(Pending, 0) != 0 {
		t.Error("a mark of zeros is not a message yet to be sent")
	}
}

func TestCounts(t *testing.T) {
	var c Counts
	for o := range c {
		c[o] = 1 << o
	}
	if got, want := c.Final(), uint64(1<<12-1<<3); got != want {
		t.Errorf("Final = %d, want %d", got, want)
	}
}

func TestSendingNames(t *testing.T) {
	s := &Sending{ID: "20260301-000001", Name: "spring"}
	if got := s.FolderName(); got != "spring.20260301-000001" {
		t.Errorf("FolderName = %q", got)
	}
}

func TestColumns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.String()).Draw(t, "values")
		rows := new(Rows)
		rows.Reset(0, 3)
		rows.Values[2].AppendString("left over")
		rows.Reset(ChunkRows, 1)
		rows.Reset(ChunkRows, 3)
		if rows.Len() != 0 {
			t.Fatalf("after Reset: rows.Len() = %v, want 0", rows.Len())
		}
		if rows.First != ChunkRows {
			t.Fatalf("after Reset: rows.First = %v, want %v", rows.First, ChunkRows)
		}
		if rows.Values[2].Len() != 0 {
			t.Fatalf("after Reset: rows.Values[2].Len() = %v, want 0", rows.Values[2].Len())
		}
		for i, v := range values {
			rows.Lines = append(rows.Lines, uint32(i))
			rows.Contacts.Append([]byte(v))
			rows.Values[2].AppendString(v)
		}
		switch {
		case rows.Len() != len(values):
			t.Fatalf("rows.Len() = %v, want %v", rows.Len(), len(values))
		case rows.Contacts.Len() != len(values):
			t.Fatalf("rows.Contacts.Len() = %v, want %v", rows.Contacts.Len(), len(values))
		}
		for i, v := range values {
			at := rows.Contacts.At(i)
			if string(at) != v {
				t.Fatalf("at = %q, want %q", string(at), v)
			}
			if string(rows.Values[2].At(i)) != v {
				t.Fatalf("rows.Values[2].At(i) = %q, want %q", string(rows.Values[2].At(i)), v)
			}
			if cap(at) != len(at) {
				t.Fatalf("cap(at) = %v, want %v", cap(at), len(at))
			}
		}
	})
}
