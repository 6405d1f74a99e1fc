package send

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
	"campaignd/internal/store"
)

// testStore is a store of the product, in virtual time. Each of its operations can fail or take time.
type testStore struct {
	*store.Store
	t testing.TB

	mu         sync.Mutex        // guards the fields below
	all        []campaign.ID     // sendings that add accepted
	to         map[string]string // numbers of contacts that add accepts
	commits    int
	replans    int
	fail       func(op string) error // nil: nothing fails
	slowCommit time.Duration         // how long a commit takes
}

func newTestStore(t testing.TB) *testStore {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "test.db"), store.Options{NoSync: true, InitialMmapSize: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &testStore{Store: s, t: t}
}

// add accepts a sending of n recipients on its channels in turn. Slices have the recipients in order.
func (s *testStore) add(head campaign.Sending, n int, slices ...campaign.Slice) campaign.ID {
	s.t.Helper()
	if head.ApplicationID == 0 {
		head.ApplicationID = 1
	}
	if head.Channels == nil {
		head.Channels = []string{"c"}
	}
	if head.Contents == nil {
		head.Contents = []campaign.Content{{Item: []byte(`{"body":"hi {{name}}"}`)}}
	}
	if head.MaxLateness == 0 {
		head.MaxLateness = 24 * time.Hour
	}
	s.must(s.Begin(&head, nil))
	head.Variables, head.Rows.Accepted = []string{"name"}, uint32(n)
	var rows campaign.Rows
	for i := range n {
		if i%campaign.ChunkRows == 0 {
			rows.Reset(uint32(i), 1)
		}
		channel, contact := i%len(head.Channels), fmt.Sprintf("34600%06d", i)
		rows.Lines = append(rows.Lines, uint32(i+2))
		rows.Channels = append(rows.Channels, uint8(channel))
		rows.Contacts.AppendString(contact)
		rows.Normal.AppendString(s.to[contact])
		rows.Values[0].AppendString(fmt.Sprintf("n%d", i))
		head.Planned += uint64(len(campaign.ContentsFor(head.Contents, head.Channels[channel])))
		if rows.Len() == campaign.ChunkRows || i == n-1 {
			s.must(s.AppendRows(head.ID, []store.Packed{new(store.Packer).Pack(&rows)}))
		}
	}
	var terms store.Terms
	if len(slices) > 0 {
		terms.Grid = &plan.Grid{Slot: slices[0].End.Sub(slices[0].Start), Capacity: 1 << 20}
		terms.Place = func(plan.Reservations) (list []plan.Placement, err error) {
			for _, one := range slices {
				list = append(list, plan.Placement{Slot: terms.Grid.Number(one.Start), Start: one.Start, End: one.End, Recipients: one.Recipients})
			}
			return list, nil
		}
	}
	_, err := s.Accept(&head, terms)
	s.must(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, head.ID)
	return head.ID
}

func (s *testStore) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// setFail makes the operations fail for which fail returns an error.
func (s *testStore) setFail(fail func(op string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// err returns the error that the test wants of an operation.
func (s *testStore) err(op string) error {
	s.mu.Lock()
	fail := s.fail
	s.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(op)
}

func (s *testStore) Due(until time.Time) ([]campaign.ID, time.Time, error) {
	if err := s.err("due"); err != nil {
		return nil, time.Time{}, err
	}
	return s.Store.Due(until)
}

func (s *testStore) Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error) {
	if err := s.err("load"); err != nil {
		return nil, nil, campaign.Counts{}, err
	}
	return s.Store.Load(id)
}

func (s *testStore) Rows(id campaign.ID, chunk uint32, rows *campaign.Rows, statuses []campaign.MessageStatus) ([]campaign.MessageStatus, error) {
	if err := s.err("rows " + string(id)); err != nil {
		return nil, err
	}
	return s.Store.Rows(id, chunk, rows, statuses)
}

func (s *testStore) Retries(id campaign.ID, limit int) ([]campaign.Entry, error) {
	if err := s.err("retries"); err != nil {
		return nil, err
	}
	return s.Store.Retries(id, limit)
}

func (s *testStore) Commit(ctx context.Context, entries []campaign.Entry) error {
	time.Sleep(s.slowCommit) // virtual time
	for _, e := range entries {
		op := "results"
		if e.Outcome == campaign.InFlight {
			op = "attempts"
		}
		if err := s.err(op); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.commits++
	s.mu.Unlock()
	return s.Store.Commit(ctx, entries)
}

func (s *testStore) SetState(id campaign.ID, from []campaign.State, to campaign.State, reason string) (campaign.State, bool, error) {
	if err := s.err("state"); err != nil {
		return "", false, err
	}
	return s.Store.SetState(id, from, to, reason)
}

func (s *testStore) Replan(id campaign.ID, grid plan.Grid, now time.Time) ([]campaign.Slice, uint64, error) {
	s.mu.Lock()
	s.replans++
	s.mu.Unlock()
	return s.Store.Replan(id, grid, now)
}

func (s *testStore) Finalize(id campaign.ID, o campaign.Outcome) (ended, unknown uint64, err error) {
	if err := s.err("close"); err != nil {
		return 0, 0, err
	}
	return s.Store.Finalize(id, o)
}

func (s *testStore) Finish(id campaign.ID) (bool, error) {
	if err := s.err("finish"); err != nil {
		return false, err
	}
	return s.Store.Finish(id)
}

func (s *testStore) OptedOut(application int64, channelType string, contact []byte) (bool, error) {
	if err := s.err("suppressed"); err != nil {
		return false, err
	}
	return s.Store.OptedOut(application, channelType, contact)
}

// optOut adds opt-outs from channel c.
func (s *testStore) optOut(contacts ...string) {
	s.t.Helper()
	var list []store.OptOut
	for _, contact := range contacts {
		list = append(list, store.OptOut{ApplicationID: 1, ChannelType: "c", ContactCode: contact})
	}
	_, err := s.AddOptOuts(list)
	s.must(err)
}

// move changes a sending's state behind the dispatcher's back.
func (s *testStore) move(id campaign.ID, to campaign.State) {
	s.t.Helper()
	_, _, err := s.Store.SetState(id, nil, to, "")
	s.must(err)
}

// header returns a sending's header.
func (s *testStore) header(id campaign.ID) *campaign.Sending {
	s.t.Helper()
	head, err := s.Header(id)
	s.must(err)
	return head
}

// state returns a sending's state and counts.
func (s *testStore) state(id campaign.ID) (campaign.State, campaign.Counts) {
	s.t.Helper()
	head, _, counts, err := s.Store.Load(id)
	s.must(err)
	return head.State, counts
}

// entry returns the latest detail of a recipient's first message.
func (s *testStore) entry(id campaign.ID, row uint32) (found campaign.Entry) {
	s.t.Helper()
	s.must(s.EachChunk(id, func(_ *campaign.Rows, _ []campaign.MessageStatus, entries []campaign.Entry) error {
		for _, e := range entries {
			if e.Row == row && e.Message == 1 {
				found = e
			}
		}
		return nil
	}))
	return found
}

// wantState fails the test unless the sending is in state with n messages of the outcome.
func (s *testStore) wantState(t *testing.T, id campaign.ID, state campaign.State, o campaign.Outcome, n uint64) {
	t.Helper()
	got, counts := s.state(id)
	if got != state {
		t.Errorf("sending %s is %s with counts %v, want %s", id, got, counts, state)
	}
	if counts[o] != n {
		t.Errorf("sending %s has %d %s of %v, want %d", id, counts[o], o, counts, n)
	}
}
