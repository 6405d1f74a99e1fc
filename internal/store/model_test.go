package store

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"campaignd/internal/campaign"
)

// TestModel does random operations on a store and on a plain model of it, and compares the
// two after every step.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func(t *testing.T) {
			m := newModel(t)
			m.open(rt)
			defer func() { m.s.Close() }()
			rt.Repeat(m.actions())
		})
	})
}

// inBubble runs one check of a property in a bubble of its own: it begins at the same instant
// whenever its seed is run again.
func inBubble(t *testing.T, check func(*testing.T)) {
	var failed any
	synctest.Test(t, func(t *testing.T) {
		defer func() { failed = recover() }()
		check(t)
	})
	if failed != nil {
		panic(failed) // rapid ends a check so
	}
}

// actions are the random operations; that without a name is done after each of the others.
func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"accept":  m.accept,
		"attempt": m.attempt,
		"result":  m.result,
		"pause":   m.pause,
		"cancel":  m.cancel,
		"expire":  m.expire,
		"finish":  m.finish,
		"replan":  m.replan,
		"move":    m.reschedule,
		"resend":  m.resend,
		"reopen":  m.reopen,
		"compact": m.compact,
		"retire":  m.retire,
		"wait":    func(rt *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 200).Draw(rt, "seconds")) * time.Second) },
		"":        m.check,
	}
}

// model is the expected content of the store.
type model struct {
	path     string
	s        *Store
	log      *memoryLog // nil: the store isn't replicated
	sendings map[campaign.ID]*modelled
	order    []campaign.ID
}

type modelled struct {
	state       campaign.State
	sliced      bool
	has         []int // messages by row
	outcomes    [][]campaign.Outcome
	attempts    [][]int
	nextAt      map[[2]int]time.Time
	maybe       map[[2]int]bool // an attempt may have been delivered
	finalizedAs campaign.Outcome
	channels    []string
	perRow      func(row int) string // channel
	scheduled   time.Time
}

const modelCapacity = 7

func newModel(t *testing.T) *model {
	return &model{path: filepath.Join(t.TempDir(), "model.db"), sendings: map[campaign.ID]*modelled{}}
}

func (m *model) open(rt *rapid.T) {
	s, err := Open(m.path, Options{NoSync: true, Checked: m.log != nil, InitialMmapSize: 1 << 20})
	if err != nil {
		rt.Fatalf("open: %v", err)
	}
	m.s = s
	if m.log != nil {
		if err := s.Replicate(m.log, m.log.epoch()+1); err != nil {
			rt.Fatalf("replicate: %v", err)
		}
	}
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
	k := &modelled{state: campaign.StateScheduled, channels: d.channels, nextAt: map[[2]int]time.Time{}, maybe: map[[2]int]bool{}, scheduled: d.at}
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
	head.MaxLateness = time.Duration(rapid.IntRange(1, 200).Draw(rt, "max_lateness")) * time.Second
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

// drawMessage draws one message of the sending with the given outcome.
func (k *modelled) messages(want ...campaign.Outcome) [][2]int {
	var all [][2]int
	for row := range k.outcomes {
		if row >= 20 && row < len(k.outcomes)-20 {
			continue // both ends of a large one are enough
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

// set applies a result.
func (k *modelled) set(row, i int, o campaign.Outcome, nextAt time.Time, maybe bool) {
	if !o.Final() && k.finalizedAs != campaign.Pending {
		o = k.finalizedAs
	}
	if maybe {
		k.maybe[[2]int{row, i}] = true
	}
	k.outcomes[row][i] = k.ended(row, i, o)
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
				k.outcomes[row][j] = k.ended(row, j, behind)
				delete(k.nextAt, [2]int{row, j})
			}
		}
	}
}

// ended returns the outcome o, or Unknown if it is final and the message may have been delivered.
func (k *modelled) ended(row, i int, o campaign.Outcome) campaign.Outcome {
	if k.maybe[[2]int{row, i}] && o.Final() && o != campaign.Sent {
		return campaign.Unknown
	}
	return o
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
		e.MaybeDelivered = rapid.Bool().Draw(rt, "maybe delivered")
		k.set(p[0], p[1], o, e.NextAt, e.MaybeDelivered)
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

// finalize applies Finalize.
func (k *modelled) finalize(o campaign.Outcome) (ended, unknown uint64) {
	for row := range k.outcomes {
		for i, was := range k.outcomes[row] {
			if was == campaign.Pending || was == campaign.Retrying {
				if k.outcomes[row][i] = k.ended(row, i, o); k.outcomes[row][i] == o {
					ended++
				} else {
					unknown++
				}
			}
		}
	}
	k.finalizedAs = o
	clear(k.nextAt)
	return ended, unknown
}

func (m *model) cancel(rt *rapid.T) {
	id, k := m.some(rt, campaign.StateScheduled, campaign.StateSending, campaign.StatePaused)
	if k == nil || rapid.IntRange(0, 2).Draw(rt, "really") > 0 {
		return
	}
	ended, unknown := k.finalize(campaign.Canceled)
	first := rapid.Bool().Draw(rt, "state first")
	for _, state := range []bool{first, !first} {
		if state {
			if _, ok, err := m.s.SetState(id, nil, campaign.StateCanceled, "asked"); !ok || err != nil {
				rt.Fatalf("cancel: %t, %v", ok, err)
			}
		} else if n, u, err := m.s.Finalize(id, campaign.Canceled); n != ended || u != unknown || err != nil {
			rt.Fatalf("finalize: %d and %d unknown, want %d and %d, %v", n, u, ended, unknown, err)
		}
	}
	k.state = campaign.StateCanceled
}

func (m *model) expire(rt *rapid.T) {
	id, k := m.some(rt, campaign.StateScheduled, campaign.StateSending)
	if k == nil || rapid.IntRange(0, 3).Draw(rt, "really") > 0 {
		return
	}
	ended, unknown := k.finalize(campaign.Expired)
	if n, u, err := m.s.Finalize(id, campaign.Expired); n != ended || u != unknown || err != nil {
		rt.Fatalf("finalize: %d and %d unknown, want %d and %d, %v", n, u, ended, unknown, err)
	}
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
	if err := m.s.Filed(id, false); err != nil {
		rt.Fatalf("filed: %v", err)
	}
}
