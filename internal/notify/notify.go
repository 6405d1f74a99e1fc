// Package notify tells partners over HTTP that their drops have ended (docs/contract.md 10): one
// signed request a drop to the inbox's notify_url, repeated with growing pauses until it is
// acknowledged.
//
// The store keeps what isn't acknowledged, so a stop or a crash costs a repeat and no notice. The
// receiver tells repeats by their webhook-id. A receiver that fails delays only its own inbox. The
// package decides nothing about sendings and writes no contact data.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// Store keeps the notices. *store.Store implements it.
type Store interface {
	Notices() ([]store.Notice, error)
	PutNotice(store.Notice) error
	RemoveNotice(campaign.ID) error
	Load(campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error)
}

// Target is where the notices of an inbox go.
type Target struct {
	URL    string
	Secret string // of the Standard Webhooks signature
}

// Options configure a Notifier.
type Options struct {
	Store  Store
	Target func(inbox string) (t Target, ok bool, err error) // ok is false if the inbox has no notify_url (any more)
	Data   func(*campaign.Sending, campaign.Counts) any      // member data of the request
	Client *http.Client                                      // nil: one that follows no redirects
	Tried  func(Result)                                      // called after each attempt; nil: nobody counts them
	Now    func() time.Time                                  // nil: time.Now
	Log    *slog.Logger
}

// Result is how an attempt to deliver a notice ended.
type Result string

// The results of attempts.
const (
	Delivered Result = "delivered"
	Retried   Result = "retried"  // it failed and will be repeated
	GivenUp   Result = "given_up" // it failed and was the last
)

// Results lists all results.
func Results() []Result { return []Result{Delivered, Retried, GivenUp} }

const (
	attemptTimeout = 15 * time.Second
	maxSleep       = time.Minute // the clock may be set, and a configuration reloaded
)

// pauses are the waits between the attempts; after the last the notice is given up.
func pauses() []time.Duration {
	return []time.Duration{5 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 20 * time.Hour}
}

// Notifier sends the notices.
type Notifier struct {
	opts Options
	kick chan struct{}

	mu   sync.Mutex           // guards all below
	busy map[string]bool      // inboxes with a running worker
	wait map[string]time.Time // inboxes whose last attempt failed: not before
}

// New returns a Notifier. It starts nothing.
func New(o Options) *Notifier {
	if o.Client == nil {
		o.Client = &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: attemptTimeout},
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tried == nil {
		o.Tried = func(Result) {}
	}
	return &Notifier{opts: o, kick: make(chan struct{}, 1), busy: map[string]bool{}, wait: map[string]time.Time{}}
}

// Kick makes the notifier look at the store. It is called when there may be a new notice.
func (n *Notifier) Kick() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// Run sends notices until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer n.opts.Client.CloseIdleConnections()
	defer workers.Wait()
	for {
		next := n.start(ctx, &workers)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(max(next.Sub(n.opts.Now()), 0), maxSleep)):
		case <-n.kick:
		}
	}
}

// start starts a worker for each inbox that has something due, and returns when to look again.
func (n *Notifier) start(ctx context.Context, workers *sync.WaitGroup) (next time.Time) {
	now := n.opts.Now()
	next = now.Add(maxSleep)
	all, err := n.opts.Store.Notices()
	if err != nil {
		n.opts.Log.Error("read notices", "err", err)
		return next
	}
	due := map[string][]notice{}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range all {
		s, _, counts, err := n.opts.Store.Load(one.Sending)
		if err != nil {
			if errors.Is(err, store.ErrNotFound) {
				err = n.opts.Store.RemoveNotice(one.Sending)
			}
			n.log("read a sending to announce", one.Sending, err)
			continue
		}
		at := one.Due
		if wait := n.wait[s.Inbox]; wait.After(at) {
			at = wait
		}
		if at.After(now) {
			if at.Before(next) {
				next = at
			}
		} else if !n.busy[s.Inbox] {
			due[s.Inbox] = append(due[s.Inbox], notice{one, s, counts})
		}
	}
	for inbox, list := range due {
		n.busy[inbox] = true
		workers.Go(func() { n.work(ctx, inbox, list) })
	}
	return next
}

