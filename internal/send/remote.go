package send

import (
	"context"
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
const noWorker = "no worker that sends it is running"

// Reason returns why nothing can be handed out, "" if nothing prevents it.
func (w Workers) Reason() string {
	if w.Wait == "" && w.Places <= 0 {
		return noWorker
	}
	return w.Wait
}
