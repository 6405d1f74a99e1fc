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
	"campaignd/internal/receipts"
	"campaignd/internal/store"
)

// hookChannel is a channel that receives webhooks.
type hookChannel struct {
	store.Place
	stopWords []string
}

// hooks serves the webhooks of all drivers with the secrets of the configuration in force and records
// their events in the store.
type hooks struct {
	d         *Daemon
	current   atomic.Pointer[hookTable]
	unmatched chan struct{} // a receipt or reply arrived whose message isn't known yet

	mu       sync.Mutex // guards what follows
	loggedAt time.Time  // last log line of a refused call: anyone can make such calls
	unlogged int
}

// hookTable holds the handlers of one configuration's webhooks, by driver.
type hookTable map[string]http.Handler

// hookReceiver records the events of one driver's webhooks.
type hookReceiver struct {
	*hooks
	channels map[string][]hookChannel // by account
}

func newHooks(d *Daemon) *hooks { return &hooks{d: d, unmatched: make(chan struct{}, 1)} }

// hookPath is the path of the webhooks of all drivers, which each driver's name follows.
const hookPath = "/hooks/"

// handlers returns the handlers of all drivers that have webhooks, by path.
func (h *hooks) handlers() map[string]http.Handler {
	all := map[string]http.Handler{}
	for _, driver := range h.d.current().Drivers() {
		if driver.Webhooks == nil {
			continue
		}
		all[hookPath+driver.Name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if handler := (*h.current.Load())[driver.Name]; handler != nil {
				handler.ServeHTTP(w, r)
				return
			}
			http.NotFound(w, r) // no channel takes them
		})
	}
	return all
}

// prepare creates the handlers of c's webhooks. It changes nothing; use does.
func (h *hooks) prepare(c *config.Config, getenv func(string) string) (hookTable, error) {
	table := hookTable{}
	var problems []error
	for _, driver := range c.Drivers() {
		receiver := &hookReceiver{h, map[string][]hookChannel{}}
		var settings []config.Settings
		for _, a := range c.Applications {
			for name, ch := range a.Channels {
				reporter, ok := ch.Settings.(config.Reporter)
				if ch.Driver != driver.Name || !ok {
					continue
				}
				if account, stopWords := reporter.Reports(); account != "" {
					receiver.channels[account] = append(receiver.channels[account], hookChannel{store.Place{Application: a.ID, ChannelType: name}, stopWords})
					settings = append(settings, ch.Settings)
				}
			}
		}
		if driver.Webhooks == nil || len(settings) == 0 {
			continue
		}
		handler, err := driver.Webhooks(settings, config.WebhookEnvironment{Secret: config.SecretReader(getenv), Receiver: receiver, Refused: h.refused})
		if err != nil {
			problems = append(problems, fmt.Errorf("webhooks of the driver %s: %w", driver.Name, err))
			continue
		}
		table[driver.Name] = handler
	}
	return table, errors.Join(problems...)
}

func (h *hooks) use(table hookTable, listen string) {
	h.current.Store(&table)
	if len(table) > 0 && listen == "" {
		h.d.log.Warn("channels take webhooks, but none can arrive: listen is empty")
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

// Receive implements receipts.Receiver.
func (h *hookReceiver) Receive(_ context.Context, events receipts.Events) error {
	outs, err := h.optOuts(events)
	if err != nil {
		return err
	}
	if len(outs) > 0 {
		if _, err := h.d.store.AddOptOuts(outs); err != nil {
			return err
		}
	}
	if err := h.addReplies(events.Replies); err != nil {
		return err
	}
	h.d.refresher.changed(events.Templates)
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
		for _, p := range h.channels[s.Account] {
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

// optOuts returns the opt-outs of events. It learns user ids on the way, so that the store knows each
// contact by every name.
func (h *hookReceiver) optOuts(events receipts.Events) (outs []store.OptOut, err error) {
	add := func(account string, contacts ...string) {
		for _, p := range h.channels[account] {
			for _, contact := range contacts {
				if contact != "" {
					outs = append(outs, store.OptOut{ApplicationID: p.Application, ChannelType: p.ChannelType, ContactCode: contact,
						At: h.d.now().UTC(), Source: "webhook"})
				}
			}
		}
	}
	for _, s := range events.Statuses {
		if err := h.learn(s.UserID, s.Contact, s.Key); err != nil {
			return nil, err
		}
		if s.OptedOut {
			contact, err := h.d.store.ContactOf(s.Key) // as the drop wrote it, which Meta may write differently
			if err != nil {
				return nil, err
			}
			add(s.Account, withPlus(s.Contact), s.UserID, contact)
		}
	}
	for _, p := range events.Preferences {
		if err := h.learn(p.UserID, p.Contact, ""); err != nil {
			return nil, err
		}
		if p.Stop {
			add(p.Account, withPlus(p.Contact), p.UserID)
		}
	}
	for _, m := range events.Moves {
		for _, pair := range [][2]string{{withPlus(m.Contact), withPlus(m.NewContact)}, {m.UserID, m.NewUserID}, {m.UserID, withPlus(m.NewContact)}, {withPlus(m.Contact), m.NewUserID}} {
			if err := h.d.store.SamePerson(pair[0], pair[1]); err != nil {
				return nil, err
			}
		}
	}
	return h.stopWords(outs, events.Replies)
}

// learn records to which contact a user id belongs: to the number that came with it, else to the contact of our
// message with that key.
func (h *hookReceiver) learn(userID, number, key string) error {
	if userID == "" {
		return nil
	}
	contact := withPlus(number)
	if contact == "" {
		known, err := h.d.store.ContactOfUserID(userID)
		if err != nil {
			return err
		}
		if contact = known; contact == "" && key != "" {
			if contact, err = h.d.store.ContactOf(key); err != nil {
				return err
			}
		}
	}
	if contact == "" || contact == userID {
		return nil
	}
	return h.d.store.LearnUserID(userID, contact, h.d.now())
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
