package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/send"
)

// answerReader reads the stream of answers in order.
type answerReader struct {
	hub     *Hub
	settler Settler

	created time.Time // of the stream
	target  uint64    // the newest answer when the reader was opened
	msgs    chan jetstream.Msg
	errs    chan error
	consume jetstream.ConsumeContext
	cancel  context.CancelFunc
	moved   time.Time     // when check saw progress
	seen    uint64        // the position then
	done    chan struct{} // closed when the goroutine that takes has ended
	reached chan struct{} // closed when target was taken
}

const (
	rewindAnswers     = 10_000          // read again at every opening
	maxWaitingAnswers = 1024            // answers that wait to be taken
	answerStall       = 3 * time.Second // without progress although there are answers: nothing is handed out, and the stream is opened again
)

// open begins to read after the last answer that is recorded, or at the beginning of a stream
// that was created since. It reads some answers again: a server that lost its power may have lost
// the end of the stream, whose numbers are used again.
func (r *answerReader) open(ctx context.Context) error {
	h, name := r.hub, r.hub.conn.Names.DoneStream()
	stream, err := h.conn.stream(ctx, name)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", name, err)
	}
	info := stream.CachedInfo()
	r.created, r.target = info.Created.UTC(), info.State.LastSeq
	h.mu.Lock()
	from := h.saved
	if h.position.Created.Equal(r.created) && h.position.Sequence >= from.Sequence {
		from = h.position // this run has taken them, and what isn't recorded is in memory
	}
	from.Sequence -= min(rewindAnswers, from.Sequence)
	if !from.Created.Equal(r.created) || from.Sequence > r.target {
		from = donePosition{Created: r.created}
		clear(h.pinned)
	}
	h.position = from
	h.mu.Unlock()
	consumer, err := h.conn.ordered(ctx, name, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from.Sequence + 1,
	})
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	r.msgs, r.errs, r.done, r.reached = make(chan jetstream.Msg, maxWaitingAnswers), make(chan error, 1), make(chan struct{}), make(chan struct{})
	ctx, r.cancel = context.WithCancel(ctx)
	r.consume, err = consumer.Consume(func(m jetstream.Msg) {
		select {
		case r.msgs <- m:
		case <-ctx.Done():
		}
	}, jetstream.PullExpiry(pullWait), jetstream.PullHeartbeat(pullWait/4), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		if errors.Is(err, jetstream.ErrStreamNotFound) { // other errors end by themselves
			select {
			case r.errs <- err:
			default:
			}
		}
	}))
	if err != nil {
		r.cancel()
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	if from.Sequence >= r.target || info.State.Msgs == 0 {
		close(r.reached)
		r.target = 0
	}
	go r.run(ctx)
	return nil
}

// run takes answers until ctx ends.
func (r *answerReader) run(ctx context.Context) {
	defer close(r.done)
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-r.msgs:
			meta, err := m.Metadata()
			if err != nil {
				r.hub.counts.garbage.Add(1)
				continue
			}
			for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
				if err := r.take(ctx, m.Data(), meta.Sequence.Stream); err == nil {
					break
				} else if ctx.Err() == nil {
					r.hub.log.Error("cannot record the answers of workers; trying again", "err", err)
				}
				sleep(ctx, wait)
			}
			if r.target > 0 && (meta.Sequence.Stream >= r.target || meta.NumPending == 0) {
				r.target = 0
				close(r.reached)
			}
		}
	}
}

// close ends the reader and waits for its goroutine.
func (r *answerReader) close() {
	r.cancel()
	go r.consume.Stop() // it waits until the consumer is there again, if it was lost with a server
	<-r.done
}

// catchUp returns when the answers that were there at the opening are taken.
func (r *answerReader) catchUp(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.reached:
		return nil
	case err := <-r.errs:
		return fmt.Errorf("read answers: %w", err)
	case <-time.After(time.Minute): // they may have been removed by their age meanwhile: look again
		return errors.New("the answers of workers can't be read")
	}
}

