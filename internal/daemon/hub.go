package daemon

import (
	"context"
	"fmt"
	"reflect"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/config"
	"campaignd/internal/relay"
	"campaignd/internal/send"
)

// natsConfig returns how to connect as [nats] says. role is part of the connection's name.
func natsConfig(c *config.Config, role string, getenv func(string) string) (relay.Config, error) {
	credentials, err := config.SecretReader(getenv)(c.NATS.CredentialsFile)
	if err != nil {
		return relay.Config{}, fmt.Errorf("nats: credentials_file: %w", err)
	}
	return relay.Config{Servers: c.NATS.Servers, Credentials: credentials, Name: c.NATS.Name, Replicas: c.NATS.Replicas, Monitoring: c.NATS.Monitoring,
		Client: "campaignd " + role}, nil
}

// newHub returns the hub of the workers.
func (d *Daemon) newHub(c relay.Config) *relay.Hub {
	c.Wire = d.opts.wire
	return relay.NewHub(relay.HubOptions{Config: c, Records: d.store, Tag: d.store.Tag, Log: d.log, Leads: d.leads()})
}

// channel returns what the dispatcher sends a channel's messages with: its driver, or the workers.
func (d *Daemon) channel(application int64, ch config.Channel, driver send.Channel) send.Channel {
	if d.hub == nil || !ch.Remote() {
		return driver
	}
	return d.hub.Channel(relay.ChannelOptions{Application: application, Name: ch.Name, Rules: driver, Batch: ch.Batch,
		Hold: send.Policy(ch.OnUnknown) == send.HoldUnknown, AnswerWait: ch.AnswerWait})
}

// runHub runs the dispatcher, and the hub for as long as it needs the answers of workers.
func (d *Daemon) runHub(ctx context.Context, group *errgroup.Group) {
	if d.hub == nil {
		group.Go(func() error { return d.send.Run(ctx) })
		return
	}
	answers, end := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error {
		defer end()
		return d.send.Run(ctx)
	})
	group.Go(func() error { return d.hub.Run(answers, d.send) })
}

// sentByWorkers reports whether workers send a channel.
func (d *Daemon) sentByWorkers(application int64, channelType string) bool {
	a := d.config.Application(application)
	return a != nil && d.hub != nil && a.Channels[channelType].Remote()
}

// adopt tells the dispatcher which messages workers may be sending for the last run.
func (d *Daemon) adopt() error {
	list, err := d.store.InFlight()
	if err != nil {
		return err
	}
	orphans := make([]send.Orphan, len(list))
	for i, m := range list {
		orphans[i] = send.Orphan{Sending: m.Sending, Application: m.Application, Channel: m.Channel, Row: m.Row, Message: m.Message, Line: m.Line,
			Status: m.Status, Number: m.HandOut, Key: m.Key, ContactCode: m.ContactCode, To: m.To}
	}
	d.send.Adopt(orphans)
	return nil
}

// keepHub keeps [nats] as it was at the start. It refuses a channel that workers send if there was none.
func (d *Daemon) keepHub(old, c *config.Config) error {
	if d.hub == nil {
		for i := range c.Applications {
			for _, ch := range c.Applications[i].Channels {
				if ch.Remote() {
					return fmt.Errorf("channel %s of application %d: send_from = %q takes effect at the next start, because [nats] is new", ch.Name, c.Applications[i].ID, config.FromWorkers)
				}
			}
		}
	} else if !reflect.DeepEqual(c.NATS, old.NATS) {
		d.log.Warn("reload: [nats] takes effect at the next start")
	}
	c.NATS = old.NATS
	return nil
}
