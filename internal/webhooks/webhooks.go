// Package webhooks takes what providers report over HTTP, such as delivery receipts, replies and
// opt-outs, and records it in the store. Drivers read their provider's format (receipts.Receiver);
// this room knows to which sending, contact and application an event belongs. It is a room of its own
// because the drivers' formats, the store and HTTP meet only here.
//
// A call is answered after its events are stored. A receipt or reply whose message isn't known yet is
// kept, and Run looks for its message again and again.
package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/receipts"
	"campaignd/internal/store"
)

// place is a channel that receives webhooks.
type place struct {
	store.Place
	stopWords []string
}

// Metrics count what arrives.
type Metrics interface {
	HookRefused()
	HookIgnored(why string, n int)
	Delivery(application int64, state campaign.DeliveryState)
	Replies(matched, unmatched int)
}

// Store keeps what providers report. *store.Store implements it.
type Store interface {
	RecordReceipts([]store.Receipt) ([]store.ReceiptResult, error)
	MatchReceipts(settled time.Time) (done []store.ReceiptResult, left int, err error)
	ContactOf(key string) (string, error)

	AddReplies([]store.NewReply) error
	MatchReplies(settled time.Time) (store.MatchedReplies, error)

	AddOptOuts([]store.OptOut) (int, error)
	LearnUserID(userID, contact string, at time.Time) error
	ContactOfUserID(userID string) (string, error)
	SamePerson(one, other string) error
}

// Options are the parts that webhooks use.
type Options struct {
	Store     func() Store // it is opened after the webhooks were prepared
	Drivers   func() []config.Driver
	Templates func([]receipts.TemplateChange) // passes on what is reported about templates
	Metrics   Metrics
	Log       *slog.Logger
	Now       func() time.Time
}

// Hooks serves the webhooks of all drivers with the secrets of the configuration in force and records
// their events in the store.
type Hooks struct {
	Options
	current   atomic.Pointer[Table]
	unmatched chan struct{} // a receipt or reply arrived whose message isn't known yet

	mu       sync.Mutex // guards what follows
	loggedAt time.Time  // last log line of a refused call: anyone can make such calls
	unlogged int
}

// Table holds the handlers of one configuration's webhooks, by driver.
type Table map[string]http.Handler

// receiver records the events of one driver's webhooks.
type receiver struct {
	*Hooks
	channels map[string][]place // by account
}

// New returns the webhooks of a daemon. It does no I/O.
func New(o Options) *Hooks { return &Hooks{Options: o, unmatched: make(chan struct{}, 1)} }

// path is the path of the webhooks of all drivers, which each driver's name follows.
const path = "/hooks/"

// Handlers returns the handlers of all drivers that have webhooks, by path.
func (h *Hooks) Handlers() map[string]http.Handler {
	all := map[string]http.Handler{}
	for _, driver := range h.Drivers() {
		if driver.Webhooks == nil {
			continue
		}
		all[path+driver.Name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if handler := (*h.current.Load())[driver.Name]; handler != nil {
				handler.ServeHTTP(w, r)
				return
			}
			http.NotFound(w, r) // no channel takes them
		})
	}
	return all
}

// Prepare creates the handlers of c's webhooks. It changes nothing; Use does.
func (h *Hooks) Prepare(c *config.Config, getenv func(string) string) (Table, error) {
	table := Table{}
	var problems []error
	for _, driver := range c.Drivers() {
		to := &receiver{h, map[string][]place{}}
		var settings []config.Settings
		for _, a := range c.Applications {
			for name, ch := range a.Channels {
				reporter, ok := ch.Settings.(config.Reporter)
				if ch.Driver != driver.Name || !ok {
					continue
				}
				if account := reporter.Reports(); account != "" {
					to.channels[account] = append(to.channels[account], place{store.Place{Application: a.ID, ChannelType: name}, ch.StopWords})
					settings = append(settings, ch.Settings)
				}
			}
		}
		if driver.Webhooks == nil || len(settings) == 0 {
			continue
		}
		handler, err := driver.Webhooks(settings, config.WebhookEnvironment{Secret: config.SecretReader(getenv), Receiver: to, Refused: h.refused})
		if err != nil {
			problems = append(problems, fmt.Errorf("webhooks of the driver %s: %w", driver.Name, err))
			continue
		}
		table[driver.Name] = handler
	}
	return table, errors.Join(problems...)
}

