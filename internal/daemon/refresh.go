package daemon

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/receipts"
	"campaignd/internal/send"
	"campaignd/internal/store"
)

// refresher renews what channels know of their receivers, such as templates.
type refresher struct {
	d       *Daemon
	drivers atomic.Pointer[Drivers]
	kick    chan struct{} // the drivers are others, or something has changed
}

func newRefresher(d *Daemon) *refresher { return &refresher{d: d, kick: make(chan struct{}, 1)} }

// use sets the drivers of the configuration in force.
func (r *refresher) use(drivers Drivers) {
	r.drivers.Store(&drivers)
	r.wake()
}

func (r *refresher) wake() {
	select {
	case r.kick <- struct{}{}:
	default: // it is asked for already
	}
}

// changed passes what a webhook reports about templates on to the channels.
func (r *refresher) changed(events []receipts.TemplateChange) {
	if len(events) == 0 {
		return
	}
	for _, channels := range *r.drivers.Load() {
		for _, channel := range channels {
			if c, ok := channel.(send.TemplateWatcher); ok {
				for _, e := range events {
					c.TemplateChanged(e.Account, e.Name, e.Language, e.Status)
				}
			}
		}
	}
	r.wake()
}

// Templates implements control.Upkeep.
func (d *Daemon) Templates(ctx context.Context, application int64, channel string) ([]api.ChannelTemplates, error) {
	return TemplatesOf(ctx, d.current(), *d.refresher.drivers.Load(), application, channel), nil
}

// TemplatesOf asks the receivers of channels for their message templates. application 0 and channel ""
// select all.
func TemplatesOf(ctx context.Context, c *config.Config, drivers Drivers, application int64, channel string) []api.ChannelTemplates {
	all := []api.ChannelTemplates{}
	for _, a := range c.Applications {
		for _, name := range slices.Sorted(maps.Keys(a.Channels)) {
			lister, ok := drivers.Of(a.ID)[name].(send.TemplateLister)
			if !ok || application != 0 && application != a.ID || channel != "" && channel != name {
				continue
			}
			list, ok, err := lister.Templates(ctx)
			if !ok {
				continue
			}
			one := api.ChannelTemplates{ApplicationID: a.ID, ChannelType: name, Templates: []api.Template{}}
			if err != nil {
				one.Error = err.Error()
			}
			for _, t := range list {
				one.Templates = append(one.Templates, api.Template(t))
			}
			all = append(all, one)
		}
	}
	return all
}

// refreshIdle is the wait if no channel has something to renew: a new configuration ends it.
const refreshIdle = 24 * time.Hour

// run renews until ctx ends.
func (r *refresher) run(ctx context.Context) {
	for {
		wait := r.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-r.kick:
		case <-time.After(wait):
		}
	}
}

// round asks every channel once, and returns when to do it again.
func (r *refresher) round(ctx context.Context) time.Duration {
	next := refreshIdle
	for application, channels := range *r.drivers.Load() {
		for name, channel := range channels {
			c, ok := channel.(send.Refresher)
			if !ok {
				continue
			}
			again, err := c.Refresh(ctx)
			if err != nil && ctx.Err() == nil {
				r.d.log.Warn("channel can't be renewed; retrying", "application", application, "channel", name, "err", err)
			}
			if again > 0 {
				next = min(next, again)
			}
		}
	}
	return next
}

// lazyRecords are the records of a store that is opened after the drivers.
type lazyRecords struct{ store func() *store.Store }

// Record implements config.Records.
func (l lazyRecords) Record(name string) ([]byte, error) { return l.store().Record(name) }

// PutRecord implements config.Records.
func (l lazyRecords) PutRecord(name string, value []byte) error {
	return l.store().PutRecord(name, value)
}
