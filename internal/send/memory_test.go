package send

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// memoryStore is a Store in plain maps: slow, and right by looking at it. Each of its operations can
// fail or take time, and a test can change a sending between two of them.
type memoryStore struct {
	mu         sync.Mutex
	sendings   map[campaign.ID]*memorySending
	suppressed map[string]bool
	to         map[string]string // numbers of contacts
	commits    int
	attempted  uint64                // in the slot in which the process started, by an earlier process
	fail       func(op string) error // nil: nothing fails
	slowCommit time.Duration         // a commit takes so long
	now        func() time.Time
}

// memorySending is one sending with a status and the last entry of every message.
type memorySending struct {
	s        campaign.Sending
	slices   []campaign.Slice
	rows     []recipient
	statuses [][]campaign.MessageStatus
	last     [][]campaign.Entry
	closed   int
	replans  int
}

type recipient struct {
	line    uint32
	channel uint8
	contact string
	values  []string
}

func newMemoryStore() *memoryStore {
	return &memoryStore{sendings: map[campaign.ID]*memorySending{}, suppressed: map[string]bool{}, now: time.Now}
}

// add accepts a sending of n recipients on its channels in turn.
func (m *memoryStore) add(s campaign.Sending, n int, slices ...campaign.Slice) campaign.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.ID == "" {
		s.ID = campaign.NewID(time.Now(), uint64(len(m.sendings)+1))
	}
	if s.ApplicationID == 0 {
		s.ApplicationID = 1
	}
	if s.Channels == nil {
		s.Channels = []string{"c"}
	}
	if s.Contents == nil {
		s.Contents = []campaign.Content{{Item: []byte(`{"body":"hi {{name}}"}`)}}
	}
	if s.MaxLateness == 0 {
		s.MaxLateness = 24 * time.Hour
	}
	s.Tag, s.Variables, s.State = "0123abcd", []string{"name"}, campaign.StateScheduled
	s.Messages, s.Sliced = 1, len(slices) > 0
	k := &memorySending{s: s, slices: slices}
	for i := range n {
		c := uint8(i % len(s.Channels))
		k.rows = append(k.rows, recipient{uint32(i + 2), c, fmt.Sprintf("34600%06d", i), []string{fmt.Sprintf("n%d", i)}})
		k.s.Messages = max(k.s.Messages, len(campaign.ContentsFor(s.Contents, s.Channels[c])))
	}
	for _, r := range k.rows {
		marks := make([]campaign.MessageStatus, k.s.Messages)
		for j := range marks {
			if j >= len(campaign.ContentsFor(s.Contents, s.Channels[r.channel])) {
				marks[j] = campaign.NewMessageStatus(campaign.Skipped, 0)
				continue
			}
			k.s.Planned++
		}
		k.statuses = append(k.statuses, marks)
		k.last = append(k.last, make([]campaign.Entry, k.s.Messages))
	}
	if len(slices) == 0 {
		k.slices = []campaign.Slice{{Start: s.ScheduledAt, Rows: uint32(n), Recipients: uint32(n)}}
	}
	m.sendings[s.ID] = k
	return s.ID
}

func (k *memorySending) messages(row int) int {
	return len(campaign.ContentsFor(k.s.Contents, k.s.Channels[k.rows[row].channel]))
}

func (k *memorySending) counts() (c campaign.Counts) {
	for i, marks := range k.statuses {
		for j := range k.messages(i) {
			c[marks[j].Outcome()]++
		}
	}
	return c
}

// unsent reports whether a recipient's next message is pending.
func (k *memorySending) unsent(row int) bool {
	for j := range k.messages(row) {
		if o := k.statuses[row][j].Outcome(); !o.Final() {
			return o == campaign.Pending
		}
	}
	return false
}

// underWay reports whether a recipient has a message without a final outcome.
func (k *memorySending) inFlight(row int) bool {
	for j := range k.messages(row) {
		if !k.statuses[row][j].Outcome().Final() {
			return true
		}
	}
	return false
}