// Use puts a prepared configuration in force.
func (h *Hooks) Use(table Table, listen string) {
	h.current.Store(&table)
	if len(table) > 0 && listen == "" {
		h.Log.Warn("channels take webhooks, but none can arrive: listen is empty")
	}
}

// refusedEvery is the minimum interval between log lines about refused calls.
const refusedEvery = time.Minute

func (h *Hooks) refused(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Metrics.HookRefused()
	now := h.Now()
	if since := now.Sub(h.loggedAt); since >= 0 && since < refusedEvery {
		h.unlogged++
		return
	}
	h.Log.Warn("webhook refused", "err", err, "othersSinceLast", h.unlogged)
	h.loggedAt, h.unlogged = now, 0
}

// withPlus returns a number with its country code, or a user id, as every application reads it.
func withPlus(digits string) string {
	return string(campaign.AppendContact(nil, nil, []byte(digits)))
}

// Receive implements receipts.Receiver.
func (h *receiver) Receive(_ context.Context, events receipts.Events) error {
	outs, err := h.optOuts(events)
	if err != nil {
		return err
	}
	if len(outs) > 0 {
		if _, err := h.Store().AddOptOuts(outs); err != nil {
			return err
		}
	}
	if err := h.addReplies(events.Replies); err != nil {
		return err
	}
	h.Templates(events.Templates)
	for why, n := range events.Ignored {
		h.Metrics.HookIgnored(string(why), n)
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
	told, err := h.Store().RecordReceipts(reports)
	if err != nil {
		return err
	}
	h.count(told)
	return nil
}

// optOuts returns the opt-outs of events. It learns user ids on the way, so that the store knows each
// contact by every name.
func (h *receiver) optOuts(events receipts.Events) (outs []store.OptOut, err error) {
	add := func(account string, contacts ...string) {
		for _, p := range h.channels[account] {
			outs = h.appendOptOuts(outs, p, "webhook", contacts...)
		}
	}
	for _, s := range events.Statuses {
		if err := h.learn(s.UserID, s.Contact, s.Key); err != nil {
			return nil, err
		}
		if s.OptedOut {
			contact, err := h.Store().ContactOf(s.Key) // as the drop wrote it, which Meta may write differently
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
			if err := h.Store().SamePerson(pair[0], pair[1]); err != nil {
				return nil, err
			}
		}
	}
	return h.stopWords(outs, events.Replies)
}

// appendOptOuts appends the opt-outs of a contact from a channel, one by each of its names that is known.
func (h *receiver) appendOptOuts(outs []store.OptOut, p place, source string, names ...string) []store.OptOut {
	for _, name := range names {
		if name != "" {
			outs = append(outs, store.OptOut{ApplicationID: p.Application, ChannelType: p.ChannelType, ContactCode: name, At: h.Now().UTC(), Source: source})
		}
	}
	return outs
}

// learn records to which contact a user id belongs: to the number that came with it, else to the contact of our
// message with that key.
func (h *receiver) learn(userID, number, key string) error {
	if userID == "" {
		return nil
	}
	contact := withPlus(number)
	if contact == "" {
		known, err := h.Store().ContactOfUserID(userID)
		if err != nil {
			return err
		}
		if contact = known; contact == "" && key != "" {
			if contact, err = h.Store().ContactOf(key); err != nil {
				return err
			}
		}
	}
	if contact == "" || contact == userID {
		return nil
	}
	return h.Store().LearnUserID(userID, contact, h.Now())
}

// count updates the metrics and starts a search for unmatched receipts.
func (h *Hooks) count(told []store.ReceiptResult) {
	for _, one := range told {
		if one.Application == 0 {
			h.match()
			continue
		}
		h.Metrics.Delivery(one.Application, one.State)
	}
}
