package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// committer puts concurrent commits into one transaction. The first caller leads: it
// takes everything queued while the previous transaction was being synced, and then
// passes the lead to the first caller that came too late.
type committer struct {
	*core
	wait    time.Duration // how long to wait for others
	entries atomic.Uint64 // written since Open

	mu      sync.Mutex // guards the fields below
	queue   []*commitRequest
	leading bool
	last    int           // callers in the last group
	joined  chan struct{} // closed when a waiting leader has enough callers
	enough  int
}

type commitRequest struct {
	entries []campaign.Entry
	refused []int
	err     error
	done    chan bool // true: lead; false: done
}

// Commit implements send.Store. It returns when entries are durable, in a transaction
// shared with concurrent callers. It doesn't write attempts for a sending that isn't
// active, or for a message that is neither Pending nor Retrying or whose earlier messages
// aren't sent: the error is then a *campaign.Refused that lists them, and the rest is
// written. Results are always written. After Finalize a result that says Retrying or
// Pending becomes the outcome given there. ctx ends the wait only before the entries are
// queued.
func (g *committer) Commit(ctx context.Context, entries []campaign.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
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
		g.lead(r)
	}
	if r.err == nil && len(r.refused) > 0 {
		return &campaign.Refused{Entries: r.refused}
	}
	return r.err
}

// lead commits one group that contains own, and then passes the lead on.
func (g *committer) lead(own *commitRequest) {
	g.gather()
	g.mu.Lock()
	batch := g.queue
	g.queue = nil
	g.last = len(batch)
	g.mu.Unlock()

	acknowledged, err := g.db.Commit(func(t *db.Tx) error { return (&tx{Tx: t, s: g.core}).writeBatch(batch) })
	g.mu.Lock()
	if len(g.queue) > 0 {
		g.queue[0].done <- true
	} else {
		g.leading = false
	}
	g.mu.Unlock()

	if err == nil {
		err = g.db.Await(acknowledged)
	}
	for _, r := range batch {
		r.err = errors.Join(r.err, err)
		if err == nil {
			g.entries.Add(uint64(len(r.entries) - len(r.refused)))
		}
	}
	for _, r := range batch {
		if r != own {
			r.done <- false
		}
	}
}

// gather waits briefly for as many callers as the last group had: callers whose wait has
// just ended come back with their next entry, and one sync serves them all.
func (g *committer) gather() {
	g.mu.Lock()
	if g.last < 2 || len(g.queue) >= g.last {
		g.mu.Unlock()
		return
	}
	joined := make(chan struct{})
	g.joined, g.enough = joined, g.last
	g.mu.Unlock()
	select {
	case <-joined:
	case <-time.After(g.wait):
		g.mu.Lock()
		g.joined = nil
		g.mu.Unlock()
	}
}

// chunkBatch holds the entries of a group that belong to one chunk, in order.
type chunkBatch struct {
	number uint64
	chunk  uint32
	runs   []entryRun
}

// entryRun is entries[first:end] of a request: neighbors mostly belong to one chunk.
type entryRun struct {
	from       *commitRequest
	first, end int
}

// writeBatch writes a group of entries.
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
			if i > 0 && at.number == n && at.chunk == chunk {
				at.runs[len(at.runs)-1].end++
				continue
			}
			at = byPlace[place{n, chunk}]
			if at == nil {
				at = &chunkBatch{number: n, chunk: chunk}
				byPlace[place{n, chunk}] = at
				work = append(work, at)
			}
			at.runs = append(at.runs, entryRun{r, i, i + 1})
		}
	}
	// In order of key, and all chunks of a sending together.
	slices.SortFunc(work, func(a, b *chunkBatch) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.chunk, b.chunk))
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

// refuse records that entry i was not written. An attempt is refused; any other entry
// without a place is an error of its caller only.
func (r *commitRequest) refuse(i int) {
	e := &r.entries[i]
	if e.Outcome == campaign.InFlight {
		r.refused = append(r.refused, i)
		return
	}
	r.err = errors.Join(r.err, fmt.Errorf("record %s of row %d, message %d, of %q: %w",
		e.Outcome, e.Row, e.Message, e.Sending, ErrNotFound))
}

// add adds an entry that belongs to no request.
func (w *chunkBatch) add(e campaign.Entry) {
	if len(w.runs) == 0 {
		w.runs = []entryRun{{from: &commitRequest{}}}
	}
	run := &w.runs[0]
	run.from.entries = append(run.from.entries, e)
	run.end++
}

// all returns the batch's entries: their requests and indexes.
func (w *chunkBatch) all() iter.Seq2[*commitRequest, int] {
	return func(yield func(*commitRequest, int) bool) {
		for _, run := range w.runs {
			for i := run.first; i < run.end; i++ {
				if !yield(run.from, i) {
					return
				}
			}
		}
	}
}

// keep refuses the entries for which ok returns false.
func (w *chunkBatch) keep(ok func(*campaign.Entry) bool) {
	kept := make([]entryRun, 0, len(w.runs))
	for _, run := range w.runs {
		for i := run.first; i < run.end; i++ {
			if ok(&run.from.entries[i]) {
				continue
			}
			run.from.refuse(i)
			if run.first < i {
				kept = append(kept, entryRun{run.from, run.first, i})
			}
			run.first = i + 1
		}
		if run.first < run.end {
			kept = append(kept, run)
		}
	}
	w.runs = kept
}

// writeSending writes a group's entries of one sending.
func (t *tx) writeSending(n uint64, work []*chunkBatch) error {
	rec, err := t.record(n)
	if err != nil {
		return err
	}
	known := rec != nil && rec.messages > 0 && !(rec.state == campaign.StateChecking)
	for _, w := range work {
		w.keep(func(e *campaign.Entry) bool {
			return known && e.Sending == rec.id && e.Row < rec.rows && e.Message > 0 && e.Message <= rec.messages
		})
	}
	if !known {
		return nil
	}
	sw, err := t.writer(n, rec)
	if err != nil {
		return err
	}
	for _, w := range work {
		if err := sw.writeChunk(w); err != nil {
			return err
		}
	}
	return sw.close()
}
