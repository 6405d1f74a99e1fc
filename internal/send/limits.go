package send

import (
	"sync/atomic"
	"time"
)

// fewBatches and manyBatches limit the batches of a batch driver that may be recorded as attempted
// without a recorded result. After a crash their messages are unknown, so manyBatches applies only
// where unknown messages are resent, and never exceeds twice the concurrency.
const (
	fewBatches  = 4
	manyBatches = 16
)

// recordedPerWorker times concurrency messages may be without a recorded result where unknown ones
// are resent: one share is with the receiver, the other on its way to it or into the store, so
// that no worker waits for a sync. For a receiver that answers faster, as many more are ready as
// it answers during commitsAhead commits, up to maxUnrecorded; a slow receiver gets no more,
// because the messages of other sendings would wait behind them. fullCommit results are worth a
// commit, which costs the same for 200 as for 60; waiting for more would only increase what is
// delivered again after a crash.
const (
	recordedPerWorker = 2
	commitsAhead      = 16
	maxUnrecorded     = 1024
	fullCommit        = 256
)

// An attempt must be durable before its message goes out, and a sync takes as long as the disk
// likes. To keep messages on time, an attempt is recorded a little early; then it waits in the
// attempt queue and goes out at its time, even while the next sync is under way. After a crash
// in between, the message counts as in flight although it never went out. So this is done only
// where unknown messages are resent.
const (
	minLead    = 40 * time.Millisecond
	leadSyncs  = 4 // syncs in a lead: one may be under way, and half the lead must suffice
	maxLead    = 400 * time.Millisecond
	sameMoment = time.Millisecond // messages due within it share a batch
	maxEarly   = lookahead        // a clock that was set back must not keep recorded attempts waiting
)

// limits says how many messages of a channel may be under way, in one call and in one commit. Its
// fields belong to the channel sender's loop, except concurrency.
type limits struct {
	*appChannel
	limiter     *rateLimiter
	concurrency atomic.Int64 // calls of the driver at a time
	batch       int          // most messages in one call
	remote      Remote       // the driver, if workers on other machines send for it
	workers     Workers      // its workers, as last seen
}

// use sets the driver.
func (l *limits) use(d *driver) { l.remote, l.batch = d.remote, max(1, d.Batch()) }

// followWorkers adapts the limits to the workers of a remote channel.
func (l *limits) followWorkers() {
	if l.remote == nil {
		return
	}
	l.workers = l.remote.Workers()
	l.batch = max(1, min(l.workers.Batch, maxBatchMessages, l.remote.Batch(), l.limiter.burst()))
	l.concurrency.Store(int64(l.places())) // a goroutine for each batch, which may be of one message
}

// unrecorded returns how many messages may be without a recorded result. After a crash they
// are unknown, so with on_unknown: hold it is no more than may be under way.
func (l *limits) unrecorded() int {
	concurrency := int(l.concurrency.Load())
	resent := l.settings.Load().OnUnknown == RetryUnknown
	switch {
	case l.remote != nil:
		return l.places()
	case l.batch > 1 && resent:
		return max(fewBatches, min(manyBatches, recordedPerWorker*concurrency)) * l.batch
	case l.batch > 1:
		return fewBatches * l.batch
	case resent:
		room := recordedPerWorker * concurrency
		return max(room, min(room+l.limiter.callsDuring(commitsAhead, concurrency), maxUnrecorded))
	}
	return concurrency
}

// places returns how many messages of a remote channel may be without a recorded result. No more
// than the workers have places may end as unknown; where unknown messages are resent, as many more
// are on their way.
func (l *limits) places() int {
	if l.settings.Load().OnUnknown == RetryUnknown {
		return max(1, recordedPerWorker*l.workers.Places)
	}
	return max(1, l.workers.Places)
}

// commit returns the size of a group that is committed without waiting for more. For a batch
// driver it is a quarter of the limit, so that one group is being recorded, one is with the driver
// and one is between them; otherwise half the limit, or fullCommit, and no less than the concurrency:
// smaller groups cost more CPU time in commits than connections lose by waiting.
func (l *limits) commit() int {
	if l.batch > 1 {
		return max(l.batch, l.unrecorded()/4)
	}
	return max(int(l.concurrency.Load()), min(l.unrecorded()/2, fullCommit))
}

// lead returns how long before its time a message may be recorded; 0 means not before its time.
func (l *limits) lead() time.Duration {
	if l.settings.Load().OnUnknown != RetryUnknown {
		return 0
	}
	return min(minLead+leadSyncs*l.limiter.slowestCommit(), maxLead)
}

// ahead returns how many more messages may be recorded before their time when held ones are: half of
// the limit, so that due messages find the other half, and no more than may go at once.
func (l *limits) ahead(held int) int { return min((l.unrecorded()+1)/2, l.limiter.burst()) - held }
