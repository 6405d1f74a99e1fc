package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openTest opens a fresh store whose commits needn't survive a power cut.
func openTest(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "test.db"))
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path, Options{NoSync: true, InitialMmapSize: 64 << 20})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// testGrid has slots of a minute with room for capacity messages.
func testGrid(capacity uint32) *plan.Grid { return &plan.Grid{Slot: time.Minute, Capacity: capacity} }

// fill assigns slots greedily from the instant from on, considering reservations.
func fill(grid *plan.Grid, from time.Time, recipients uint32, messages int) func(plan.Reservations) ([]plan.Placement, error) {
	return func(b plan.Reservations) ([]plan.Placement, error) {
		var out []plan.Placement
		for slot := grid.Number(from); recipients > 0; slot++ {
			var have [1]uint32
			if err := b.Reserved(slot, have[:]); err != nil {
				return nil, err
			}
			n := min((grid.Capacity-have[0])/uint32(messages), recipients)
			if n == 0 {
				continue
			}
			start := grid.Start(slot)
			if start.Before(from) {
				start = from
			}
			out = append(out, plan.Placement{Slot: slot, Start: start, End: grid.Start(slot + 1), Recipients: n})
			recipients -= n
		}
		return out, nil
	}
}

// draft describes a sending to be accepted.
type draft struct {
	rows     int
	messages int
	channels []string
	per      []int // messages a channel, if they differ
	at       time.Time
	digest   string
	dryRun   bool
	receipts bool
}

func contents(d draft) []campaign.Content {
	var out []campaign.Content
	if d.per == nil {
		for i := range d.messages {
			out = append(out, campaign.Content{Item: json.RawMessage(fmt.Sprintf(`{"body":"%d"}`, i))})
		}
		return out
	}
	for c, n := range d.per {
		for i := range n {
			out = append(out, campaign.Content{ChannelType: d.channels[c], Item: json.RawMessage(fmt.Sprintf(`{"body":"%d"}`, i))})
		}
	}
	return out
}

// rowsOf makes the chunks of a draft.
func rowsOf(d draft) []*campaign.Rows {
	var out []*campaign.Rows
	for first := 0; first < d.rows; first += campaign.ChunkRows {
		r := &campaign.Rows{}
		r.Reset(uint32(first), 2)
		for i := first; i < min(first+campaign.ChunkRows, d.rows); i++ {
			r.Lines = append(r.Lines, uint32(i+2))
			r.Channels = append(r.Channels, uint8(i%len(d.channels)))
			r.Contacts.AppendString(fmt.Sprintf("346%08d", i))
			r.Values[0].AppendString(fmt.Sprintf("name %d", i))
			r.Values[1].AppendString("")
		}
		out = append(out, r)
	}
	return out
}

// pack packs one chunk.
func pack(rows *campaign.Rows) Packed { return new(Packer).Pack(rows) }

// failer is the common part of testing.TB and rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// begin stores a draft up to, but without, its acceptance.
func begin(t failer, s *Store, d draft) *campaign.Sending {
	t.Helper()
	if d.channels == nil {
		d.channels = []string{"cloud_api"}
	}
	if d.messages == 0 {
		d.messages = 1
	}
	head := &campaign.Sending{Name: "spring", Inbox: "inbox", ApplicationID: 1, CampaignID: 7}
	if err := s.Begin(head, nil); err != nil {
		t.Fatalf("begin: %v", err)
	}
	var chunks []Packed
	planned := 0
	for _, r := range rowsOf(d) {
		chunks = append(chunks, pack(r))
		for _, c := range r.Channels {
			if d.per == nil {
				planned += d.messages
			} else {
				planned += d.per[c]
			}
		}
	}
	if err := s.AppendRows(head.ID, chunks); err != nil {
		t.Fatalf("append: %v", err)
	}
	head.Channels, head.Contents, head.Variables = d.channels, contents(d), []string{"name", "none"}
	head.Rows = campaign.RowCounts{Total: uint32(d.rows), Accepted: uint32(d.rows)}
	head.Planned = uint64(planned)
	head.ScheduledAt = d.at
	if d.at.IsZero() {
		head.ScheduledAt = time.Now().UTC()
	}
	head.Digest, head.DryRun, head.Receipts = d.digest, d.dryRun, d.receipts
	return head
}

// accept stores and accepts a draft, sliced if there is a grid.
func accept(t testing.TB, s *Store, d draft, grid *plan.Grid) *campaign.Sending {
	t.Helper()
	head := begin(t, s, d)
	terms := Terms{DuplicateWindow: 24 * time.Hour}
	if grid != nil {
		terms.Grid = grid
		terms.Place = fill(grid, head.ScheduledAt, head.Rows.Accepted, max(d.messages, 1))
	}
	if _, err := s.Accept(head, terms); err != nil {
		t.Fatalf("accept: %v", err)
	}
	return head
}

func entry(id campaign.ID, row int, message int, o campaign.Outcome, attempts int) campaign.Entry {
	return campaign.Entry{Sending: id, Row: uint32(row), Message: uint8(message), Outcome: o, Attempts: uint8(attempts),
		At: time.Now().UTC().Truncate(time.Millisecond)}
}

