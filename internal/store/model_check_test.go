package store

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"campaignd/internal/campaign"
)

func (k *modelled) balanced() bool {
	return !slices.ContainsFunc(k.outcomes, func(row []campaign.Outcome) bool {
		return slices.ContainsFunc(row, func(o campaign.Outcome) bool { return !o.Final() })
	})
}

// next returns the outcome of the row's first message without a final one.
func (k *modelled) next(row int) campaign.Outcome {
	for _, o := range k.outcomes[row] {
		if !o.Final() {
			return o
		}
	}
	return campaign.Sent
}

// check compares the store with the model.
func (m *model) check(rt *rapid.T) {
	if found := m.s.Verify(true); len(found) > 0 {
		rt.Fatalf("verify: %q", found)
	}
	now := time.Now().UTC()
	var due []campaign.ID
	var next time.Time
	for _, id := range m.order {
		k := m.sendings[id]
		head, list, counts, err := m.s.Load(id)
		if err != nil || head.State != k.state {
			rt.Fatalf("%s is %v, want %s, %v", id, head, k.state, err)
		}
		if k.state.Final() && head.FinishedAt.IsZero() == k.balanced() {
			rt.Fatalf("%s: finished at %v, balanced %t", id, head.FinishedAt, k.balanced())
		}
		var want campaign.Counts
		for row := range k.outcomes {
			for _, o := range k.outcomes[row] {
				want[o]++
			}
		}
		if counts != want {
			rt.Fatalf("%s: counts %v, want %v", id, counts, want)
		}
		m.checkRows(rt, id, k, list)
		at, ok := k.dueAt(head, list)
		switch {
		case !ok:
		case !at.After(now):
			due = append(due, id)
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	got, gotNext, err := m.s.Due(now)
	slices.Sort(got)
	slices.Sort(due)
	if err != nil || !slices.Equal(got, due) {
		rt.Fatalf("due: %v, want %v, %v", got, due, err)
	}
	// it may be early: a later instant of the same sending, or one that has passed
	if !next.IsZero() && (gotNext.IsZero() || gotNext.After(next)) {
		rt.Fatalf("next due: %v, want %v", gotNext, next)
	}
}

// dueAt returns when the sending has something to do, by examining everything. A retry that comes
// after the sending may expire counts at that time.
func (k *modelled) dueAt(head *campaign.Sending, list []campaign.Slice) (at time.Time, ok bool) {
	if !k.state.Active() {
		return at, false
	}
	if k.balanced() {
		return at, true
	}
	earlier := func(t time.Time) {
		if !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	for _, one := range list {
		for row := one.First; row < one.First+one.Rows; row++ {
			if k.next(int(row)) == campaign.Pending {
				earlier(one.Start)
				break
			}
		}
	}
	for _, t := range k.nextAt {
		earlier(t)
	}
	for _, one := range list {
		if len(k.nextAt) > 0 && !one.Sliced() {
			earlier(one.Start.Add(head.MaxLateness + head.Blocked))
		}
	}
	return at, ok
}

// checkRows compares statuses, the rows covered by slices, and retries.
func (m *model) checkRows(rt *rapid.T, id campaign.ID, k *modelled, list []campaign.Slice) {
	err := m.s.EachChunk(id, func(rows *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error {
		stride := len(statuses) / rows.Len()
		for i := range rows.Len() {
			row := int(rows.First) + i
			for j := range stride {
				want := campaign.NewMessageStatus(campaign.Skipped, 0)
				if j < k.has[row] {
					want = campaign.NewMessageStatus(k.outcomes[row][j], k.attempts[row][j])
					if k.maybe[[2]int{row, j}] {
						want = want.WithMaybeDelivered()
					}
				}
				if got := statuses[i*stride+j]; got != want {
					return fmt.Errorf("row %d, message %d: %v after %d attempts, want %v after %d", row, j+1, got.Outcome(), got.Attempts(), want.Outcome(), want.Attempts())
				}
			}
		}
		return nil
	})
	if err != nil {
		rt.Fatalf("%s: %v", id, err)
	}
	for row := range k.outcomes {
		covers := 0
		for _, one := range list {
			if uint32(row) >= one.First && uint32(row)-one.First < one.Rows {
				covers++
			}
		}
		if covers != 1 {
			rt.Fatalf("%s: row %d is in %d slices: %+v", id, row, covers, list)
		}
	}
	waiting, err := m.s.Retries(id, 0)
	if err != nil || len(waiting) != len(k.nextAt) {
		rt.Fatalf("%s: retries %v, %v, want %v", id, waiting, err, k.nextAt)
	}
	for _, e := range waiting {
		at := k.nextAt[[2]int{int(e.Row), int(e.Message) - 1}]
		if !e.NextAt.Equal(at) {
			rt.Fatalf("%s: e.NextAt = %v, want %v", id, e.NextAt, at)
		}
		if int(e.Attempts) != k.attempts[e.Row][e.Message-1] {
			rt.Fatalf("%s: int(e.Attempts) = %v, want %v", id, int(e.Attempts), k.attempts[e.Row][e.Message-1])
		}
	}
}