func (m *memoryStore) err(op string) error {
	if m.fail != nil {
		return m.fail(op)
	}
	return nil
}

func (m *memoryStore) Due(until time.Time) (ids []campaign.ID, next time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.err("due"); err != nil {
		return nil, next, err
	}
	for id, k := range m.sendings {
		if !k.s.State.Active() {
			continue
		}
		var first time.Time
		at := func(t time.Time) {
			if first.IsZero() || t.Before(first) {
				first = t
			}
		}
		if k.counts().Final() == k.s.Planned {
			at(until)
		}
		for _, s := range k.slices {
			for r := s.First; r < s.First+s.Rows; r++ {
				if k.unsent(int(r)) {
					at(s.Start)
					break
				}
			}
		}
		for i, marks := range k.statuses {
			for j := range marks {
				if marks[j].Outcome() == campaign.Retrying {
					at(k.last[i][j].NextAt)
					expiry, _ := plan.Expiry(&k.s, k.slices, nil)
					at(expiry)
				}
			}
		}
		switch {
		case first.IsZero():
		case !first.After(until):
			ids = append(ids, id)
		case next.IsZero() || first.Before(next):
			next = first
		}
	}
	slices.Sort(ids)
	return ids, next, nil
}

func (m *memoryStore) Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.sendings[id]
	if k == nil {
		return nil, nil, campaign.Counts{}, fmt.Errorf("no sending %q", id)
	}
	s := k.s
	return &s, slices.Clone(k.slices), k.counts(), m.err("load")
}

func (m *memoryStore) Rows(id campaign.ID, chunk uint32, rows *campaign.Rows, marks []campaign.MessageStatus) ([]campaign.MessageStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.err("rows " + string(id)); err != nil {
		return nil, err
	}
	k := m.sendings[id]
	first := chunk * campaign.ChunkRows
	rows.Reset(first, 1)
	marks = marks[:0]
	for i := first; i < min(first+campaign.ChunkRows, uint32(len(k.rows))); i++ {
		r := k.rows[i]
		rows.Lines = append(rows.Lines, r.line)
		rows.Channels = append(rows.Channels, r.channel)
		rows.Contacts.AppendString(r.contact)
		rows.Normal.AppendString(m.to[r.contact])
		rows.Values[0].AppendString(r.values[0])
		marks = append(marks, k.statuses[i]...)
	}
	return marks, nil
}

func (m *memoryStore) Retries(id campaign.ID) (out []campaign.Entry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.sendings[id]
	for i, marks := range k.statuses {
		for j := range marks {
			if marks[j].Outcome() == campaign.Retrying {
				out = append(out, k.last[i][j])
			}
		}
	}
	slices.SortFunc(out, func(a, b campaign.Entry) int { return a.NextAt.Compare(b.NextAt) })
	return out, m.err("retries")
}

func (m *memoryStore) FirstRetry(id campaign.ID) (campaign.Entry, bool, error) {
	list, err := m.Retries(id)
	if len(list) == 0 {
		return campaign.Entry{}, false, err
	}
	return list[0], true, err
}

func (m *memoryStore) Commit(_ context.Context, entries []campaign.Entry) error {
	if m.slowCommit > 0 {
		time.Sleep(m.slowCommit) // virtual time
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		op := "results"
		if e.Outcome == campaign.InFlight {
			op = "attempts"
		}
		if err := m.err(op); err != nil {
			return err
		}
	}
	m.commits++
	var refused campaign.Refused
	for i, e := range entries {
		k := m.sendings[e.Sending]
		was := k.statuses[e.Row][e.Message-1].Outcome()
		if e.Outcome == campaign.InFlight {
			if !k.s.State.Active() || was != campaign.Pending && was != campaign.Retrying {
				refused.Entries = append(refused.Entries, i)
				continue
			}
			if k.s.State == campaign.StateScheduled {
				k.s.State, k.s.StartedAt = campaign.StateSending, e.At
			}
		} else if was.Final() {
			panic(fmt.Sprintf("%s row %d: %s after the final %s", e.Sending, e.Row, e.Outcome, was))
		}
		to, maybe := e.Outcome, e.MaybeDelivered || k.statuses[e.Row][e.Message-1].MaybeDelivered()
		if maybe {
			to = to.IfMaybeDelivered()
		}
		status := campaign.NewMessageStatus(to, int(e.Attempts))
		if maybe {
			status = status.WithMaybeDelivered()
		}
		k.statuses[e.Row][e.Message-1] = status
		k.last[e.Row][e.Message-1] = e
		if e.Outcome.Final() && e.Outcome != campaign.Sent {
			for j := int(e.Message); j < k.messages(int(e.Row)); j++ {
				k.statuses[e.Row][j] = k.statuses[e.Row][j].After(e.Outcome)
			}
		}
	}
	if len(refused.Entries) > 0 {
		return &refused
	}
	return nil
}

