package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// testRows makes rows of a typical campaign and returns them with their size as CSV.
func testRows(n int) ([]*campaign.Rows, int) {
	names := []string{"Ana", "José Luis", "María del Carmen", "Wei", "Olga", "Søren", "Ibrahim", "Chloé", "Jürgen", "Nuria"}
	rnd := mrand.New(mrand.NewPCG(1, 2))
	var out []*campaign.Rows
	bytes := len("contactCode,channelType,name,ticket_id,edad\n")
	for first := 0; first < n; first += campaign.ChunkRows {
		r := &campaign.Rows{}
		r.Reset(uint32(first), 3)
		for i := first; i < min(first+campaign.ChunkRows, n); i++ {
			contact := fmt.Sprintf("346%08d", rnd.IntN(100_000_000))
			name := names[rnd.IntN(len(names))]
			ticket := fmt.Sprintf("T-%08x", rnd.Uint32())
			age := fmt.Sprint(18 + rnd.IntN(80))
			bytes += len(contact) + len("cloud_api") + len(name) + len(ticket) + len(age) + 5
			r.Lines = append(r.Lines, uint32(i+2))
			r.Channels = append(r.Channels, 0)
			r.Contacts.AppendString(contact)
			r.Values[0].AppendString(name)
			r.Values[1].AppendString(ticket)
			r.Values[2].AppendString(age)
		}
		out = append(out, r)
	}
	return out, bytes
}

// acceptRows accepts n rows and returns the CSV's bytes.
func acceptRows(t testing.TB, s *Store, n int) (*campaign.Sending, int) {
	t.Helper()
	rows, bytes := testRows(n)
	head := &campaign.Sending{Name: "big", ApplicationID: 1}
	if err := s.Begin(head, nil); err != nil {
		t.Fatal(err)
	}
	var chunks []Packed
	size := 0
	for i, r := range rows {
		chunks = append(chunks, pack(r))
		if size += chunks[len(chunks)-1].Size(); size > 4<<20 || i == len(rows)-1 {
			if err := s.AppendRows(head.ID, chunks); err != nil {
				t.Fatal(err)
			}
			chunks, size = nil, 0
		}
	}
	head.Channels, head.Variables, head.Contents = []string{"cloud_api"}, []string{"name", "ticket_id", "edad"}, contents(draft{messages: 1})
	head.Rows.Accepted, head.ScheduledAt = uint32(n), time.Now()
	if _, err := s.Accept(head, Terms{}); err != nil {
		t.Fatal(err)
	}
	return head, bytes
}

func fileSize(t testing.TB, s *Store) int64 {
	t.Helper()
	st, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return st.FileBytes
}

// TestSizeOnDisk checks the targets of docs/performance.md: 0.85 of the CSV for the rows, 1.5
// of the provider's ids for the results.
func TestSizeOnDisk(t *testing.T) {
	const n = 200_000
	s := openTest(t)
	head, csv := acceptRows(t, s, n)
	before := fileSize(t, s)
	if ratio := float64(before) / float64(csv); ratio > 0.85 {
		t.Errorf("store is %.2f of the CSV's bytes, want at most 0.85", ratio)
	} else {
		t.Logf("store: %.2f of the CSV's %d bytes", ratio, csv)
	}
	ids := sendAll(t, s, head.ID, n, 500)
	grown := fileSize(t, s) - before
	if ratio := float64(grown) / float64(ids); ratio > 1.5 {
		t.Errorf("outcomes are %.2f of the ids' bytes, want at most 1.5", ratio)
	} else {
		t.Logf("outcomes: %.2f of the ids' %d bytes", ratio, ids)
	}
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Sent: n})
	verify(t, s)
	if info, err := os.Stat(s.db.Path()); err == nil {
		t.Logf("file: %d bytes", info.Size())
	}
}

// sendAll attempts and sends every message in groups and returns the size of the provider's ids.
func sendAll(t testing.TB, s *Store, id campaign.ID, n, group int) int {
	t.Helper()
	raw := make([]byte, 45)
	ids := 0
	for first := 0; first < n; first += group {
		var list []campaign.Entry
		for row := first; row < min(first+group, n); row++ {
			list = append(list, entry(id, row, 1, campaign.InFlight, 1))
		}
		commit(t, s, list...)
		for i := range list {
			_, _ = rand.Read(raw)
			list[i].Outcome, list[i].Provider = campaign.Sent, base64.RawURLEncoding.EncodeToString(raw)
			ids += len(list[i].Provider)
		}
		commit(t, s, list...)
	}
	return ids
}

// TestFewSyncs counts transactions with 64 senders, each of which commits a result and the
// next attempt together.
func TestFewSyncs(t *testing.T) {
	const senders, each = 64, 200
	s := openTest(t)
	head := accept(t, s, draft{rows: senders * each}, nil)
	before := s.db.Commits()
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			last := []campaign.Entry{}
			for i := range each {
				row := i*senders + sender
				if err := s.Commit(context.Background(), append(last, entry(head.ID, row, 1, campaign.InFlight, 1))); err != nil {
					t.Error(err)
				}
				last = []campaign.Entry{entry(head.ID, row, 1, campaign.Sent, 1)}
			}
			if err := s.Commit(context.Background(), last); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Sent: senders * each})
	transactions := s.db.Commits() - before
	if per := float64(senders*each) / float64(transactions); per < 30 {
		t.Errorf("%.1f outcomes a transaction, want at least 30", per)
	} else {
		t.Logf("%.1f outcomes a transaction", per)
	}
	verify(t, s)
}

func BenchmarkPack(b *testing.B) {
	rows, csv := testRows(campaign.ChunkRows)
	b.SetBytes(int64(csv))
	var k Packer
	for b.Loop() {
		k.Pack(rows[0])
	}
}

// BenchmarkCommit measures attempt and result of 1,000 messages at a time, synced.
func BenchmarkCommit(b *testing.B) {
	s, err := Open(b.TempDir()+"/bench.db", Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const n = 200_000
	for b.Loop() {
		b.StopTimer()
		head, _ := acceptRows(b, s, n)
		b.StartTimer()
		sendAll(b, s, head.ID, n, 1000)
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "messages/s")
}