// notice is one to be sent.
type notice struct {
	store.Notice
	s      *campaign.Sending
	counts campaign.Counts
}

// work sends the notices of one inbox until one fails.
func (n *Notifier) work(ctx context.Context, inbox string, list []notice) {
	var wait time.Time
	for _, one := range list {
		if ctx.Err() != nil {
			break
		}
		if wait = n.try(ctx, one); !wait.IsZero() {
			break
		}
	}
	n.mu.Lock()
	n.busy[inbox], n.wait[inbox] = false, wait
	n.mu.Unlock()
	n.Kick()
}

// try makes one attempt. It returns when the next one of this inbox may be made, or zero after a success.
func (n *Notifier) try(ctx context.Context, one notice) (wait time.Time) {
	target, ok, err := n.opts.Target(one.s.Inbox)
	if err == nil && !ok {
		n.log("drop a notice", one.Sending, n.opts.Store.RemoveNotice(one.Sending))
		return time.Time{}
	}
	if err == nil {
		err = n.post(ctx, target, one)
	}
	if ctx.Err() != nil {
		return n.opts.Now()
	}
	if err == nil {
		n.opts.Tried(Delivered)
		n.opts.Log.Info("end of a drop announced", "sending", one.Sending, "state", one.s.State, "attempts", one.Attempts+1)
		n.log("record an announced end", one.Sending, n.opts.Store.RemoveNotice(one.Sending))
		return time.Time{}
	}
	pause := pauses()
	if one.Attempts >= len(pause) {
		n.opts.Tried(GivenUp)
		n.opts.Log.Warn("the end of a drop can't be announced; given up", "sending", one.Sending, "inbox", one.s.Inbox, "attempts", one.Attempts+1, "err", err)
		n.log("give up a notice", one.Sending, n.opts.Store.RemoveNotice(one.Sending))
		return time.Time{}
	}
	n.opts.Tried(Retried)
	after := pause[one.Attempts]
	after += rand.N(after/5) - after/10
	one.Attempts++
	one.Due = n.opts.Now().Add(after).UTC()
	n.opts.Log.Warn("the end of a drop can't be announced; it is tried again", "sending", one.Sending, "inbox", one.s.Inbox, "attempts", one.Attempts, "next", one.Due, "err", err)
	n.log("record an attempt", one.Sending, n.opts.Store.PutNotice(one.Notice))
	return one.Due
}

func (n *Notifier) log(what string, id campaign.ID, err error) {
	if err != nil {
		n.opts.Log.Error(what, "sending", id, "err", err)
	}
}

// event is the body of a request, as Standard Webhooks recommends it.
type event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

func (n *Notifier) post(ctx context.Context, target Target, one notice) error {
	s := one.s
	body, err := json.Marshal(event{Type: "sending." + string(s.State), Timestamp: s.FinishedAt.UTC(), Data: n.opts.Data(s, one.counts)})
	if err != nil {
		return fmt.Errorf("encode notice: %w", err)
	}
	signer, err := standardwebhooks.NewWebhook(target.Secret)
	if err != nil {
		return errors.New("the secret of notify_secret_file is not base64")
	}
	// A resend ends the same sending again, which is another event.
	id := fmt.Sprintf("%s.%d", s.ID, s.FinishedAt.Unix())
	at := n.opts.Now()
	signature, err := signer.Sign(id, at, body)
	if err != nil {
		return errors.New("the request can't be signed")
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("notify_url is not a valid URL")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "campaignd")
	r.Header.Set(standardwebhooks.HeaderWebhookID, id)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(at.Unix()))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := n.opts.Client.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the URL may hold a secret
		}
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answers %s", resp.Status)
	}
	return nil
}