func commit(t testing.TB, s *Store, entries ...campaign.Entry) {
	t.Helper()
	if err := s.Commit(context.Background(), entries); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// recoverOwn recovers a store that no worker sends for.
func recoverOwn(s *Store, retry func(application int64, channelType string) bool) (Recovered, error) {
	return s.Recover(func(int64, string) bool { return false }, retry)
}

// resend moves messages with one of the outcomes back to Pending, or counts them.
func resend(s *Store, id campaign.ID, outcomes []campaign.Outcome, dryRun bool) (uint64, error) {
	resent, err := s.Resend(id, Resending{Outcomes: outcomes, DryRun: dryRun})
	return resent.Moved.Final(), err
}

// setState changes a sending's state from any that allows it.
func setState(t testing.TB, s *Store, id campaign.ID, to campaign.State, reason string) {
	t.Helper()
	if found, ok, err := s.SetState(id, nil, to, reason); !ok || err != nil {
		t.Fatalf("set state of %s to %s: got %s, %t, %v", id, to, found, ok, err)
	}
}

// finish ends a sending whose messages all have an outcome.
func finish(t testing.TB, s *Store, id campaign.ID) {
	t.Helper()
	if done, err := s.Finish(id); !done || err != nil {
		t.Fatalf("finish %s: got %t, %v, want it done", id, done, err)
	}
}

func wantCounts(t testing.TB, s *Store, id campaign.ID, want map[campaign.Outcome]uint64) {
	t.Helper()
	_, _, counts, err := s.Load(id)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	var all campaign.Counts
	for o, n := range want {
		all[o] = n
	}
	if counts != all {
		t.Errorf("counts of %s: %v, want %v", id, counts, all)
	}
}

func wantState(t testing.TB, s *Store, id campaign.ID, want campaign.State) *campaign.Sending {
	t.Helper()
	head, err := s.Header(id)
	if err != nil {
		t.Fatalf("header: %v", err)
	}
	if head.State != want {
		t.Errorf("state of %s: %s, want %s", id, head.State, want)
	}
	return head
}

func verify(t testing.TB, s *Store) {
	t.Helper()
	if found := s.Verify(true); len(found) > 0 {
		t.Errorf("verify: %q", found)
	}
}

func TestLifeOfASending(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 5000, messages: 2}, nil)
	verify(t, s)
	ids, _, err := s.Due(time.Now())
	switch {
	case err != nil:
		t.Fatalf("due: %v", err)
	case len(ids) != 1:
		t.Fatalf("due: len(ids) = %v, want 1: %+v", len(ids), ids)
	case ids[0] != head.ID:
		t.Fatalf("due: ids[0] = %q, want %q", ids[0], head.ID)
	}
	var all []campaign.Entry
	for row := range 5000 {
		all = append(all, entry(head.ID, row, 1, campaign.InFlight, 1))
	}
	commit(t, s, all...)
	if got := wantState(t, s, head.ID, campaign.StateSending); got.StartedAt.IsZero() {
		t.Error("the first attempt set no StartedAt")
	}
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.InFlight: 5000, campaign.Pending: 5000})
	verify(t, s)
	for i := range all {
		all[i].Outcome, all[i].Provider = campaign.Sent, fmt.Sprintf("wamid.%d", i)
	}
	all[7].Outcome, all[7].Code, all[7].Provider = campaign.Failed, "131026", ""
	commit(t, s, all...)
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Sent: 4999, campaign.Failed: 1, campaign.Skipped: 1, campaign.Pending: 4999})
	verify(t, s)
	if done, err := s.Finish(head.ID); done || err != nil {
		t.Fatalf("finish: %t, %v", done, err)
	}
	for i := range all {
		all[i].Message, all[i].Outcome = 2, campaign.InFlight
	}
	var refused *campaign.Refused
	switch err := s.Commit(context.Background(), all); {
	case !errors.As(err, &refused):
		t.Fatal("attempt for a skipped message: errors.As(err, &refused) = false, want true")
	case !cmp.Equal(refused.Entries, []int{7}):
		t.Fatalf("attempt for a skipped message: refused entries %v, want 7", refused.Entries)
	}
	all = append(all[:7], all[8:]...)
	for i := range all {
		all[i].Outcome = campaign.Sent
	}
	commit(t, s, all...)
	if ids, _, _ := s.Due(time.Now()); len(ids) != 1 {
		t.Errorf("a sending that wants Finish is due, got %v", ids)
	}
	finish(t, s, head.ID)
	if got := wantState(t, s, head.ID, campaign.StateCompleted); got.FinishedAt.IsZero() {
		t.Error("no FinishedAt")
	}
	verify(t, s)
	for head, err := range s.Unfiled() {
		if err != nil || head.State != campaign.StateCompleted {
			t.Errorf("unfiled: %v, %v", head, err)
		}
	}
	if err := s.Filed(head.ID, false); err != nil {
		t.Fatal(err)
	}
	for head := range s.Unfiled() {
		t.Errorf("unfiled: %v", head.ID)
	}
	verify(t, s)
	rows, entries := 0, 0
	err = s.EachChunk(head.ID, func(r *campaign.Rows, statuses []campaign.MessageStatus, list []campaign.Entry) error {
		want := rowsOf(draft{rows: 5000, channels: []string{"x"}})[r.First/campaign.ChunkRows]
		if diff := cmp.Diff(want, r); diff != "" {
			t.Error(diff)
		}
		for _, e := range list {
			if m := statuses[(e.Row-r.First)*2+uint32(e.Message)-1]; m.Outcome() != e.Outcome {
				t.Errorf("row %d: mark %v, entry %v", e.Row, m.Outcome(), e.Outcome)
			}
		}
		rows, entries = rows+r.Len(), entries+len(list)
		return nil
	})
	switch {
	case err != nil:
		t.Errorf("each chunk: %v", err)
	case rows != 5000:
		t.Errorf("each chunk: rows = %v, want 5000", rows)
	case entries != 9999:
		t.Errorf("each chunk: entries = %v, want 9999", entries)
	}
	if n, err := prune(s, time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("prune: %d, %v", n, err)
	}
	if _, err := s.Header(head.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("header after prune: %v", err)
	}
	verify(t, s)
}
