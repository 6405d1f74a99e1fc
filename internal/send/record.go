package send

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// recorder records the attempts of a group, together with the results that have arrived, before the
// attempts go out. Its fields belong to the channel sender's loop, except unrecorded.
type recorder struct {
	*appChannel
	runs      *runs
	limiter   *rateLimiter
	group     *group
	attempts  *attemptQueue
	completed *completedQueue
	driver    *driver // of the next attempts

	results    []*batch         // results decided but not recorded
	outcomes   []campaign.Entry // entries for results
	failures   int              // failed commits in a row
	retryAt    time.Time        // no commit before
	unrecorded atomic.Int64     // messages with a recorded attempt and no recorded result
}

// use sets the driver of the next attempts.
func (r *recorder) use(d *driver) {
	if r.driver != nil {
		r.driver.release()
	}
	r.driver = d
}

// commit records the group's attempts and the results collected since the last commit in one sync.
// Only then may the group's batches be handed over. If it fails, the results wait for the next try,
// and the caller undoes the group.
func (r *recorder) commit(ctx context.Context) error {
	g := r.group
	r.decideResults()
	if g.count+len(g.settled)+len(r.outcomes) == 0 {
		r.releaseResults() // refused attempts have nothing to record
		return nil
	}
	now := r.now()
	entry := func(it *item, o campaign.Outcome, attempts uint8, handOut uint64) {
		at := now
		if o == campaign.InFlight && it.lateFrom > now.UnixNano() {
			at = time.Unix(0, it.lateFrom).UTC() // it is recorded before its time
		}
		g.entries = append(g.entries, campaign.Entry{})
		e := &g.entries[len(g.entries)-1]
		e.Sending, e.Row, e.Message, e.Outcome, e.Attempts, e.At, e.HandOut = it.cursor.run.id, it.row, it.message, o, attempts, at, handOut
	}
	for _, b := range g.batches {
		handOut := r.number(b)
		for i := range b.items {
			entry(&b.items[i], campaign.InFlight, b.items[i].attempts, handOut)
		}
	}
	for i := range g.settled {
		entry(&g.settled[i], g.settled[i].outcome, g.settled[i].recordedAttempts, 0)
		if g.settled[i].before.MaybeDelivered() {
			g.entries[len(g.entries)-1].Detail = optedOutLate
		}
	}
	g.entries = append(g.entries, r.outcomes...)
	if g.count > 0 {
		failpoint.At(failpoint.AttemptsPicked)
	}
	began := time.Now()
	err := r.commitEntries(ctx, g.entries)
	var refused *campaign.Refused
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	r.limiter.commitTook(time.Since(began))
	if g.count > 0 {
		failpoint.At(failpoint.AttemptsCommitted)
	}
	r.recorded()
	for _, b := range g.batches {
		b.driver = r.driver.take()
		b.countByCursor(func(cur *sendingCursor, n int) {
			cur.inFlight += n
			cur.picked -= n
			cur.run.unrecorded.Add(int64(n))
			if r.driver.remote != nil {
				cur.run.remote.Add(int64(n))
			}
		})
		r.attempts.add(b)
	}
	r.unrecorded.Add(int64(g.count))
	if refused != nil {
		r.markRefused(refused)
	}
	r.countSettled()
	r.notifyStarted()
	return nil
}

// failed gives the store time after a failed commit, and returns how long. Once nothing is retried any
// more, the results are lost.
func (r *recorder) failed(err error, mono time.Time) time.Duration {
	r.storeFailed("record attempts and results", err)
	wait := min(100*time.Millisecond<<min(r.failures, 10), 10*time.Second)
	r.failures++
	r.retryAt = mono.Add(wait)
	if r.retryCtx.Err() != nil && len(r.results) > 0 {
		r.resultsLost.Store(true)
		r.releaseResults()
	}
	return wait
}

// succeeded notes a commit that didn't fail.
func (r *recorder) succeeded() {
	if r.failures > 0 {
		r.failures = 0
		r.storeRecovered()
	}
}

// commitEntries commits entries. Meanwhile it renders the group and hands over waiting batches.
func (r *recorder) commitEntries(ctx context.Context, entries []campaign.Entry) error {
	ctx = context.WithoutCancel(ctx)
	if !recording {
		r.group.render(r.name)
		return nil
	}
	if r.attempts.empty() && r.group.count == 0 {
		return r.store.Commit(ctx, entries)
	}
	done := make(chan error, 1)
	go func() { done <- r.store.Commit(ctx, entries) }()
	r.group.render(r.name)
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		sleep := sleeper{}
		r.attempts.release(time.Now(), r.now(), &sleep)
		if wait, ok := sleep.result(); ok {
			timer.Reset(min(wait, maxSleep))
		} else {
			timer.Stop()
		}
		select {
		case err := <-done:
			return err
		case <-timer.C:
		}
	}
}

