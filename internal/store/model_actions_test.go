package store

import (
	"context"
	"slices"
	"time"

	"pgregory.net/rapid"

	"campaignd/internal/campaign"
)

func (m *model) replan(rt *rapid.T) {
	id, k := m.some(rt, campaign.StateScheduled, campaign.StateSending)
	if k == nil || !k.sliced {
		return
	}
	_, before, _, err := m.s.Load(id)
	if err != nil {
		rt.Fatalf("load: %v", err)
	}
	now := time.Now().UTC()
	if rapid.IntRange(0, 4).Draw(rt, "late") == 0 {
		now = k.scheduled.Add(48*time.Hour - 90*time.Second) // hardly any room is left
	}
	unsent := 0
	for row := range k.outcomes {
		for _, one := range before {
			if one.Sliced() && !one.End.After(now) && uint32(row) >= one.First && uint32(row)-one.First < one.Rows && k.next(row) == campaign.Pending {
				unsent++
			}
		}
	}
	after, expired, err := m.s.Replan(id, *testGrid(modelCapacity), now)
	if err != nil {
		rt.Fatalf("replan: %v", err)
	}
	// Rows still Pending must be in a future slice; the others have expired.
	want := uint64(0)
	for row := range k.outcomes {
		if k.next(row) != campaign.Pending || slices.ContainsFunc(after, func(one campaign.Slice) bool {
			return uint32(row) >= one.First && uint32(row)-one.First < one.Rows && (!one.Sliced() || one.End.After(now))
		}) {
			continue
		}
		for i, o := range k.outcomes[row] {
			if o == campaign.Pending {
				k.outcomes[row][i] = k.ended(row, i, campaign.Expired)
				want++
			}
		}
	}
	if expired != want {
		rt.Fatalf("got %d expired, want %d", expired, want)
	}
	if unsent == 0 && expired > 0 {
		rt.Fatalf("got %d expired, want none: no slice ended with unsent messages", expired)
	}
}

func (m *model) resend(rt *rapid.T) {
	id, k := m.some(rt, campaign.StateScheduled, campaign.StateSending, campaign.StateCompleted, campaign.StatePaused)
	if k == nil {
		return
	}
	outcomes := rapid.SampledFrom([][]campaign.Outcome{{campaign.Unknown}, {campaign.Failed}, {campaign.Unknown, campaign.Failed}}).Draw(rt, "outcomes")
	var want uint64
	for row := range k.outcomes {
		moved := false
		for i, o := range k.outcomes[row] {
			if slices.Contains(outcomes, o) || moved && o == campaign.Skipped {
				moved = true
				want++
				k.outcomes[row][i], k.attempts[row][i] = campaign.Pending, 0
				k.maybe[[2]int{row, i}] = o == campaign.Unknown
			}
		}
	}
	if n, err := resend(m.s, id, outcomes, true); n != want || err != nil {
		rt.Fatalf("resend, dry: %d, want %d, %v", n, want, err)
	}
	if n, err := resend(m.s, id, outcomes, false); n != want || err != nil {
		rt.Fatalf("resend: %d, want %d, %v", n, want, err)
	}
	if want == 0 {
		return
	}
	k.finalizedAs = campaign.Pending
	if k.state == campaign.StateCompleted {
		head, err := m.s.Header(id)
		switch {
		case err != nil:
			rt.Fatalf("after resend: %v", err)
		case !head.State.Active():
			rt.Fatal("after resend: head.State.Active(): got false, want true")
		case head.Filed:
			rt.Fatal("after resend: head.Filed: got true, want false")
		case !head.FinishedAt.IsZero():
			rt.Fatalf("after resend: head.FinishedAt: got %v, want none", head.FinishedAt)
		}
		k.state = head.State
	}
}

func (m *model) reopen(rt *rapid.T) {
	if err := m.s.Close(); err != nil {
		rt.Fatalf("close: %v", err)
	}
	m.open(rt)
	if rapid.Bool().Draw(rt, "recover later") {
		return
	}
	retry := map[string]bool{"a": rapid.Bool().Draw(rt, "retry a"), "b": rapid.Bool().Draw(rt, "retry b")}
	var want Recovered
	for _, k := range m.sendings {
		for row := range k.outcomes {
			for i, o := range k.outcomes[row] {
				switch {
				case o != campaign.InFlight:
				case retry[k.perRow(row)] && !k.state.Final() && k.finalizedAs == campaign.Pending:
					k.set(row, i, campaign.Pending, time.Time{}, true)
					want.Retried++
				default:
					k.set(row, i, campaign.Unknown, time.Time{}, false)
					want.Unknown++
				}
			}
		}
	}
	got, err := recoverOwn(m.s, func(_ int64, channel string) bool { return retry[channel] })
	if err != nil || got != want {
		rt.Fatalf("recover: %+v, want %+v, %v", got, want, err)
	}
}

// compact returns free space.
func (m *model) compact(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "compact") != 0 {
		return // it takes much longer than the other actions
	}
	if done, err := m.s.Compact(context.Background()); err != nil || done.After > done.Before+1<<20 {
		rt.Fatalf("compact: %+v, %v", done, err)
	}
}

// retire removes a finished sending.
func (m *model) retire(rt *rapid.T) {
	id, _ := m.some(rt, campaign.StateCompleted)
	if id == "" {
		return
	}
	if err := m.s.Filed(id, false); err != nil {
		rt.Fatalf("filed: %v", err)
	}
	if gone, err := m.s.Remove(id); !gone || err != nil {
		rt.Fatalf("remove: %t, %v", gone, err)
	}
	delete(m.sendings, id)
	m.order = slices.DeleteFunc(m.order, func(one campaign.ID) bool { return one == id })
}