func (m *memoryStore) SetState(id campaign.ID, from []campaign.State, to campaign.State, reason string) (campaign.State, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.err("state"); err != nil {
		return "", false, err
	}
	k := m.sendings[id]
	if !slices.Contains(from, k.s.State) {
		return k.s.State, false, nil
	}
	if !k.s.State.CanBecome(to) {
		return k.s.State, false, fmt.Errorf("illegal move from %s to %s", k.s.State, to)
	}
	k.s.State, k.s.Reason = to, reason
	return to, true, nil
}

func (m *memoryStore) Finalize(id campaign.ID, o campaign.Outcome) (ended, unknown uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.err("close"); err != nil {
		return 0, 0, err
	}
	k := m.sendings[id]
	k.closed++
	for i, marks := range k.statuses {
		for j := range k.messages(i) {
			if was := marks[j].Outcome(); !was.Final() && was != campaign.InFlight {
				becomes := o
				if marks[j].MaybeDelivered() {
					becomes = o.IfMaybeDelivered()
				}
				if becomes == o {
					ended++
				} else {
					unknown++
				}
				marks[j] = campaign.NewMessageStatus(becomes, marks[j].Attempts())
			}
		}
	}
	return ended, unknown, nil
}

func (m *memoryStore) Finish(id campaign.ID) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.err("finish"); err != nil {
		return false, err
	}
	k := m.sendings[id]
	if k.counts().Final() != k.s.Planned {
		return false, nil
	}
	if k.s.State != campaign.StateCanceled {
		k.s.State = campaign.StateCompleted
	}
	k.s.FinishedAt = m.now()
	return true, nil
}

func (m *memoryStore) SetBlocked(id campaign.ID, blocked bool, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sendings[id].s.SetBlocked(blocked, at)
	return nil
}

// optOut adds an opt-out of every channel's contact.
func (m *memoryStore) optOut(channelType, contactCode string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suppressed[channelType+" "+contactCode] = true
}

func (m *memoryStore) AttemptsSince(_ int64, since time.Time) (uint64, error) {
	if !since.After(m.now()) {
		return m.attempted, nil
	}
	return 0, nil
}

func (m *memoryStore) OptOutVersion() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uint64(len(m.suppressed))
}

func (m *memoryStore) OptedOut(_ int64, channelType string, contactCode []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.suppressed[channelType+" "+string(contactCode)], m.err("suppressed")
}

// state is a sending's state and counts.
func (m *memoryStore) state(id campaign.ID) (campaign.State, campaign.Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sendings[id].s.State, m.sendings[id].counts()
}

// change changes a sending as a person would behind the dispatcher's back.
func (m *memoryStore) change(id campaign.ID, fn func(*memorySending)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn(m.sendings[id])
}

// wantState fails the test unless the sending stands at state with n messages of the outcome.
func (m *memoryStore) wantState(t *testing.T, id campaign.ID, state campaign.State, o campaign.Outcome, n uint64) {
	t.Helper()
	if got, counts := m.state(id); got != state || counts[o] != n {
		t.Errorf("sending %s: state %s, counts %v; want %s with %d %s", id, got, counts, state, n, o)
	}
}
