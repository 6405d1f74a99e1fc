package store

import (
	"math"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/slots"
)

// TestVerifyFinds breaks one invariant after another.
func TestVerifyFinds(t *testing.T) {
	grid := testGrid(600)
	for name, c := range map[string]struct {
		spoil func(t *tx, n uint64) error
		words string
	}{
		"counts": {func(t *tx, n uint64) error {
			b, _ := t.counters(n)
			b.counts[campaign.Sent]++
			return t.putCounters(n, &b)
		}, "planned"},
		"marks": {func(t *tx, n uint64) error {
			b, _ := t.counters(n)
			b.counts[campaign.Sent]++
			b.counts[campaign.Pending]--
			return t.putCounters(n, &b)
		}, "add up"},
		"mark": {func(t *tx, n uint64) error { return t.Bucket(bucketStatuses).Put(key12(n, 0), make([]byte, 4096)) }, "add up"},
		"strange mark": {func(t *tx, n uint64) error {
			statuses := make([]byte, 4096)
			statuses[7] = 15
			return t.Bucket(bucketStatuses).Put(key12(n, 0), statuses)
		}, "numbered 15"},
		"short statuses": {func(t *tx, n uint64) error { return t.Bucket(bucketStatuses).Put(key12(n, 0), make([]byte, 5)) }, "statuses"},
		"chunk":          {func(t *tx, n uint64) error { return t.Bucket(bucketChunks).Put(key12(n, 1), []byte("what")) }, "chunk 1"},
		"chunk gone":     {func(t *tx, n uint64) error { return t.Bucket(bucketChunks).Delete(key12(n, 1)) }, "chunk 1"},
		"in flight":      {func(t *tx, n uint64) error { return t.Bucket(bucketInFlight).Put(key12(n, 0), []byte{0, 0, 0, 9}) }, "in flight"},
		"details":        {func(t *tx, n uint64) error { return t.Bucket(bucketOutcomes).Put(key14(n, 0, 0), []byte{9}) }, "outcomes"},
		"timeline":       {func(t *tx, n uint64) error { return t.Bucket(bucketTimeline).Put(keyTimeline(5, n), nil) }, "time that isn't its own"},
		"timeline lost": {func(t *tx, n uint64) error {
			rec, _ := t.record(n)
			return t.Bucket(bucketTimeline).Delete(keyTimeline(rec.due, n))
		}, "timeline is wrong"},
		"record":     {func(t *tx, n uint64) error { return t.Bucket(bucketActive).Delete(db.Key8(n)) }, "active"},
		"bad record": {func(t *tx, n uint64) error { return t.Bucket(bucketActive).Put(db.Key8(n), []byte{1}) }, "record"},
		"other state": {func(t *tx, n uint64) error {
			rec, _ := t.record(n)
			rec.state = campaign.StateHeld
			return t.putRecord(n, rec)
		}, "its record"},
		"retry": {func(t *tx, n uint64) error {
			return t.Bucket(bucketWaiting).Put(keyWaiting(n, 1, 1), make([]byte, 8))
		}, "no time"},
		"slices": {func(t *tx, n uint64) error {
			list, _ := slots.Of(t.Tx, n)
			list[1].First--
			return slots.Put(t.Tx, n, list)
		}, "overlap"},
		"bad slices": {func(t *tx, n uint64) error { return t.Bucket([]byte("slices")).Put(db.Key8(n), []byte{7}) }, "slices"},
		"reserved": {func(t *tx, n uint64) error {
			list, _ := slots.Of(t.Tx, n)
			list[1].Reserved++
			return slots.Put(t.Tx, n, list)
		}, "reserved messages: "},
		"slice lost": {func(t *tx, n uint64) error {
			list, _ := slots.Of(t.Tx, n)
			list[1].Rows--
			return slots.Put(t.Tx, n, list)
		}, "never be sent"},
		"retry left over": {func(t *tx, n uint64) error {
			return t.putRetry(n, 77, &campaign.Entry{Row: 3, Message: 1, Attempts: 1})
		}, "1 messages wait for a retry, 0 counted"},
		"retry of nobody": {func(t *tx, n uint64) error { return t.Bucket(bucketRetries).Put(keyRetry(n, 5, 3, 1), []byte{1}) }, "1 retries have a time"},
		"retry of another": {func(t *tx, n uint64) error {
			e := entry(campaign.NewID(time.Now(), n), 2, 1, campaign.InFlight, 1)
			b, rec := counters{}, &record{}
			b, _ = t.counters(n)
			rec, _ = t.record(n)
			l := &statusWriter{t: t, n: n, rec: rec, counters: &b}
			w := &chunkBatch{number: n}
			w.add(e)
			if err := l.writeChunk(w); err != nil {
				return err
			}
			e.Outcome, e.NextAt = campaign.Retrying, time.Now()
			w = &chunkBatch{number: n}
			w.add(e)
			if err := l.writeChunk(w); err != nil {
				return err
			}
			if err := l.close(); err != nil {
				return err
			}
			if err := t.dropRetry(n, 2, 1); err != nil {
				return err
			}
			return t.putRetry(n, 77, &campaign.Entry{Row: 3, Message: 1, Attempts: 1})
		}, "which has no time"},
		"late": {func(t *tx, n uint64) error {
			rec, _ := t.record(n)
			return t.schedule(n, rec, rec.due+1)
		}, "later than what it has to do"},
		"shape": {func(t *tx, n uint64) error {
			rec, _ := t.record(n)
			rec.planned++
			return t.putRecord(n, rec)
		}, "other numbers"},
		"number": {func(t *tx, n uint64) error { return t.Bucket(bucketSendings).SetSequence(0) }, "given out from 1"},
		"digest": {func(t *tx, n uint64) error {
			return t.Bucket(bucketDigests).Put(make([]byte, 32), append(db.Key8(n), db.Key8(9)...))
		}, "digest"},
		"digest key": {func(t *tx, n uint64) error { return t.Bucket(bucketDigests).Put([]byte("x"), []byte("y")) }, "digest"},
		"orphan":     {func(t *tx, n uint64) error { return t.Bucket(bucketChunks).Put(key12(99, 0), []byte("x")) }, "which there isn't"},
		"short key":  {func(t *tx, n uint64) error { return t.Bucket(bucketStatuses).Put([]byte("x"), []byte("x")) }, "key of 1 bytes"},
		"states":     {func(t *tx, n uint64) error { return t.countState("", campaign.StateHeld) }, "each state"},
		"slot page": {func(t *tx, n uint64) error {
			return t.Bucket([]byte("slots")).Put(append(db.Key8(db.Signed(1)), db.Key8(db.Signed(1))...), []byte("x"))
		}, "slot counts"},
		"slots gone": {func(t *tx, n uint64) error { _, err := t.DeletePrefixed([]byte("slots"), nil, math.MaxInt); return err }, "reserved messages: 0"},
		"header": {func(t *tx, n uint64) error {
			return t.Bucket(bucketSendings).Put(db.Key8(n), []byte("\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01{"))
		}, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			head := accept(t, s, draft{rows: 5000, at: time.Now().Add(time.Hour), digest: digestA}, grid)
			commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1))
			commit(t, s, entry(head.ID, 0, 1, campaign.Sent, 1))
			verify(t, s)
			if err := s.update(func(t *tx) error { return c.spoil(t, head.ID.Number()) }); err != nil {
				t.Fatal(err)
			}
			found := strings.Join(s.Verify(true), "\n")
			if !strings.Contains(found, c.words) {
				t.Errorf("found %q, want something with %q", found, c.words)
			}
		})
	}
}

func TestVerifyStopsSomewhere(t *testing.T) {
	s := openTest(t)
	if err := s.update(func(t *tx) error {
		for n := range uint64(300) {
			if err := t.Bucket(bucketCounts).Put(db.Key8(n+100), nil); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found := s.Verify(false); len(found) != maxFindings {
		t.Errorf("%d findings", len(found))
	}
}
