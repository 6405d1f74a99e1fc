package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/send"
)

// begin finds this hub's epoch: one that no hub had before, also where the store is an older copy.
func (h *Hub) begin(ctx context.Context) error {
	if h.epoch.Load() != 0 {
		return nil
	}
	var last uint64
	if _, err := readRecord(h.records, recordEpoch, &last); err != nil {
		return fmt.Errorf("read the hub's epoch: %w", err)
	}
	stream, err := h.conn.stream(ctx, h.conn.Names.DoneStream())
	if err != nil {
		return fmt.Errorf("open stream %s: %w", h.conn.Names.DoneStream(), err)
	}
	switch newest, err := lastMessage(ctx, stream, h.conn.Names.DoneAll()); {
	case err == nil:
		if id, err := DecodeID(newest.Data); err == nil && id.Epoch < 1<<(64-epochShift)-1 {
			last = max(last, id.Epoch)
		}
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return fmt.Errorf("read the newest answer: %w", err)
	}
	if err := h.records.PutRecord(recordEpoch, fmt.Append(nil, last+1)); err != nil {
		return fmt.Errorf("record the hub's epoch: %w", err)
	}
	if _, err := readRecord(h.records, recordDone, &h.saved); err != nil {
		return fmt.Errorf("read the position in the stream of answers: %w", err)
	}
	if err := h.grants.load(h.tag(), last+1); err != nil {
		return err
	}
	h.epoch.Store(last + 1)
	return nil
}

// settleRest decides about messages of earlier hubs for which no worker has answered for so long.
func (h *Hub) settleRest(ctx context.Context, settler Settler, waited time.Duration) {
	orphans := 0
	for _, c := range h.list() {
		n := settler.Orphans(c.application, c.name)
		if orphans += n; n == 0 || waited < c.answerWait {
			continue
		}
		n, err := settler.SettleRest(ctx, c.application, c.name)
		if err != nil {
			h.log.Error("cannot record what became of messages that an earlier hub handed out; trying again", "err", err)
			continue
		}
		h.log.Warn("no worker has answered for messages that an earlier hub handed out; on_unknown decides", "application", c.application,
			"channel", c.name, "messages", n)
	}
	if orphans == 0 {
		h.grants.removeBefore(h.epoch.Load())
	}
}

// save records how far the answers are recorded.
func (h *Hub) save() {
	h.mu.Lock()
	now := h.position
	for seq := range h.pinned {
		now.Sequence = min(now.Sequence, seq-1)
	}
	if now == h.saved || now.Created.IsZero() {
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	text, err := json.Marshal(now)
	if err == nil {
		err = h.records.PutRecord(recordDone, text)
	}
	if err != nil {
		return // the answers are read again after a restart, which changes nothing
	}
	h.mu.Lock()
	h.saved = now
	h.mu.Unlock()
}

// drain takes the batches of earlier hubs from the queue. Where on_unknown is "retry", those that
// no worker ever got are sent again at once; elsewhere the grantBook decides.
func (h *Hub) drain(ctx context.Context, settler Settler) error {
	for _, c := range h.list() {
		consumer, err := h.conn.consumer(ctx, h.conn.Names.WorkStream(), h.conn.Names.WorkConsumer(c.application, c.name))
		if err != nil {
			return fmt.Errorf("drain the queue: %w", err)
		}
		for {
			n, err := h.drainSome(ctx, consumer, settler)
			if err != nil {
				return fmt.Errorf("drain the queue: %w", err)
			}
			if n == 0 {
				break
			}
		}
	}
	return nil
}

func (h *Hub) drainSome(ctx context.Context, consumer jetstream.Consumer, settler Settler) (int, error) {
	fetched, err := consumer.FetchNoWait(100)
	if err != nil {
		return 0, err
	}
	n := 0
	for m := range fetched.Messages() {
		n++
		meta, err := m.Metadata()
		if err != nil {
			return n, err
		}
		if b, err := DecodeBatch(m.Data(), h.wire); err == nil && meta.NumDelivered == 1 && !b.Hold {
			list := make([]send.LateAnswer, len(b.Messages))
			for i := range b.Messages {
				list[i] = send.LateAnswer{Key: b.Messages[i].Key, Attempt: b.Messages[i].Attempt, Number: sendNumber(b.ID), Result: send.Returned()}
			}
			if _, err := settler.Settle(ctx, list); err != nil {
				return n, err
			}
		}
		if err := m.DoubleAck(ctx); err != nil {
			return n, err
		}
	}
	return n, fetched.Error()
}
