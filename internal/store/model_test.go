package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaignd/internal/campaign"
)

// TestModel does random things to a store and to a plain model of it, and holds
// the one against the other after every step.
func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ testing.TB }{t}, func(rt *rapid.T) { // a bubble has no deadline to ask for
			m := &model{path: filepath.Join(t.TempDir(), "model.db"), sendings: map[campaign.ID]*modelled{}}
			m.open(rt)
			defer func() { m.s.Close() }()
			rt.Repeat(map[string]func(*rapid.T){
				"accept":  m.accept,
				"attempt": m.attempt,
				"result":  m.result,
				"pause":   m.pause,
				"cancel":  m.cancel,
				"expire":  m.expire,
				"finish":  m.finish,
				"replan":  m.replan,
				"resend":  m.resend,
				"reopen":  m.reopen,
				"wait":    func(rt *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 200).Draw(rt, "seconds")) * time.Second) },
				"":        m.check,
			})
		})
	})
}

// model is what the store should hold.
type model struct {
	path     string
	s        *Store
	sendings map[campaign.ID]*modelled
	order    []campaign.ID
}

type modelled struct {
	state     campaign.State
	sliced    bool
	has       []int // messages by row
	outcomes  [][]campaign.Outcome
	attempts  [][]int
	nextAt    map[[2]int]time.Time
	closed    campaign.Outcome
	channels  []string
	perRow    func(row int) string // channel
	scheduled time.Time
}

const modelCapacity = 7

func (m *model) open(rt *rapid.T) {
	s, err := Open(m.path, Options{NoSync: true, InitialMmapSize: 1 << 20})
	if err != nil {
		rt.Fatalf("open: %v", err)
	}
	m.s = s
}

// some draws a sending in one of the states; nil if there is none.
func (m *model) some(rt *rapid.T, states ...campaign.State) (campaign.ID, *modelled) {
	var ids []campaign.ID
	for _, id := range m.order {
		if len(states) == 0 || slices.Contains(states, m.sendings[id].state) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return "", nil
	}
	id := rapid.SampledFrom(ids).Draw(rt, "sending")
	return id, m.sendings[id]
}

func (m *model) accept(rt *rapid.T) {
	if len(m.order) >= 4 {
		return
	}
	d := draft{rows: rapid.IntRange(1, 12).Draw(rt, "rows"), messages: rapid.IntRange(1, 3).Draw(rt, "messages"), channels: []string{"a"}}
	if rapid.IntRange(0, 9).Draw(rt, "large") == 0 {
		d.rows += campaign.ChunkRows - 6
	}
	if rapid.Bool().Draw(rt, "mixed") {
		d.channels = []string{"a", "b"}
		d.per = []int{d.messages, rapid.IntRange(1, d.messages).Draw(rt, "per b")}
	}
	d.at = time.Now().UTC().Add(time.Duration(rapid.IntRange(-60, 120).Draw(rt, "at")) * time.Second)
	k := &modelled{state: campaign.StateScheduled, channels: d.channels, nextAt: map[[2]int]time.Time{}, scheduled: d.at}
	k.perRow = func(row int) string { return d.channels[row%len(d.channels)] }
	for row := range d.rows {
		n := d.messages
		if d.per != nil {
			n = d.per[row%2]
		}
		k.has = append(k.has, n)
		k.outcomes = append(k.outcomes, make([]campaign.Outcome, n))
		k.attempts = append(k.attempts, make([]int, n))
	}
	grid := testGrid(modelCapacity)
	if k.sliced = d.rows < 100 && rapid.Bool().Draw(rt, "sliced"); !k.sliced {
		grid = nil
	}
	head := begin(rt, m.s, d)
	terms := Terms{}
	if grid != nil {
		terms.Grid, terms.Place = grid, fill(grid, d.at, head.Rows.Accepted, d.messages)
	}
	if _, err := m.s.Accept(head, terms); err != nil {
		rt.Fatalf("accept: %v", err)
	}
	m.sendings[head.ID] = k
	m.order = append(m.order, head.ID)
}

// drawMessage draws one message of the sending, by its outcome.
func (k *modelled) messages(want ...campaign.Outcome) [][2]int {
	var all [][2]int
	for row := range k.outcomes {
		if row >= 20 && row < len(k.outcomes)-20 {
			continue // of a large one both ends are enough
		}
		for i, o := range k.outcomes[row] {
			if slices.Contains(want, o) {
				all = append(all, [2]int{row, i})
			}
		}
	}
	return all
}

