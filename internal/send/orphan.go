package send

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"campaignd/internal/campaign"
)

// Orphan is a message of a remote channel that was in flight when the previous process ended.
// A worker may be sending it, and its answer is kept for the next process. Until the answer
// is found, or the time for it has passed, the message stays in flight.
type Orphan struct {
	Sending     campaign.ID
	Application int64
	Channel     string
	Row         uint32
	Message     uint8
	Line        uint32
	Status      campaign.MessageStatus // InFlight, with the attempts including this one
	Number      uint64                 // of the batch; 0: unknown, so any with its key and attempt is the one
	Key         string
	ContactCode string
	To          string
}

// LateAnswer is an answer to a batch of an earlier process.
type LateAnswer struct {
	Key     string
	Attempt int
	Number  uint64 // of the batch
	Result  Result // Returned() for a message that was not sent
}

// orphans are the messages in flight that an earlier process handed out.
type orphans struct {
	*environment
	channels *channels
	runs     *runs

	mu    sync.Mutex // guards byKey; never held during a call of Store
	byKey map[string]*Orphan
	busy  sync.Mutex // one settlement at a time
}

// Adopt takes over messages that the previous process left in flight. Call it before Run.
func (d *Dispatcher) Adopt(list []Orphan) {
	d.orphans.mu.Lock()
	defer d.orphans.mu.Unlock()
	d.orphans.byKey = make(map[string]*Orphan, len(list))
	for i := range list {
		d.orphans.byKey[list[i].Key] = &list[i]
	}
}

// Orphans returns how many messages of an application's channel an earlier process left in
// flight.
func (d *Dispatcher) Orphans(application int64, channel string) int {
	return len(d.orphans.where(func(o *Orphan) bool { return o.Application == application && o.Channel == channel }))
}

// Settle records answers to batches of earlier processes. It returns how many of them concern
// a message that is still in flight; the others are repetitions. After an error nothing is
// recorded.
func (d *Dispatcher) Settle(ctx context.Context, answers []LateAnswer) (int, error) {
	found, results := d.orphans.answered(answers)
	return len(found), d.orphans.settle(ctx, found, results)
}

// SettleUnsent makes the messages pending again that an earlier process left in flight in a batch
// that nobody was granted. unsent reports so of a batch's number. It returns how many there were.
func (d *Dispatcher) SettleUnsent(ctx context.Context, unsent func(number uint64) bool) (int, error) {
	list := d.orphans.where(func(o *Orphan) bool { return o.Number != 0 && unsent(o.Number) })
	return len(list), d.orphans.settle(ctx, list, slices.Repeat([]Result{Returned()}, len(list)))
}

// SettleRest decides about the messages of a channel that an earlier process left in flight and
// that nobody has answered for, by on_unknown. It returns how many there were.
func (d *Dispatcher) SettleRest(ctx context.Context, application int64, channel string) (int, error) {
	rest := d.orphans.where(func(o *Orphan) bool { return o.Application == application && o.Channel == channel })
	lost := Result{Verdict: verdictLost, MaybeDelivered: true, Detail: "campaignd ended while a worker had it, and no worker has answered"}
	return len(rest), d.orphans.settle(ctx, rest, slices.Repeat([]Result{lost}, len(rest)))
}

// where returns the orphans that match.
func (os *orphans) where(match func(*Orphan) bool) []*Orphan {
	os.mu.Lock()
	defer os.mu.Unlock()
	var list []*Orphan
	for _, o := range os.byKey {
		if match(o) {
			list = append(list, o)
		}
	}
	return list
}

// concern reports whether a sending has orphans.
func (os *orphans) concern(id campaign.ID) bool {
	return len(os.where(func(o *Orphan) bool { return o.Sending == id })) > 0
}

// answered returns the orphans that answers are about, with their results.
func (os *orphans) answered(answers []LateAnswer) (found []*Orphan, results []Result) {
	os.mu.Lock()
	defer os.mu.Unlock()
	for i := range answers {
		a := &answers[i]
		o := os.byKey[a.Key]
		if o == nil || o.Status.Attempts() != a.Attempt || o.Number != 0 && o.Number != a.Number || slices.Contains(found, o) {
			continue
		}
		res := a.Result
		// Without its number, a later batch with the same attempt may have gone out.
		res.MaybeDelivered = res.MaybeDelivered || o.Number == 0 && res.Verdict == verdictReturned
		found, results = append(found, o), append(results, res)
	}
	return found, results
}

// settle records the results of orphans and forgets them.
func (os *orphans) settle(ctx context.Context, list []*Orphan, results []Result) error {
	if len(list) == 0 {
		return nil
	}
	os.busy.Lock()
	defer os.busy.Unlock()
	var entries []campaign.Entry
	touched := map[campaign.ID]bool{}
	for i, o := range list {
		os.mu.Lock()
		open := os.byKey[o.Key] == o
		os.mu.Unlock()
		if open {
			entries = os.settleOne(o, &results[i], entries)
			touched[o.Sending] = true
		}
	}
	if err := os.store.Commit(ctx, entries); err != nil {
		return fmt.Errorf("record answers of workers: %w", err)
	}
	os.mu.Lock()
	for _, o := range list {
		delete(os.byKey, o.Key)
	}
	os.mu.Unlock()
	for id := range touched {
		os.runs.rediscover(id)
	}
	return nil
}

// settleOne appends the entry for the result of an orphan. The channel learns nothing from it:
// it is old.
func (os *orphans) settleOne(o *Orphan, res *Result, entries []campaign.Entry) []campaign.Entry {
	ch := &appChannel{environment: os.environment, application: o.Application, name: o.Channel}
	if cs := os.channels.sender(o.Application, o.Channel); cs != nil {
		ch = cs.appChannel
	} else { // the channel is gone from the configuration: nothing is resent
		ch.settings.Store(&ChannelSettings{Name: o.Channel, OnUnknown: HoldUnknown, MaxAttempts: 1})
	}
	before := campaign.NewMessageStatus(campaign.Pending, max(o.Status.Attempts()-1, 0))
	if o.Status.MaybeDelivered() {
		before = before.WithMaybeDelivered()
	}
	r := &run{id: o.Sending}
	b := &batch{
		items: []item{{cursor: &sendingCursor{run: r}, row: o.Row, message: o.Message, line: o.Line, attempts: uint8(o.Status.Attempts()), before: before}},
		msgs:  []Message{{Key: o.Key, SendingID: o.Sending, ContactCode: o.ContactCode, To: o.To}}, results: []Result{*res},
	}
	ch.optOut(&b.msgs[0], res)
	from := len(entries)
	entries = ch.decide(b, entries)
	ch.count(entries[from:])
	return entries
}
