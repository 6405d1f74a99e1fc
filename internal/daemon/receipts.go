package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send/whatsapp"
	"campaignd/internal/store"
)

// sender is a channel of an application.
type sender struct {
	application int64
	channel     string
}

// hooks serves WhatsApp's webhooks with the secrets of the configuration in force, and gives what
// they tell to the store.
type hooks struct {
	d       *Daemon
	current atomic.Pointer[hookTable]
	stray   chan struct{} // a report came that names no message of ours

	mu       sync.Mutex // guards what follows
	loggedAt time.Time  // when a refused call was logged last: anyone can make them
	unlogged int
}

// hookTable is one configuration's webhooks.
type hookTable struct {
	handler *whatsapp.Hooks
	places  map[string][]sender // by phone number id
}

func newHooks(d *Daemon) *hooks { return &hooks{d: d, stray: make(chan struct{}, 1)} }

// ServeHTTP implements http.Handler. Where no channel takes webhooks there is nothing here.
func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	table := h.current.Load()
	if table == nil || table.handler == nil {
		http.NotFound(w, r)
		return
	}
	table.handler.ServeHTTP(w, r)
}

// prepare reads the secrets of c's webhooks. Nothing changes until use.
func (h *hooks) prepare(c *config.Config, getenv func(string) string) (*hookTable, error) {
	t := &hookTable{places: map[string][]sender{}}
	var accounts []whatsapp.Account
	var problems []error
	for _, a := range c.Applications {
		for name, ch := range a.Channels {
			if ch.Driver != config.DriverWhatsApp || ch.AppSecretFile == "" {
				continue
			}
			secret, err := config.ReadSecret(ch.AppSecretFile, getenv)
			verify, err2 := config.ReadSecret(ch.VerifyTokenFile, getenv)
			if err := errors.Join(err, err2); err != nil {
				problems = append(problems, fmt.Errorf("application %d, channel %s: webhooks: %w", a.ID, name, err))
				continue
			}
			accounts = append(accounts, whatsapp.Account{PhoneNumberID: ch.PhoneNumberID, AppSecret: secret, VerifyToken: verify})
			t.places[ch.PhoneNumberID] = append(t.places[ch.PhoneNumberID], sender{a.ID, name})
		}
	}
	if err := errors.Join(problems...); err != nil || len(accounts) == 0 {
		return t, err
	}
	var err error
	t.handler, err = whatsapp.NewHooks(accounts, h, h.refused)
	return t, err
}

func (h *hooks) use(t *hookTable, listen string) {
	h.current.Store(t)
	if t.handler != nil && listen == "" {
		h.d.log.Warn("app_secret_file is set, but webhooks can't come in: listen is empty")
	}
}

// refusedEvery is how often calls that were refused are logged.
const refusedEvery = time.Minute

func (h *hooks) refused(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.d.metrics.HookRefused()
	now := h.d.now()
	if since := now.Sub(h.loggedAt); since >= 0 && since < refusedEvery {
		h.unlogged++
		return
	}
	h.d.log.Warn("webhook not taken", "err", err, "othersSinceTheLast", h.unlogged)
	h.loggedAt, h.unlogged = now, 0
}

// Receive implements whatsapp.Receiver.
func (h *hooks) Receive(_ context.Context, statuses []whatsapp.Status, preferences []whatsapp.Preference) error {
	table := h.current.Load()
	var reports []store.Receipt
	var outs []store.OptOut
	optOut := func(number, contact string) {
		for _, p := range table.places[number] {
			if contact != "" {
				outs = append(outs, store.OptOut{ApplicationID: p.application, ChannelType: p.channel, ContactCode: contact,
					At: h.d.now().UTC(), Source: "webhook"})
			}
		}
	}
	for _, s := range statuses {
		if s.OptedOut {
			optOut(s.PhoneNumberID, s.Contact)
			contact, err := h.d.store.ContactOf(s.Key) // which may be written otherwise than Meta knows it
			if err != nil {
				return err
			}
			optOut(s.PhoneNumberID, contact)
		}
		state, ok := campaign.ParseDelivery(string(s.Delivery))
		if !ok {
			continue // "sent": that is known
		}
		r := store.Receipt{Key: s.Key, Provider: s.ProviderID, State: state, At: s.At, Code: s.Code, Detail: s.Detail}
		for _, p := range table.places[s.PhoneNumberID] {
			r.Applications = append(r.Applications, p.application)
		}
		reports = append(reports, r)
	}
	for _, p := range preferences {
		if p.Stop {
			optOut(p.PhoneNumberID, p.Contact)
		}
	}
	if len(outs) > 0 {
		if _, err := h.d.store.AddOptOuts(outs); err != nil {
			return err
		}
	}
	if len(reports) == 0 {
		return nil
	}
	told, err := h.d.store.RecordReceipts(reports)
	if err != nil {
		return err
	}
	h.count(told)
	return nil
}

// count has what was told in the metrics, and strays looked for.
func (h *hooks) count(told []store.ReceiptResult) {
	for _, one := range told {
		if one.Application == 0 {
			select {
			case h.stray <- struct{}{}:
			default:
			}
			continue
		}
		h.d.metrics.Delivery(one.Application, one.State)
	}
}

const (
	// strayPause is how long strays gather before they are looked for.
	strayPause = time.Second
	// strayShare bounds that search, which reads whole sendings: it may take one part in so many of the time.
	strayShare = 20
	// straySettled is how long after a report the result that it belongs to is in the books for sure.
	straySettled = time.Minute
)

// placeStrays looks for the messages of reports that named none, until ctx ends.
func (h *hooks) placeStrays(ctx context.Context) {
	again := time.NewTimer(0) // what the last run left
	defer again.Stop()
	var took time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		case <-h.stray:
		}
		gather := time.NewTimer(max(strayPause, strayShare*took))
		select {
		case <-ctx.Done():
			gather.Stop()
			return
		case <-gather.C:
		}
		begin := time.Now()
		told, left, err := h.d.store.MatchReceipts(h.d.now().Add(-straySettled))
		took = time.Since(begin)
		if err != nil {
			h.d.log.Error("look for the messages of webhooks; it is tried again", "err", err)
			left = 1
		}
		h.count(told)
		if left > 0 {
			again.Reset(straySettled + time.Second)
		}
	}
}
