package daemon

import (
	"errors"
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/intake"
	"campaignd/internal/plan"
	"campaignd/internal/report"
	"campaignd/internal/send"
	"campaignd/internal/send/null"
	"campaignd/internal/send/outbox"
	"campaignd/internal/send/smtp"
	"campaignd/internal/send/webhook"
	"campaignd/internal/send/whatsapp"
)

// Drivers maps applications to their channels by name.
type Drivers map[int64]map[string]send.Channel

// Of returns an application's channels by name.
func (d Drivers) Of(application int64) map[string]send.Channel { return d[application] }

// OpenDrivers creates the driver of every channel. It reads their secrets but
// connects to nothing. The error lists every problem. Without a store the drivers
// can't enforce daily_contacts.
func OpenDrivers(c *config.Config, getenv func(string) string) (Drivers, error) {
	return openDrivers(c, getenv, noNumberStore)
}

func openDrivers(c *config.Config, getenv func(string) string, of func(config.Channel) numberStore) (Drivers, error) {
	drivers := Drivers{}
	var problems []error
	for _, a := range c.Applications {
		drivers[a.ID] = map[string]send.Channel{}
		for name, ch := range a.Channels {
			driver, err := openDriver(ch, getenv, of(ch), nil)
			if err != nil {
				problems = append(problems, fmt.Errorf("application %d, channel %s: %w", a.ID, name, err))
				continue
			}
			drivers[a.ID][name] = driver
		}
	}
	return drivers, errors.Join(problems...)
}

// nullBatch is the null driver's batch size in messages, the same as the outbox's.
const nullBatch = 1024

func openDriver(ch config.Channel, getenv func(string) string, k numberStore, tap send.WireTracer) (send.Channel, error) {
	switch ch.Driver {
	case "outbox":
		return outbox.New(ch.Path), nil
	case "null":
		return null.New(nullBatch), nil
	case "webhook":
		var secret string
		if ch.SecretFile != "" {
			var err error
			if secret, err = config.ReadSecret(ch.SecretFile, getenv); err != nil {
				return nil, err
			}
		}
		return webhook.New(webhook.Options{URL: ch.URL, Secret: secret, Headers: ch.Headers, Timeout: ch.Timeout, Concurrency: ch.Concurrency, Tracer: tap})
	case "whatsapp":
		return openWhatsApp(ch, getenv, k, tap)
	case "smtp":
		return openSMTP(ch, getenv, tap)
	}
	return nil, fmt.Errorf("this version has no driver %q", ch.Driver)
}

// openSMTP creates a mail channel and reads its secrets.
func openSMTP(ch config.Channel, getenv func(string) string, tap send.WireTracer) (send.Channel, error) {
	o := smtp.Options{Host: ch.Host, Port: ch.Port, TLS: ch.TLS, Username: ch.Username, From: ch.From, ReplyTo: ch.ReplyTo,
		ListUnsubscribe: ch.ListUnsubscribe, Timeout: ch.Timeout, Concurrency: ch.Concurrency, Tracer: tap}
	var err error
	if ch.PasswordFile != "" {
		if o.Password, err = config.ReadSecret(ch.PasswordFile, getenv); err != nil {
			return nil, err
		}
	}
	if ch.DKIMKeyFile != "" {
		key, err := config.ReadSecret(ch.DKIMKeyFile, getenv)
		if err != nil {
			return nil, err
		}
		o.DKIM = &smtp.DKIM{Domain: ch.DKIMDomain, Selector: ch.DKIMSelector, Key: []byte(key)}
	}
	return smtp.New(o)
}

// openWhatsApp creates a WhatsApp channel. The driver reads its token again when Meta refuses it.
func openWhatsApp(ch config.Channel, getenv func(string) string, k numberStore, tap send.WireTracer) (send.Channel, error) {
	read := func() (string, error) { return config.ReadSecret(ch.TokenFile, getenv) }
	token, err := read()
	if err != nil {
		return nil, err
	}
	return whatsapp.New(whatsapp.Options{BaseURL: ch.BaseURL, Version: ch.Version, PhoneNumberID: ch.PhoneNumberID,
		Token: token, ReadToken: read, Timeout: ch.Timeout, Concurrency: ch.Concurrency, Quota: k.quota, Refusals: k.refusals, Tracer: tap})
}

// outlook returns what the estimated end of a sending depends on besides the store.
func (d *Daemon) outlook(s *campaign.Sending) report.Outlook {
	c := d.current()
	o := report.Outlook{Rate: c.SlowestRate(s.ApplicationID, s.Channels)}
	if a := c.Application(s.ApplicationID); a != nil {
		o.Windows = a.Windows
	}
	if s.State.Active() {
		o.Waits = d.waitsFor(s.ID)
	}
	return o
}

// applications converts the configuration for the dispatcher.
func applications(c *config.Config, drivers Drivers) []send.Application {
	var list []send.Application
	for i := range c.Applications {
		a := &c.Applications[i]
		one := send.Application{ID: a.ID, Windows: a.Windows, Burst: a.Slicing.Pacing == "burst", Grid: grid(a)}
		for name, ch := range a.Channels {
			one.Channels = append(one.Channels, send.ChannelSettings{
				Name: name, Channel: drivers[a.ID][name], Rate: ch.Rate, Concurrency: ch.Concurrency,
				MaxAttempts: ch.MaxAttempts, RetryBase: ch.RetryBase, RetryMax: ch.RetryMax, OnUnknown: send.Policy(ch.OnUnknown),
				RefusalsInARow: ch.RefusalsInARow,
			})
		}
		list = append(list, one)
	}
	return list
}

// grid returns an application's slot grid, nil if it doesn't slice.
func grid(a *config.Application) *plan.Grid {
	if !a.Slicing.Enabled {
		return nil
	}
	g := intake.Grid(a)
	return &g
}