// check fails if the stream is another one than at the opening, or reading it has failed.
func (r *answerReader) check(ctx context.Context) error {
	select {
	case err := <-r.errs:
		return fmt.Errorf("read answers: %w", err)
	default:
	}
	r.hub.mu.Lock()
	at := r.hub.position.Sequence // before the stream is asked, which grows meanwhile
	r.hub.mu.Unlock()
	stream, err := r.hub.conn.stream(ctx, r.hub.conn.Names.DoneStream())
	if err != nil {
		return fmt.Errorf("open stream %s: %w", r.hub.conn.Names.DoneStream(), err)
	}
	info := stream.CachedInfo()
	r.hub.mu.Lock()
	r.hub.lag = info.State.LastSeq - min(at, info.State.LastSeq)
	r.hub.mu.Unlock()
	if !info.Created.UTC().Equal(r.created) || info.State.LastSeq < at {
		return errors.New("the stream of answers was lost or cut off")
	}
	if at != r.seen || r.moved.IsZero() || at >= info.State.LastSeq || info.State.Msgs == 0 || len(r.msgs) > 0 {
		now := time.Now()
		r.seen, r.moved = at, now
		r.hub.current.Store(&now)
	}
	if time.Since(r.moved) > answerStall {
		return errors.New("the answers of workers don't arrive")
	}
	return nil
}

// take gives answers to those who wait for them. After an error it may be called again.
func (r *answerReader) take(ctx context.Context, data []byte, seq uint64) error {
	h := r.hub
	a, err := DecodeAnswers(data, h.wire)
	if err != nil {
		h.counts.garbage.Add(1)
		h.advance(r.created, seq, nil)
		return nil
	}
	if a.Back {
		h.counts.givenBack.Add(1)
	}
	if a.ID.Epoch == h.epoch.Load() {
		h.takeLive(&a, r.created, seq)
		return nil
	}
	if holder, granted := h.grants.holder(a.ID); a.Back && granted && holder != a.claimant() {
		h.advance(r.created, seq, nil)
		return nil // somebody else has it, or the same worker from before
	}
	list := make([]send.LateAnswer, 0, len(a.List))
	for i := range a.List {
		one := send.LateAnswer{Key: a.List[i].Key, Attempt: a.List[i].Attempt, Number: sendNumber(a.ID), Result: a.List[i].Result}
		if a.Back {
			one.Result = send.Returned()
		}
		list = append(list, one)
	}
	if _, err := r.settler.Settle(ctx, list); err != nil {
		return err
	}
	h.advance(r.created, seq, nil)
	return nil
}

// takeLive gives answers to a batch of this hub.
func (h *Hub) takeLive(a *Answers, created time.Time, seq uint64) {
	b := h.batch(a.ID)
	h.advance(created, seq, b)
	if b == nil {
		return
	}
	b.mu.Lock()
	grants, holder := b.grants, b.holder
	b.mu.Unlock()
	if a.Back && grants == 0 {
		b.Refuse() // nobody will claim it; if somebody just did, nothing happens
		return
	}
	if a.Back && holder != a.claimant() {
		return // somebody else has it meanwhile, or the same worker from before
	}
	maybe := grants > 1 // whoever had it before may have sent it
	if a.Back && len(a.List) == 0 {
		b.GiveBack(maybe)
		return
	}
	for i := range a.List {
		one := &a.List[i]
		at, known := b.index[one.Key]
		if !known || b.Messages[at].Attempt != one.Attempt {
			continue // a repetition
		}
		res := one.Result
		if a.Back {
			res = send.Returned()
			res.MaybeDelivered = maybe
		}
		b.Answer(at, res)
	}
}

// advance notes that an answer was taken. b is the batch whose results it is recorded with, nil
// if nothing is left to record.
func (h *Hub) advance(created time.Time, seq uint64, b *handOut) {
	pinned := false
	if b != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		if pinned = !b.recorded; pinned {
			b.seqs = append(b.seqs, seq)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.position = donePosition{created, seq}
	if pinned {
		h.pinned[seq] = struct{}{}
	}
}
