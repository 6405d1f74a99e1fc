package campaign

import "testing"

// TestMessageStatusMaybeDelivered: every outcome and number of attempts survives packing, with and without
// the mark that an attempt may have been delivered. A code that means nothing isn't read as another.
func TestMessageStatusMaybeDelivered(t *testing.T) {
	for o := range outcomes {
		for attempts := range MaxAttempts + 1 {
			plain := NewMessageStatus(Outcome(o), attempts)
			marked := plain.WithMaybeDelivered()
			for _, m := range []MessageStatus{plain, marked, marked.WithMaybeDelivered()} {
				if m.Outcome() != Outcome(o) || m.Attempts() != attempts {
					t.Errorf("%d: %s after %d attempts, want %s after %d", m, m.Outcome(), m.Attempts(), Outcome(o), attempts)
				}
			}
			if plain.MaybeDelivered() {
				t.Errorf("%s is marked", Outcome(o))
			}
			if got, want := marked.MaybeDelivered(), !Outcome(o).Final(); got != want {
				t.Errorf("%s: marked %t, want %t", Outcome(o), got, want)
			}
		}
	}
	switch got := MessageStatus(15); {
	case got.Outcome() != 15:
		t.Errorf("got.Outcome() = %v, want 15", got.Outcome())
	case got.MaybeDelivered():
		t.Error("got.MaybeDelivered() = true, want false")
	}
}

func TestIfMaybeDelivered(t *testing.T) {
	for o, want := range map[Outcome]Outcome{Pending: Pending, InFlight: InFlight, Retrying: Retrying, Sent: Sent, Failed: Unknown,
		Unknown: Unknown, Expired: Unknown, Canceled: Unknown, Suppressed: Unknown, Skipped: Unknown} {
		if got := o.IfMaybeDelivered(); got != want {
			t.Errorf("%s becomes %s, want %s", o, got, want)
		}
	}
}

// 99.96 percent is not 100, and neither is nothing planned.
func TestPercentIsRoundedDown(t *testing.T) {
	for _, one := range []struct {
		done, all uint64
		want      float64
	}{{9999, 10000, 99.9}, {10000, 10000, 100}, {0, 0, 0}, {1, 3, 33.3}, {7, 3, 100}, {2_999_999, 3_000_000, 99.9}} {
		if got := Percent(one.done, one.all); got != one.want {
			t.Errorf("Percent(%d, %d) = %v, want %v", one.done, one.all, got, one.want)
		}
	}
}

// TestAfterAMessageHasEnded: what becomes of a recipient's later messages.
func TestAfterAMessageHasEnded(t *testing.T) {
	status := func(o Outcome) MessageStatus { return NewMessageStatus(o, 2) }
	for _, c := range []struct {
		name   string
		before MessageStatus
		ended  Outcome
		want   MessageStatus
	}{
		{"goes next after sent", status(Pending), Sent, status(Pending)},
		{"is skipped after a failure", status(Pending), Failed, status(Skipped)},
		{"is skipped after unknown", status(Pending), Unknown, status(Skipped)},
		{"is suppressed with the one before", status(Pending), Suppressed, status(Suppressed)},
		{"is canceled with the one before", status(Retrying), Canceled, status(Canceled)},
		{"may have been delivered", status(Retrying).WithMaybeDelivered(), Failed, status(Unknown)},
		{"is in flight", status(InFlight), Failed, status(InFlight)},
		{"has ended", status(Sent), Failed, status(Sent)},
		{"the one before hasn't ended", status(Pending), Retrying, status(Pending)},
	} {
		if got := c.before.After(c.ended); got != c.want {
			t.Errorf("%s: %v after %d attempts; want %v after %d", c.name, got.Outcome(), got.Attempts(), c.want.Outcome(), c.want.Attempts())
		}
	}
}

// TestFirstOpen: the message that goes next, or that the later ones wait for.
func TestFirstOpen(t *testing.T) {
	of := func(all ...Outcome) (list []byte) {
		for _, o := range all {
			list = append(list, byte(NewMessageStatus(o, 1)))
		}
		return list
	}
	for _, c := range []struct {
		statuses []byte
		at       int
		outcome  Outcome
	}{
		{of(Pending, Pending), 0, Pending},
		{of(Sent, Retrying, Pending), 1, Retrying},
		{of(Sent, InFlight, Pending), 1, InFlight},
		{of(Failed, Skipped), -1, 0},
		{nil, -1, 0},
	} {
		at, o := FirstOpen(c.statuses)
		if at != c.at || at >= 0 && o != c.outcome {
			t.Errorf("first open of %v: %d, %v; want %d, %v", c.statuses, at, o, c.at, c.outcome)
		}
	}
}
