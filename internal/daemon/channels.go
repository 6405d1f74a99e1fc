package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/plan"
	"campaignd/internal/send"
	"campaignd/internal/service"
	"campaignd/internal/store"
)

// Drivers maps applications to their channels by name.
type Drivers map[int64]map[string]send.Channel

// Of returns an application's channels by name.
func (d Drivers) Of(application int64) map[string]send.Channel { return d[application] }

// close closes the drivers.
func (d Drivers) close() error {
	var problems []error
	for _, channels := range d {
		for _, ch := range channels {
			problems = append(problems, ch.Close())
		}
	}
	return errors.Join(problems...)
}

// OpenDrivers creates the driver of every channel. It reads their secrets but
// connects to nothing. The error lists every problem. Without a store the drivers
// can't enforce daily_contacts.
func OpenDrivers(c *config.Config, getenv func(string) string) (Drivers, error) {
	return openDrivers(c, service.PlainEnvironment(c, getenv))
}

func openDrivers(c *config.Config, env config.Environment) (Drivers, error) {
	drivers := Drivers{}
	var problems []error
	for i := range c.Applications {
		a := &c.Applications[i]
		drivers[a.ID] = map[string]send.Channel{}
		for _, name := range slices.Sorted(maps.Keys(a.Channels)) {
			ch, env := a.Channels[name], env
			if ch.Remote() {
				env.Secret = secretsOfWorkers(env.Secret)
			}
			driver, err := ch.Open(env)
			if err != nil {
				problems = append(problems, fmt.Errorf("application %d, channel %s: %w", a.ID, name, err))
				continue
			}
			drivers[a.ID][name] = driver
		}
	}
	return drivers, errors.Join(problems...)
}

// secretsOfWorkers returns secrets that may be missing here, because the workers have them.
func secretsOfWorkers(secret func(string) (string, error)) func(string) (string, error) {
	return func(ref string) (string, error) {
		if text, err := secret(ref); err == nil {
			return text, nil
		}
		return "", nil
	}
}

// contactCounter gets a counter from the store lazily, because drivers are checked before the
// store is opened.
type contactCounter func() *store.Contacts

func (c contactCounter) Allow(contact []byte, at time.Time) (ok bool, next time.Time, err error) {
	return c().Allow(contact, at)
}

func (c contactCounter) Counts(contact []byte, at time.Time) (bool, error) {
	return c().Counts(contact, at)
}

// contactCounters implements config.ContactCounters.
func (d *Daemon) contactCounters(name string, most int) config.ContactCounter {
	return contactCounter(sync.OnceValue(func() *store.Contacts { return d.store.Contacts(name, most) }))
}

// applications converts the configuration for the dispatcher.
func (d *Daemon) applications(c *config.Config, drivers Drivers) []send.Application {
	var list []send.Application
	for i := range c.Applications {
		a := &c.Applications[i]
		one := send.Application{ID: a.ID, Windows: a.Windows, Burst: a.Slicing.Pacing == "burst", Grid: grid(a)}
		for name, ch := range a.Channels {
			one.Channels = append(one.Channels, send.ChannelSettings{
				Name: name, Channel: d.channel(a.ID, ch, drivers[a.ID][name]), Rate: ch.Rate, AnswerWait: ch.AnswerWait, Concurrency: ch.Concurrency,
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
	g := a.Grid()
	return &g
}
