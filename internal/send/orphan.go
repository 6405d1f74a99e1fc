package send

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

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
	d.orphans.mu.Lock()
	defer d.orphans.mu.Unlock()
	n := 0
	for _, o := range d.orphans.byKey {
		if o.Application == application && o.Channel == channel {
			n++
		}
	}
	return n
}

// hasOrphans reports whether a sending has orphans.
func (d *Dispatcher) hasOrphans(id campaign.ID) bool {
	d.orphans.mu.Lock()
	defer d.orphans.mu.Unlock()
	for _, o := range d.orphans.byKey {
		if o.Sending == id {
			return true
		}
	}
	return false
}

// Settle records answers to batches of earlier processes. It returns how many of them concern
// a message that is still in flight; the others are repetitions. After an error nothing is
// recorded.
func (d *Dispatcher) Settle(ctx context.Context, answers []LateAnswer) (int, error) {
	var found []*Orphan
	var results []Result
	d.orphans.mu.Lock()
	for i := range answers {
		a := &answers[i]
		o := d.orphans.byKey[a.Key]
		if o == nil || o.Status.Attempts() != a.Attempt || o.Number != 0 && o.Number != a.Number || slices.Contains(found, o) {
			continue
		}
		res := a.Result
		// Without its number, a later batch with the same attempt may have gone out.
		res.MaybeDelivered = res.MaybeDelivered || o.Number == 0 && res.Verdict == verdictReturned
		found, results = append(found, o), append(results, res)
	}
	d.orphans.mu.Unlock()
	return len(found), d.settle(ctx, found, results)
}

// SettleUnsent makes the messages pending again that an earlier process left in flight in a batch
// that nobody was granted. unsent reports so of a batch's number. It returns how many there were.
func (d *Dispatcher) SettleUnsent(ctx context.Context, unsent func(number uint64) bool) (int, error) {
	var list []*Orphan
	d.orphans.mu.Lock()
	for _, o := range d.orphans.byKey {
		if o.Number != 0 && unsent(o.Number) {
			list = append(list, o)
		}
	}
	d.orphans.mu.Unlock()
	results := make([]Result, len(list))
	for i := range results {
		results[i] = Returned()
	}
	return len(list), d.settle(ctx, list, results)
}

// SettleRest decides about the messages of a channel that an earlier process left in flight and
// that nobody has answered for, by on_unknown. It returns how many there were.
func (d *Dispatcher) SettleRest(ctx context.Context, application int64, channel string) (int, error) {
	var rest []*Orphan
	d.orphans.mu.Lock()
	for _, o := range d.orphans.byKey {
		if o.Application == application && o.Channel == channel {
			rest = append(rest, o)
		}
	}
	d.orphans.mu.Unlock()
	results := make([]Result, len(rest))
	for i := range results {
		results[i] = Result{Verdict: verdictLost, MaybeDelivered: true, Detail: "campaignd ended while a worker had it, and no worker has answered"}
	}
	return len(rest), d.settle(ctx, rest, results)
}

// settle records the results of orphans and forgets them.
func (d *Dispatcher) settle(ctx context.Context, list []*Orphan, results []Result) error {
	if len(list) == 0 {
		return nil
	}
	d.orphans.busy.Lock()
	defer d.orphans.busy.Unlock()
	var entries []campaign.Entry
	touched := map[campaign.ID]bool{}
	for i, o := range list {
		d.orphans.mu.Lock()
		open := d.orphans.byKey[o.Key] == o
		d.orphans.mu.Unlock()
		if open {
			entries = d.settleOne(o, &results[i], entries)
			touched[o.Sending] = true
		}
	}
	if err := d.store.Commit(ctx, entries); err != nil {
		return fmt.Errorf("record answers of workers: %w", err)
	}
	d.orphans.mu.Lock()
	for _, o := range list {
		delete(d.orphans.byKey, o.Key)
	}
	d.orphans.mu.Unlock()
	for id := range touched {
		d.rediscover(id)
	}
	return nil
}

// settleOne appends the entry for the result of an orphan. The channel learns nothing from it:
// it is old.
func (d *Dispatcher) settleOne(o *Orphan, res *Result, entries []campaign.Entry) []campaign.Entry {
	d.mu.Lock()
	cs := d.senders[channelKey{o.Application, o.Channel}]
	d.mu.Unlock()
	if cs == nil { // the channel is gone from the configuration: nothing is resent
		cs = newChannelSender(d, o.Application, o.Channel)
		cs.settings.Store(&ChannelSettings{Name: o.Channel, OnUnknown: HoldUnknown, MaxAttempts: 1})
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
	cs.optOut(&b.msgs[0], res)
	from := len(entries)
	entries = cs.decide(b, entries)
	cs.count(entries[from:])
	return entries
}

// rediscover makes a sending load again, because messages of it have changed in the store.
func (d *Dispatcher) rediscover(id campaign.ID) {
	d.mu.Lock()
	r := d.runs[id]
	delete(d.deferred, id)
	d.mu.Unlock()
	if r != nil && r.slices.Load() != nil {
		r.mu.Lock()
		r.pause = time.Millisecond
		r.mu.Unlock()
		r.halt()
		r.nudge()
	}
	d.changed(id)
	d.Kick()
}
