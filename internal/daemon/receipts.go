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

// hookChannel is a channel that receives webhooks.
type hookChannel struct {
	store.Place
	stopWords []string
}

// hooks serves WhatsApp's webhooks with the secrets of the configuration in force and records their
// receipts and opt-outs in the store.
type hooks struct {
	d         *Daemon
	current   atomic.Pointer[hookTable]
	unmatched chan struct{} // a receipt or reply arrived whose message isn't known yet

	mu       sync.Mutex // guards what follows
	loggedAt time.Time  // last log line of a refused call: anyone can make such calls
	unlogged int
}

// hookTable holds one configuration's webhooks.
type hookTable struct {
	handler  *whatsapp.Hooks
	channels map[string][]hookChannel // by phone number id
}

func newHooks(d *Daemon) *hooks { return &hooks{d: d, unmatched: make(chan struct{}, 1)} }

// ServeHTTP implements http.Handler. If no channel receives webhooks, it answers 404.
func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	table := h.current.Load()
	if table == nil || table.handler == nil {
		http.NotFound(w, r)
		return
	}
	table.handler.ServeHTTP(w, r)
}

// prepare reads the secrets of c's webhooks. It changes nothing; use does.
func (h *hooks) prepare(c *config.Config, getenv func(string) string) (*hookTable, error) {
	t := &hookTable{channels: map[string][]hookChannel{}}
	var accounts []whatsapp.Account
	var problems []error
	for _, a := range c.Applications {
		for name, ch := range a.Channels {
			s, ok := ch.Settings.(*whatsapp.Settings)
			if !ok || s.AppSecretFile == "" {
				continue
			}
			secret, err := config.ReadSecret(s.AppSecretFile, getenv)
			verify, err2 := config.ReadSecret(s.VerifyTokenFile, getenv)
			if err := errors.Join(err, err2); err != nil {
				problems = append(problems, fmt.Errorf("application %d, channel %s: webhooks: %w", a.ID, name, err))
				continue
			}
			accounts = append(accounts, whatsapp.Account{PhoneNumberID: s.PhoneNumberID, AppSecret: secret, VerifyToken: verify})
			t.channels[s.PhoneNumberID] = append(t.channels[s.PhoneNumberID], hookChannel{store.Place{Application: a.ID, ChannelType: name}, s.StopWords})
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
		h.d.log.Warn("app_secret_file is set, but webhooks can't arrive: listen is empty")
	}
}

// refusedEvery is the minimum interval between log lines about refused calls.
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
	h.d.log.Warn("webhook refused", "err", err, "othersSinceLast", h.unlogged)
	h.loggedAt, h.unlogged = now, 0
}

// withPlus returns a number with its country code, or a user id, as every application reads it.
func withPlus(digits string) string {
	return string(campaign.AppendContact(nil, nil, []byte(digits)))
}

// Receive implements whatsapp.Receiver.
func (h *hooks) Receive(_ context.Context, events whatsapp.Events) error {
	table := h.current.Load()
	outs, err := h.optOuts(table, events)
	if err != nil {
		return err
	}
	if len(outs) > 0 {
		if _, err := h.d.store.AddOptOuts(outs); err != nil {
			return err
		}
	}
	if err := h.addReplies(table, events.Replies); err != nil {
		return err
	}
	for why, n := range events.Ignored {
		h.d.metrics.HookIgnored(string(why), n)
	}
	var reports []store.Receipt
	for _, s := range events.Statuses {
		state, ok := campaign.ParseDelivery(string(s.Delivery))
		if !ok {
			continue // "sent" is already known
		}
		r := store.Receipt{Key: s.Key, Provider: s.ProviderID, State: state, At: s.At, Code: s.Code, Detail: s.Detail}
		for _, p := range table.channels[s.PhoneNumberID] {
			r.Applications = append(r.Applications, p.Application)
		}
		reports = append(reports, r)
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

// optOuts returns the opt-outs of events, under every name of each contact that is known: its number, its
// user id, and the contactCode of the message. It learns user ids on the way.
func (h *hooks) optOuts(table *hookTable, events whatsapp.Events) (outs []store.OptOut, err error) {
	add := func(number string, contacts ...string) {
		for _, p := range table.channels[number] {
			for _, contact := range contacts {
				if contact != "" {
					outs = append(outs, store.OptOut{ApplicationID: p.Application, ChannelType: p.ChannelType, ContactCode: contact,
						At: h.d.now().UTC(), Source: "webhook"})
				}
			}
		}
	}
	for _, s := range events.Statuses {
		learned, err := h.learn(s)
		if err != nil {
			return nil, err
		}
		if learned != "" && h.stoppedByUserID(table, s) {
			add(s.PhoneNumberID, learned)
		}
		if s.OptedOut {
			contact, err := h.d.store.ContactOf(s.Key) // as the drop wrote it, which Meta may write differently
			if err != nil {
				return nil, err
			}
			add(s.PhoneNumberID, withPlus(s.Contact), s.UserID, contact)
		}
	}
	for _, p := range events.Preferences {
		if !p.Stop {
			continue
		}
		known, err := h.d.store.ContactOfUserID(p.UserID)
		if err != nil {
			return nil, err
		}
		add(p.PhoneNumberID, withPlus(p.Contact), p.UserID, known)
	}
	return h.stopWords(outs, table, events.Replies)
}

// learn records to which contact a user id of a status belongs. It returns that contact if it is new.
func (h *hooks) learn(s whatsapp.Status) (string, error) {
	if s.UserID == "" {
		return "", nil
	}
	known, err := h.d.store.ContactOfUserID(s.UserID)
	if err != nil {
		return "", err
	}
	contact := known
	switch {
	case s.Contact != "":
		contact = withPlus(s.Contact)
	case known == "": // the number is hidden, but we know to whom the message went
		if contact, err = h.d.store.ContactOf(s.Key); err != nil {
			return "", err
		}
	}
	if contact == "" || contact == s.UserID {
		return "", nil
	}
	if err := h.d.store.LearnUserID(s.UserID, contact, h.d.now()); err != nil || contact == known {
		return "", err
	}
	return contact, nil
}

// stoppedByUserID reports whether the user id of a status has opted out. An error counts as no: the
// next status asks again.
func (h *hooks) stoppedByUserID(table *hookTable, s whatsapp.Status) bool {
	for _, p := range table.channels[s.PhoneNumberID] {
		if out, err := h.d.store.OptedOut(p.Application, p.ChannelType, []byte(s.UserID)); err == nil && out {
			return true
		}
	}
	return false
}

// count updates the metrics and starts a search for unmatched receipts.
func (h *hooks) count(told []store.ReceiptResult) {
	for _, one := range told {
		if one.Application == 0 {
			h.match()
			continue
		}
		h.d.metrics.Delivery(one.Application, one.State)
	}
}
