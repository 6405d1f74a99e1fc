package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"campaignd/internal/campaign"
)

// committer makes one transaction of what many commit at the same moment: whoever
// finds nobody at it leads, takes all that queued while the transaction before was being
// synced, and hands the lead to the first who came too late.
type committer struct {
	mu      sync.Mutex // guards what follows
	queue   []*commitRequest
	leading bool
	last    int           // callers in the last group
	joined  chan struct{} // closed when a gathering leader has enough
	enough  int
}

type commitRequest struct {
	entries []campaign.Entry
	refused []int
	err     error
	done    chan bool // true: lead; false: it is done
}

// Commit implements send.Book: it returns when entries are durable, in a transaction
// shared with whoever commits at the same moment. Attempts for a sending that isn't
// active, or for a message that is neither Pending nor Retrying or comes before its
// turn, are not written: the rest is, and the error is a *campaign.Refused that lists
// them. Results are always taken; of a sending that was closed out, one that says
// Retrying or Pending becomes what the others became. ctx ends the wait only before it
// has begun: what was queued is seen through.
func (s *Store) Commit(ctx context.Context, entries []campaign.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g := &s.group
	r := &commitRequest{entries: entries, done: make(chan bool, 1)}
	g.mu.Lock()
	g.queue = append(g.queue, r)
	if g.joined != nil && len(g.queue) >= g.enough {
		close(g.joined)
		g.joined = nil
	}
	lead := !g.leading
	g.leading = true
	g.mu.Unlock()
	if lead || <-r.done {
		s.lead(r)
	}
	if r.err == nil && len(r.refused) > 0 {
		return &campaign.Refused{Entries: r.refused}
	}
	return r.err
}

// lead commits one group that holds own, and then lets the next one lead.
func (s *Store) lead(own *commitRequest) {
	g := &s.group
	s.gather()
	g.mu.Lock()
	batch := g.queue
	g.queue = nil
	g.last = len(batch)
	g.mu.Unlock()

	err := s.update(func(t *tx) error { return t.writeBatch(batch) })
	for _, r := range batch {
		r.err = errors.Join(r.err, err)
		if err == nil {
			s.entries.Add(uint64(len(r.entries) - len(r.refused)))
		}
	}

	g.mu.Lock()
	if len(g.queue) > 0 {
		g.queue[0].done <- true
	} else {
		g.leading = false
	}
	g.mu.Unlock()
	for _, r := range batch {
		if r != own {
			r.done <- false
		}
	}
}

// gather waits a moment for as many callers as the last group had: those whose
// wait has just ended come back with the next entry, and one sync can serve them all.
func (s *Store) gather() {
	g := &s.group
	g.mu.Lock()
	if g.last < 2 || len(g.queue) >= g.last {
		g.mu.Unlock()
		return
	}
	joined := make(chan struct{})
	g.joined, g.enough = joined, g.last
	g.mu.Unlock()
	timer := time.NewTimer(s.opts.Gather)
	defer timer.Stop()
	select {
	case <-joined:
	case <-timer.C:
		g.mu.Lock()
		g.joined = nil
		g.mu.Unlock()
	}
}

// chunkWork is one chunk's share of a group of entries.
type chunkBatch struct {
	number  uint64
	chunk   uint32
	entries []chunkEntry
}

type chunkEntry struct {
	entry *campaign.Entry
	from  *commitRequest
	index int
}

// enter writes a group of entries into the books.
func (t *tx) writeBatch(batch []*commitRequest) error {
	type place struct {
		number uint64
		chunk  uint32
	}
	var work []*chunkBatch
	byPlace := map[place]*chunkBatch{}
	var lastID campaign.ID
	var n uint64
	var at *chunkBatch
	for _, r := range batch {
		r.refused, r.err = nil, nil
		for i := range r.entries {
			e := &r.entries[i]
			if e.Sending != lastID {
				lastID, n = e.Sending, e.Sending.Number()
			}
			chunk := e.Row / campaign.ChunkRows
			if at == nil || at.number != n || at.chunk != chunk {
				at = byPlace[place{n, chunk}]
				if at == nil {
					at = &chunkBatch{number: n, chunk: chunk}
					byPlace[place{n, chunk}] = at
					work = append(work, at)
				}
			}
			at.entries = append(at.entries, chunkEntry{e, r, i})
		}
	}
	// In order of key, and all chunks of a sending together.
	slices.SortFunc(work, func(a, b *chunkBatch) int {
		if a.number != b.number {
			return compare(a.number, b.number)
		}
		return compare(a.chunk, b.chunk)
	})
	for i := 0; i < len(work); {
		j := i
		for j < len(work) && work[j].number == work[i].number {
			j++
		}
		if err := t.writeSending(work[i].number, work[i:j]); err != nil {
			return err
		}
		i = j
	}
	for _, r := range batch {
		slices.Sort(r.refused)
	}
	return nil
}

func compare[T uint32 | uint64 | int64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// refuse notes that an entry was not written. An attempt is simply refused;
// anything else that has no place is an error of its caller alone.
func (c *chunkEntry) refuse(err error) {
	if c.entry.Outcome == campaign.InFlight {
		c.from.refused = append(c.from.refused, c.index)
		return
	}
	c.from.err = errors.Join(c.from.err, fmt.Errorf("record %s of row %d, message %d, of %q: %w",
		c.entry.Outcome, c.entry.Row, c.entry.Message, c.entry.Sending, err))
}

// enterSending writes what a group holds of one sending.
func (t *tx) writeSending(n uint64, work []*chunkBatch) error {
	rec, err := t.record(n)
	if err != nil {
		return err
	}
	known := rec != nil && rec.messages > 0 && !(rec.state == campaign.StateChecking)
	for _, w := range work {
		kept := w.entries[:0]
		for i := range w.entries {
			c := &w.entries[i]
			if !known || c.entry.Sending != rec.id || c.entry.Row >= rec.rows || c.entry.Message == 0 || c.entry.Message > rec.messages {
				c.refuse(ErrNotFound)
				continue
			}
			kept = append(kept, *c)
		}
		w.entries = kept
	}
	if !known {
		return nil
	}
	b, err := t.counters(n)
	if err != nil {
		return err
	}
	l := &statusWriter{t: t, n: n, rec: rec, counters: &b}
	for _, w := range work {
		if err := l.writeChunk(w); err != nil {
			return err
		}
	}
	return l.close()
}
