package daemon

import (
	"errors"
	"fmt"
	"strings"

	"campaignd/internal/config"
	"campaignd/internal/intake"
	"campaignd/internal/plan"
	"campaignd/internal/send"
	"campaignd/internal/send/null"
	"campaignd/internal/send/outbox"
	"campaignd/internal/send/smtp"
	"campaignd/internal/send/webhook"
	"campaignd/internal/send/whatsapp"
)

// Drivers are the channels of every application, made and not yet used.
type Drivers map[int64]map[string]send.Channel

// Of are an application's channels by name.
func (d Drivers) Of(application int64) map[string]send.Channel { return d[application] }

// OpenDrivers makes every channel's driver. Nothing is connected or opened yet
// but the secrets, which are read; all that is wrong is in the error.
// They count no contacts and keep nothing: only a daemon, which has a store, holds to daily_contacts.
func OpenDrivers(c *config.Config, getenv func(string) string) (Drivers, error) {
	return openDrivers(c, getenv, unkept)
}

func openDrivers(c *config.Config, getenv func(string) string, of func(config.Channel) kept) (Drivers, error) {
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

// nullBatch is how many messages the null driver takes at once, as the outbox does.
const nullBatch = 1024

func openDriver(ch config.Channel, getenv func(string) string, k kept, tap send.WireTracer) (send.Channel, error) {
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

// openSMTP makes a mail channel with its secrets.
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

// openWhatsApp makes a WhatsApp channel with its token, which it reads again when Meta refuses it.
func openWhatsApp(ch config.Channel, getenv func(string) string, k kept, tap send.WireTracer) (send.Channel, error) {
	read := func() (string, error) { return config.ReadSecret(ch.TokenFile, getenv) }
	token, err := read()
	if err != nil {
		return nil, err
	}
	return whatsapp.New(whatsapp.Options{BaseURL: ch.BaseURL, Version: ch.Version, PhoneNumberID: ch.PhoneNumberID,
		Token: token, ReadToken: read, Timeout: ch.Timeout, Concurrency: ch.Concurrency, Quota: k.quota, Refusals: k.refusals, Tracer: tap})
}

// holdup says which of an application's channels are held, and why: status.json has it, since a
// partner sees nothing else of a sending that doesn't get on.
func (d *Daemon) holdup(application int64, channels []string) string {
	var why []string
	for _, lane := range d.send.HeldChannels() {
		if lane.Application == application && contains(channels, lane.Name) {
			why = append(why, fmt.Sprintf("channel %s is held: %s", lane.Name, lane.Reason))
		}
	}
	return strings.Join(why, "; ")
}

// applications is the configuration as the dispatcher wants it.
func applications(c *config.Config, drivers Drivers) []send.Application {
	var list []send.Application
	for i := range c.Applications {
		a := &c.Applications[i]
		one := send.Application{ID: a.ID, Windows: a.Windows, Burst: a.Slicing.Pacing == "burst", Grid: grid(a)}
		for name, ch := range a.Channels {
			one.Channels = append(one.Channels, send.ChannelSettings{
				Name: name, Channel: drivers[a.ID][name], Rate: ch.Rate, Concurrency: ch.Concurrency,
				MaxAttempts: ch.MaxAttempts, RetryBase: ch.RetryBase, RetryMax: ch.RetryMax, OnUnknown: send.Policy(ch.OnUnknown),
			})
		}
		list = append(list, one)
	}
	return list
}

// grid are an application's slots, nil if it doesn't slice.
func grid(a *config.Application) *plan.Grid {
	if !a.Slicing.Enabled {
		return nil
	}
	g := intake.Grid(a)
	return &g
}