func (m *model) attempt(rt *rapid.T) {
	id, k := m.some(rt)
	if k == nil {
		return
	}
	all := k.messages(campaign.Pending, campaign.Retrying, campaign.Sent, campaign.InFlight)
	if len(all) == 0 {
		return
	}
	picks := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, min(5, len(all)), rapid.ID).Draw(rt, "messages")
	var entries []campaign.Entry
	var refused []int
	for i, p := range picks {
		o := k.outcomes[p[0]][p[1]]
		entries = append(entries, entry(id, p[0], p[1]+1, campaign.InFlight, k.attempts[p[0]][p[1]]+1))
		before := slices.ContainsFunc(k.outcomes[p[0]][:p[1]], func(o campaign.Outcome) bool { return o != campaign.Sent && o != campaign.InFlight })
		if !k.state.Active() || before || o != campaign.Pending && o != campaign.Retrying {
			refused = append(refused, i)
			continue
		}
		k.outcomes[p[0]][p[1]] = campaign.InFlight
		k.attempts[p[0]][p[1]]++
		delete(k.nextAt, p)
	}
	if len(refused) < len(picks) && k.state == campaign.StateScheduled {
		k.state = campaign.StateSending
	}
	err := m.s.Commit(context.Background(), entries)
	var r *campaign.Refused
	switch {
	case len(refused) == 0 && err != nil:
		rt.Fatalf("attempt: %v", err)
	case len(refused) > 0 && (!errors.As(err, &r) || !slices.Equal(r.Entries, refused)):
		rt.Fatalf("attempts refused: %v, want %v", err, refused)
	}
}

// set is what a result does.
func (k *modelled) set(row, i int, o campaign.Outcome, nextAt time.Time) {
	if !o.Final() && k.closed != campaign.Pending {
		o = k.closed
	}
	k.outcomes[row][i] = o
	delete(k.nextAt, [2]int{row, i})
	if o == campaign.Retrying {
		k.nextAt[[2]int{row, i}] = nextAt
	}
	if o.Final() && o != campaign.Sent {
		behind := o
		if o == campaign.Failed || o == campaign.Unknown {
			behind = campaign.Skipped
		}
		for j := i + 1; j < k.has[row]; j++ {
			if was := k.outcomes[row][j]; was == campaign.Pending || was == campaign.Retrying {
				k.outcomes[row][j] = behind
				delete(k.nextAt, [2]int{row, j})
			}
		}
	}
}

func (m *model) result(rt *rapid.T) {
	id, k := m.some(rt)
	if k == nil {
		return
	}
	all := k.messages(campaign.InFlight)
	if len(all) == 0 {
		return
	}
	var entries []campaign.Entry
	for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID).Draw(rt, "messages") {
		o := rapid.SampledFrom([]campaign.Outcome{campaign.Sent, campaign.Sent, campaign.Sent, campaign.Failed, campaign.Unknown, campaign.Suppressed,
			campaign.Retrying, campaign.Pending}).Draw(rt, "outcome")
		e := entry(id, p[0], p[1]+1, o, k.attempts[p[0]][p[1]])
		if o == campaign.Retrying {
			e.NextAt = time.Now().UTC().Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "after")) * time.Second)
		}
		e.Detail = o.String()
		k.set(p[0], p[1], o, e.NextAt)
		entries = append(entries, e)
	}
	if err := m.s.Commit(context.Background(), entries); err != nil {
		rt.Fatalf("result: %v", err)
	}
}

func (m *model) pause(rt *rapid.T) {
	id, k := m.some(rt, campaign.StateScheduled, campaign.StateSending, campaign.StatePaused, campaign.StateHeld)
	if k == nil {
		return
	}
	to := campaign.StatePaused
	if !k.state.Active() {
		to = campaign.StateScheduled
	}
	found, ok, err := m.s.SetState(id, []campaign.State{campaign.StateScheduled, campaign.StateSending, campaign.StatePaused}, to, "asked")
	if err != nil || ok != (k.state != campaign.StateHeld) {
		rt.Fatalf("set state: %s, %t, %v", found, ok, err)
	}
	if ok {
		k.state = found
	}
}

// closeOut is what CloseOut does.
func (k *modelled) closeOut(o campaign.Outcome) (n uint64) {
	for row := range k.outcomes {
		for i, was := range k.outcomes[row] {
			if was == campaign.Pending || was == campaign.Retrying {
				k.outcomes[row][i] = o
				n++
			}
		}
	}
	k.closed = o
	clear(k.nextAt)
	return n
}

func (m *model) cancel(rt *rapid.T) {
	id, k := m.some(rt, campaign.StateScheduled, campaign.StateSending, campaign.StatePaused)
	if k == nil || rapid.IntRange(0, 2).Draw(rt, "really") > 0 {
		return
	}
	want := k.closeOut(campaign.Canceled)
	first := rapid.Bool().Draw(rt, "state first")
	for _, state := range []bool{first, !first} {
		if state {
			if _, ok, err := m.s.SetState(id, nil, campaign.StateCanceled, "asked"); !ok || err != nil {
				rt.Fatalf("cancel: %t, %v", ok, err)
			}
		} else if n, err := m.s.CloseOut(id, campaign.Canceled); n != want || err != nil {
			rt.Fatalf("close out: %d, want %d, %v", n, want, err)
		}
	}
	k.state = campaign.StateCanceled
}

func (m *model) expire(rt *rapid.T) {
	id, k := m.some(rt, campaign.StateScheduled, campaign.StateSending)
	if k == nil || rapid.IntRange(0, 3).Draw(rt, "really") > 0 {
		return
	}
	want := k.closeOut(campaign.Expired)
	if n, err := m.s.CloseOut(id, campaign.Expired); n != want || err != nil {
		rt.Fatalf("close out: %d, want %d, %v", n, want, err)
	}
}

