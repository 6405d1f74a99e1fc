package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/send"
	"campaignd/internal/store"
)

// OlderStore is a store that may be an older copy. *store.Store implements it.
type OlderStore interface {
	Records
	Unrecorded([]store.Attempt) (key string, err error)
	Hold(why string, last uint64) (held int, err error)
}

// HoldOlder holds everything in a store that lacks attempts for which workers have answered: log and hub
// were lost at once, and the copy is older than what was sent. It returns a key of such a message, ""
// if there is none. Call it before anything is handed out. It reads the answers that this store hasn't recorded.
func (c *Conn) HoldOlder(ctx context.Context, s OlderStore) (key string, err error) {
	stream, err := c.stream(ctx, c.Names.DoneStream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open stream %s: %w", c.Names.DoneStream(), err)
	}
	var saved donePosition
	if _, err := readRecord(s, recordDone, &saved); err != nil {
		return "", fmt.Errorf("read the position in the stream of answers: %w", err)
	}
	end := donePosition{stream.CachedInfo().Created.UTC(), stream.CachedInfo().State.LastSeq}
	if !saved.Created.Equal(end.Created) {
		saved.Sequence = 0
	}
	if saved.Sequence >= end.Sequence || stream.CachedInfo().State.Msgs == 0 {
		return "", nil
	}
	err = c.answersBetween(ctx, saved.Sequence+1, end.Sequence, func(list []store.Attempt) (bool, error) {
		key, err = s.Unrecorded(list)
		return err == nil && key == "", err
	})
	if err != nil || key == "" {
		return "", err
	}
	if _, err := s.Hold("as a copy that lacks messages for which workers have answered", 0); err != nil {
		return "", err
	}
	// The answers so far say no more from here on.
	text, err := json.Marshal(end)
	if err == nil {
		err = s.PutRecord(recordDone, text)
	}
	return key, err
}

// attemptsAtOnce limits the attempts that are compared with a store together.
const attemptsAtOnce = 10_000

// answersBetween calls fn with the attempts that may have reached a receiver, by the answers from one sequence
// to another, until it returns false.
func (c *Conn) answersBetween(ctx context.Context, from, to uint64, fn func([]store.Attempt) (more bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrived, err := c.read(ctx, c.Names.DoneStream(), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return fmt.Errorf("read answers: %w", err)
	}
	var list []store.Attempt
	for last := false; !last; {
		var a arrival
		select {
		case a = <-arrived:
		case <-ctx.Done():
			a.err = ctx.Err()
		case <-time.After(answerStall):
			a.err = nats.ErrTimeout
		}
		if a.err != nil {
			return fmt.Errorf("read answers: %w", a.err)
		}
		meta, err := a.msg.Metadata()
		if err != nil {
			return fmt.Errorf("read answers: %w", err)
		}
		list = appendReached(list, a.msg.Data(), c.wire)
		last = meta.Sequence.Stream >= to || meta.NumPending == 0
		if last || len(list) >= attemptsAtOnce {
			if more, err := fn(list); err != nil || !more {
				return err
			}
			list = list[:0]
		}
	}
	return nil
}

// appendReached appends the attempts of a message of the stream of answers that may have reached a receiver.
func appendReached(list []store.Attempt, data []byte, versions Versions) []store.Attempt {
	a, err := DecodeAnswers(data, versions)
	if err != nil || a.Back {
		return list
	}
	for i := range a.List {
		if r := &a.List[i].Result; r.Verdict == send.VerdictSent || r.Verdict == send.VerdictUnknown || r.MaybeDelivered {
			list = append(list, store.Attempt{Key: a.List[i].Key, Number: a.List[i].Attempt})
		}
	}
	return list
}
