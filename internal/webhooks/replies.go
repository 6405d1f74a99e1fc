package webhooks

import (
	"context"
	"time"

	"campaignd/internal/receipts"
	"campaignd/internal/store"
)

// addReplies stores replies and starts a search for their sendings.
func (h *receiver) addReplies(replies []receipts.Reply) error {
	if len(replies) == 0 {
		return nil
	}
	list := make([]store.NewReply, len(replies))
	for i, r := range replies {
		if r.At.IsZero() {
			r.At = h.Now().UTC()
		}
		list[i] = store.NewReply{Reply: store.Reply{ContactCode: withPlus(r.Contact), At: r.At, Type: r.Type, Text: r.Text, ID: r.ID, Quoted: r.Quoted}, UserID: r.UserID}
		for _, p := range h.channels[r.Account] {
			list[i].Places = append(list[i].Places, p.Place)
		}
	}
	if err := h.Store().AddReplies(list); err != nil {
		return err
	}
	h.match()
	return nil
}

// stopWords appends to outs the opt-outs of the contacts that replied with a stop word.
func (h *receiver) stopWords(outs []store.OptOut, replies []receipts.Reply) ([]store.OptOut, error) {
	for _, r := range replies {
		if err := h.learn(r.UserID, r.Contact, ""); err != nil {
			return nil, err
		}
		for _, p := range h.channels[r.Account] {
			if !r.IsStopWord(p.stopWords) {
				continue
			}
			outs = h.appendOptOuts(outs, p, "reply", withPlus(r.Contact), r.UserID)
		}
	}
	return outs, nil
}

const (
	// matchDelay is the time that receipts and replies are collected before a search.
	matchDelay = time.Second
	// matchShare limits the search, which reads whole sendings, to one part in matchShare of the time.
	matchShare = 20
	// receiptSettled is the time after which the result that a receipt or reply belongs to is certainly recorded.
	receiptSettled = time.Minute
)

// match starts a search for the messages of receipts and replies.
func (h *Hooks) match() {
	select {
	case h.unmatched <- struct{}{}:
	default: // it is asked for already
	}
}

// Run looks for the messages of receipts without a key and of replies, until ctx ends.
func (h *Hooks) Run(ctx context.Context) {
	again := time.NewTimer(0) // those left by the last run
	defer again.Stop()
	var took time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-h.unmatched:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(matchDelay, matchShare*took)):
		}
		begin := time.Now()
		left := h.matchOnce(h.Now().Add(-receiptSettled))
		took = time.Since(begin)
		if left {
			again.Reset(receiptSettled + time.Second)
		}
	}
}

// matchOnce reports whether something is left for another search.
func (h *Hooks) matchOnce(settled time.Time) (left bool) {
	told, receipts, err := h.Store().MatchReceipts(settled)
	if err != nil {
		h.Log.Error("match receipts; retrying", "err", err)
	}
	h.count(told)
	replies, err2 := h.Store().MatchReplies(settled)
	if err2 != nil {
		h.Log.Error("match replies; retrying", "err", err2)
	}
	h.Metrics.Replies(replies.Matched, replies.Unmatched)
	return err != nil || err2 != nil || receipts+replies.Left > 0
}