func (k *modelled) balanced() bool {
	return !slices.ContainsFunc(k.outcomes, func(row []campaign.Outcome) bool {
		return slices.ContainsFunc(row, func(o campaign.Outcome) bool { return !o.Final() })
	})
}

func (m *model) finish(rt *rapid.T) {
	id, k := m.some(rt)
	if k == nil {
		return
	}
	done, err := m.s.Finish(id)
	if err != nil || done != k.balanced() {
		rt.Fatalf("finish: %t, %v", done, err)
	}
	if !done {
		return
	}
	if !k.state.Final() {
		k.state = campaign.StateCompleted
	}
	if err := m.s.Filed(id); err != nil {
		rt.Fatalf("filed: %v", err)
	}
}

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
	// What is still Pending must be in a slice to come; what is not has expired.
	want := uint64(0)
	for row := range k.outcomes {
		if k.next(row) != campaign.Pending || slices.ContainsFunc(after, func(one campaign.Slice) bool {
			return uint32(row) >= one.First && uint32(row)-one.First < one.Rows && (!one.Sliced() || one.End.After(now))
		}) {
			continue
		}
		for i, o := range k.outcomes[row] {
			if o == campaign.Pending {
				k.outcomes[row][i] = campaign.Expired
				want++
			}
		}
	}
	if expired != want || want > 0 && unsent == 0 {
		rt.Fatalf("%d expired of %d that were late, want %d", expired, unsent, want)
	}
}

// next is the outcome of the row's first message without a final one.
func (k *modelled) next(row int) campaign.Outcome {
	for _, o := range k.outcomes[row] {
		if !o.Final() {
			return o
		}
	}
	return campaign.Sent
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
			}
		}
	}
	if n, err := m.s.Resend(id, outcomes, true); n != want || err != nil {
		rt.Fatalf("resend, dry: %d, want %d, %v", n, want, err)
	}
	if n, err := m.s.Resend(id, outcomes, false); n != want || err != nil {
		rt.Fatalf("resend: %d, want %d, %v", n, want, err)
	}
	if want == 0 {
		return
	}
	k.closed = campaign.Pending
	if k.state == campaign.StateCompleted {
		head, err := m.s.Header(id)
		if err != nil || !head.State.Active() || head.Filed || !head.FinishedAt.IsZero() {
			rt.Fatalf("after resend: %+v, %v", head, err)
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
				case retry[k.perRow(row)] && !k.state.Final() && k.closed == campaign.Pending:
					k.set(row, i, campaign.Pending, time.Time{})
					want.Retried++
				default:
					k.set(row, i, campaign.Unknown, time.Time{})
					want.Unknown++
				}
			}
		}
	}
	got, err := m.s.Recover(func(_ int64, channel string) bool { return retry[channel] })
	if err != nil || got != want {
		rt.Fatalf("recover: %+v, want %+v, %v", got, want, err)
	}
}

// check holds the store against the model.
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
			rt.Fatalf("%s: finished at %v, books balanced %t", id, head.FinishedAt, k.balanced())
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
		at, ok := k.dueAt(list)
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
	// It may be early: a sending's own later instant, or one that was passed since.
	if !next.IsZero() && (gotNext.IsZero() || gotNext.After(next)) {
		rt.Fatalf("next due: %v, want %v", gotNext, next)
	}
}

// dueAt is when the sending has something to do, by looking at everything.
func (k *modelled) dueAt(list []campaign.Slice) (at time.Time, ok bool) {
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
	return at, ok
}

// checkRows compares marks, slices' cover and retries.
func (m *model) checkRows(rt *rapid.T, id campaign.ID, k *modelled, list []campaign.Slice) {
	err := m.s.EachChunk(id, func(rows *campaign.Rows, marks []campaign.Mark, entries []campaign.Entry) error {
		stride := len(marks) / rows.Len()
		for i := range rows.Len() {
			row := int(rows.First) + i
			for j := range stride {
				want := campaign.NewMark(campaign.Skipped, 0)
				if j < k.has[row] {
					want = campaign.NewMark(k.outcomes[row][j], k.attempts[row][j])
				}
				if got := marks[i*stride+j]; got != want {
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
		if over := k.next(row).Final(); covers > 1 || covers == 0 && !over {
			rt.Fatalf("%s: row %d is in %d slices: %+v", id, row, covers, list)
		}
	}
	waiting, err := m.s.Retries(id)
	if err != nil || len(waiting) != len(k.nextAt) {
		rt.Fatalf("%s: retries %v, %v, want %v", id, waiting, err, k.nextAt)
	}
	for _, e := range waiting {
		at := k.nextAt[[2]int{int(e.Row), int(e.Message) - 1}]
		if !e.NextAt.Equal(at) || int(e.Attempts) != k.attempts[e.Row][e.Message-1] {
			rt.Fatalf("%s: %s", id, cmp.Diff(e.NextAt, at))
		}
	}
}
