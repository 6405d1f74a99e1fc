package send

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// flat is a Book of one sending whose rows are all alike: what it costs is next to nothing.
type benchStore struct {
	s        campaign.Sending
	statuses []campaign.MessageStatus
	final    uint64
	ended    chan struct{}
	commit   int
	mu       chan struct{}
}

func newBenchStore(n int) *benchStore {
	b := &benchStore{statuses: make([]campaign.MessageStatus, n), ended: make(chan struct{}), mu: make(chan struct{}, 1)}
	b.s = campaign.Sending{ID: campaign.NewID(time.Now(), 1), ApplicationID: 1, CampaignID: 7, Tag: "0123abcd",
		Channels: []string{"c"}, Variables: []string{"name", "ticket"}, Messages: 1, Planned: uint64(n),
		Contents: []campaign.Content{{Item: json.RawMessage(`{"body":"Hello {{name}}, your ticket {{ticket}} is ready"}`)}},
		State:    campaign.StateScheduled, MaxLateness: 24 * time.Hour}
	return b
}

func (b *benchStore) Due(time.Time) ([]campaign.ID, time.Time, error) {
	if b.s.State.Active() {
		return []campaign.ID{b.s.ID}, time.Time{}, nil
	}
	return nil, time.Time{}, nil
}

func (b *benchStore) Load(campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error) {
	s := b.s
	return &s, []campaign.Slice{{Start: time.Now(), Rows: uint32(len(b.statuses))}}, campaign.Counts{}, nil
}

func (b *benchStore) Rows(_ campaign.ID, number uint32, rows *campaign.Rows, marks []campaign.MessageStatus) ([]campaign.MessageStatus, error) {
	first := number * campaign.ChunkRows
	rows.Reset(first, 2)
	contact, name, ticket := []byte("34666000000"), []byte("Ana García"), []byte("T-000001")
	for i := first; i < min(first+campaign.ChunkRows, uint32(len(b.statuses))); i++ {
		rows.Lines = append(rows.Lines, i+2)
		rows.Channels = append(rows.Channels, 0)
		rows.Contacts.Append(contact)
		rows.Values[0].Append(name)
		rows.Values[1].Append(ticket)
	}
	return append(marks, b.statuses[first:min(int(first)+campaign.ChunkRows, len(b.statuses))]...), nil
}

func (b *benchStore) Retries(campaign.ID, int) ([]campaign.Entry, error) { return nil, nil }

func (b *benchStore) Retry(campaign.ID, uint32, uint8) (code, detail string, err error) {
	return "", "", nil
}

func (b *benchStore) Commit(_ context.Context, entries []campaign.Entry) error {
	b.mu <- struct{}{}
	b.commit++
	for i := range entries {
		e := &entries[i]
		b.statuses[e.Row] = campaign.NewMessageStatus(e.Outcome, int(e.Attempts))
		if e.Outcome.Final() {
			b.final++
		}
	}
	<-b.mu
	return nil
}

func (b *benchStore) SetState(campaign.ID, []campaign.State, campaign.State, string) (campaign.State, bool, error) {
	return "", false, nil
}
func (b *benchStore) Replan(campaign.ID, plan.Grid, time.Time) ([]campaign.Slice, uint64, error) {
	return nil, 0, nil
}
func (b *benchStore) Finalize(campaign.ID, campaign.Outcome) (ended, unknown uint64, err error) {
	return 0, 0, nil
}
func (b *benchStore) Finish(campaign.ID) (bool, error) {
	if b.final != b.s.Planned {
		return false, nil
	}
	b.s.State = campaign.StateCompleted
	close(b.ended)
	return true, nil
}
func (b *benchStore) OptedOut(int64, string, []byte) (bool, error)   { return false, nil }
func (b *benchStore) SetBlocked(campaign.ID, bool, time.Time) error  { return nil }
func (b *benchStore) AttemptsSince(int64, time.Time) (uint64, error) { return 0, nil }
func (b *benchStore) OptOutVersion() uint64                          { return 0 }

// quick is a channel that takes everything.
type quick struct {
	fake
	n int
}

func (q *quick) Batch() int { return q.n }
func (q *quick) Send(_ context.Context, msgs []*Message, results []Result) {
	for i := range msgs {
		results[i].Verdict = VerdictSent
	}
}

// BenchmarkDispatchNull is the dispatcher's own cost a message, with a book and
// a channel that cost nothing.
func BenchmarkDispatchNull(b *testing.B) {
	for _, batch := range []int{1, 1024} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			b.ReportAllocs()
			book := newBenchStore(max(b.N, 1))
			d := New(Options{Store: book})
			d.Configure([]Application{{ID: 1, Channels: []ChannelSettings{{Name: "c", Channel: &quick{n: batch}, Concurrency: 64, OnUnknown: RetryUnknown}}}})
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error)
			b.ResetTimer()
			go func() { done <- d.Run(ctx) }()
			<-book.ended
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			cancel()
			<-done
		})
	}
}

// BenchmarkHandOver is the check at hand-over of a call with one message, within sending windows and
// a slot. make bench compares it with what a webhook message costs.
func BenchmarkHandOver(b *testing.B) {
	open := windows(b, "* * * * *")
	cs := newChannelSender(newEnvironment(Options{Store: newBenchStore(1)}), nil, 1, "c")
	gate := cs.gate
	gate.rules.Store(&rules{window: &sendingWindow{windows: open}, grid: &plan.Grid{Slot: time.Minute, Capacity: math.MaxUint32, Windows: open}, slots: &slotMeter{}})
	it := item{cursor: &sendingCursor{run: newRun(b.Context(), "x")}, sliced: true, slotEnd: math.MaxInt64}
	var m Message
	for b.Loop() {
		gate.enter()
		h := gate.begin()
		v := gate.check(&it, &m, &h)
		gate.leave()
		if v != 0 {
			b.Fatal("the message may not go")
		}
	}
}
