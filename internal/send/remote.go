package send

import (
	"context"
	"fmt"
	"time"
)

// Remote is a Channel whose messages are sent by workers on other machines. Compile and
// CheckMessage are those of the driver that the workers use; Send isn't called.
//
// The claim of a batch is its hand-over (docs/contract.md 13): a worker asks before it
// sends, and HandOut.Claim answers. All that the dispatcher decides for a local channel it
// decides for a remote one: what is due, the order, fairness, rate, slots, windows, opt-outs.
type Remote interface {
	Channel

	// Rules returns the driver that the workers use, for all but sending.
	Rules() Channel

	// Workers returns what the channel's workers can take now. It is called often, and fast.
	Workers() Workers

	// NextNumber returns a number for a batch that no other batch has, of whatever process,
	// and not 0.
	NextNumber() uint64

	// Publish offers a batch to the workers. From before it returns until Withdraw is called,
	// their claims and answers go to the methods of h. After an error the batch may have been
	// offered all the same.
	Publish(ctx context.Context, h *HandOut) error

	// Withdraw ends what Publish began. It is called once for each Publish.
	Withdraw(h *HandOut)
}

// Workers says what the workers of a remote channel can take.
type Workers struct {
	Places int    // messages that they can send at the same time; 0: there is no worker
	Batch  int    // most messages in a batch: no more than the places of any worker
	Wait   string // why nothing can be handed out now; "": nothing prevents it
	Held   bool   // with Wait: a person must do something about it
	Away   bool   // with Wait: answers can't arrive either
}

const (
	// claimWait is how long a batch waits for a worker's claim. Then it is withdrawn.
	claimWait = 3 * time.Second
	// maxClaims workers that end without an answer to the same batch end its attempts: it may be
	// what kills them.
	maxClaims = 3
	// publishRetry is how long a batch waits that could not be offered.
	publishRetry = time.Second
	// maxClaimDelay limits how long a claim is delayed to keep the channel's rate. It is well
	// below the time for which a worker waits for the answer (1s).
	maxClaimDelay = 500 * time.Millisecond
	// frozenFor is how late a timer of a second must be for the process to have been frozen.
	frozenFor = 3 * time.Second
	// defaultAnswerWait applies to a channel without answer_wait.
	defaultAnswerWait = time.Minute
	// maxBatchMessages and maxBatchBytes limit a batch for workers.
	maxBatchMessages = 64
	maxBatchBytes    = 32 << 10
	// messageBytes is what a message's fields of fixed size add to its text, roughly.
	messageBytes = 64
)

// noWorker is the reason of a remote channel without a worker.
const noWorker = "waits for a worker"

// Reason returns why nothing can be handed out, "" if nothing prevents it.
func (w Workers) Reason() string {
	if w.Wait == "" && w.Places <= 0 {
		return noWorker
	}
	return w.Wait
}

// waitForWorkers reports whether nothing can be handed out, and notes why.
func (cs *channelSender) waitForWorkers(now time.Time) bool {
	w := cs.limits.workers
	if cs.limits.remote == nil || w.Reason() == "" {
		cs.waitsSince = time.Time{}
		return false
	}
	if cs.waitsSince.IsZero() {
		cs.waitsSince = now
	}
	reason := fmt.Sprintf("channel %s %s", cs.name, w.Reason())
	if cs.wait == nil || cs.wait.Reason != reason {
		cs.wait = &Wait{Reason: reason, Since: cs.waitsSince}
	}
	return true
}

// workersStatus fills in what prevents the workers of a remote channel from sending.
func (cs *channelSender) workersStatus(s *ChannelStatus) {
	remote, ok := cs.settings.Load().Channel.(Remote)
	if !ok {
		return
	}
	w := remote.Workers() // not what an idle sender saw last
	s.Remote, s.Places = true, w.Places
	if reason := w.Reason(); reason != "" && s.State == ChannelOK {
		s.State, s.Reason, s.WaitsForWorkers = ChannelTrouble, reason, true
		if w.Held {
			s.State, s.Held = ChannelHeld, true
		}
	}
}

// number gives a batch for workers its number. It returns the one to record with the attempts:
// 0 where unknown messages are resent, because there an answer of an earlier batch does no harm.
func (cs *channelSender) number(b *batch) uint64 {
	if cs.driver.remote == nil {
		return 0
	}
	b.number = cs.driver.remote.NextNumber()
	if cs.settings.Load().OnUnknown == RetryUnknown {
		return 0
	}
	return b.number
}

// split gives to each batch for workers no more than maxBatchBytes, and one message at least.
func (d *deliverer) split(b *batch, each func(*batch)) {
	bytes := func(i int) int {
		m := &b.msgs[i]
		return len(m.Content) + len(m.Key) + len(m.ContactCode) + len(m.To) + len(m.RowReference) + len(m.Reference) + messageBytes
	}
	total := 0
	for i := range b.msgs {
		total += bytes(i)
	}
	if total <= maxBatchBytes {
		each(b)
		return
	}
	for first := 0; first < len(b.items); {
		size, end := bytes(first), first+1
		for end < len(b.items) && size+bytes(end) <= maxBatchBytes {
			size += bytes(end)
			end++
		}
		each(d.part(b, first, end))
		first = end
	}
	b.driver.release()
	d.recycle(b)
}

// part returns a batch with some messages of b.
func (d *deliverer) part(b *batch, first, end int) *batch {
	p := d.batches.Get().(*batch)
	p.driver, p.due, p.first, p.number, p.part = b.driver.take(), b.due, b.first, b.number, first+1
	p.items = append(p.items, b.items[first:end]...)
	p.msgs = append(p.msgs, b.msgs[first:end]...)
	p.results = append(p.results, b.results[first:end]...)
	size := 0
	for i := range p.msgs {
		size += len(p.msgs[i].Content)
	}
	p.content = append(make([]byte, 0, size), p.content...) // a buffer that doesn't move below
	for i := range p.msgs {
		from := len(p.content)
		p.content = append(p.content, p.msgs[i].Content...)
		p.msgs[i].Content = p.content[from:len(p.content):len(p.content)]
	}
	return p
}