// markRefused takes out the attempts that the store refused, because the sending is no longer
// active or the message has a final outcome. What the run knows is outdated, so it is halted and,
// if it is still active, loaded again.
func (r *recorder) markRefused(err *campaign.Refused) {
	refused := map[int]bool{}
	for _, k := range err.Entries {
		refused[k] = true
	}
	k := 0
	for _, b := range r.group.batches {
		for i := range b.items {
			if refused[k] {
				b.results[i].Verdict = verdictRefused
				r.runs.reload(b.items[i].cursor.run)
			}
			k++
		}
	}
}

// countSettled reports to the observer the messages that got an outcome without being sent.
func (r *recorder) countSettled() {
	if n := len(r.group.settled); n > 0 && r.observer != nil {
		r.observer.Recorded(r.application, r.name, campaign.Suppressed, n)
	}
}

// notifyStarted reports sendings whose first attempt is durable now.
func (r *recorder) notifyStarted() {
	for _, b := range r.group.batches {
		for i := range b.items {
			if run := b.items[i].cursor.run; !run.started.Load() && run.started.CompareAndSwap(false, true) {
				r.changed(run.id)
			}
		}
	}
}

// decideResults decides the outcomes of the results that have arrived. They stay in r.results until
// they are recorded.
func (r *recorder) decideResults() {
	decided := len(r.results)
	r.results = r.completed.take(r.results)
	for _, b := range r.results[decided:] {
		r.outcomes = r.decide(b, r.outcomes)
	}
	if len(r.results) > 0 {
		failpoint.At(failpoint.ResultsDecided)
	}
}

// recorded applies the results in memory after they are on disk.
func (r *recorder) recorded() {
	if len(r.results) == 0 {
		return
	}
	failpoint.At(failpoint.ResultsCommitted)
	r.count(r.outcomes)
	r.releaseResults()
}

// releaseResults applies the results to their cursors and forgets them.
func (r *recorder) releaseResults() {
	for _, b := range r.results {
		r.applyResults(b)
	}
	clear(r.results)
	clear(r.outcomes)
	r.results, r.outcomes = r.results[:0], r.outcomes[:0]
}

// resultCount returns the number of messages whose results wait for their commit, without the completed queue.
func (r *recorder) resultCount() int {
	n := 0
	for _, b := range r.results {
		n += len(b.items)
	}
	return n
}

// applyResults updates the cursors with a batch's outcomes after they are durable.
func (r *recorder) applyResults(b *batch) {
	b.countByCursor(func(cur *sendingCursor, n int) {
		cur.inFlight -= n
		cur.run.unrecorded.Add(int64(-n))
	})
	for i := range b.items {
		it := &b.items[i]
		cur := it.cursor
		if b.driver.remote != nil {
			cur.run.remote.Add(-1)
			if it.claimed {
				cur.run.claimed.Add(-1)
			}
		}
		if b.results[i].nothingToRecord() {
			continue
		}
		status := campaign.NewMessageStatus(it.outcome, int(it.recordedAttempts))
		if it.maybeDelivered {
			status = status.WithMaybeDelivered()
		}
		cur.setStatus(it.row, it.message, status)
		last := b.probe && b.results[i].Unwritten
		b := queuedMessage{row: it.row, message: it.message, attempts: it.recordedAttempts}
		switch it.outcome {
		case campaign.Sent:
			if b.message++; int(b.message) > len(cur.templates) {
				continue
			}
		case campaign.Retrying:
			b.retry, b.at = true, it.nextAt
		case campaign.Pending:
			b.at = it.nextAt
		default:
			continue
		}
		if last && it.outcome == campaign.Pending {
			cur.queue.addProbe(b)
		} else {
			cur.queue.add(b)
		}
		if next := max(b.at, 1); cur.nextAt == 0 || next < cur.nextAt {
			cur.nextAt = next
		}
	}
	r.unrecorded.Add(-int64(len(b.items)))
	if b.recorded != nil && !r.resultsLost.Load() {
		b.recorded()
	}
	b.driver.release()
	r.recycle(b)
}

// number gives a batch for workers its number. It returns the one to record with the attempts:
// 0 where unknown messages are resent, because there an answer of an earlier batch does no harm.
func (r *recorder) number(b *batch) uint64 {
	if r.driver.remote == nil {
		return 0
	}
	b.number = r.driver.remote.NextNumber()
	if r.settings.Load().OnUnknown == RetryUnknown {
		return 0
	}
	return b.number
}
