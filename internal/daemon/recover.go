package daemon

import (
	"fmt"

	"campaignd/internal/config"
	"campaignd/internal/send"
)

// recover finishes what the last run left unfinished.
func (d *Daemon) recover() error {
	found, err := d.store.Recover(d.sentByWorkers, d.resendsUnknown)
	if err != nil {
		return fmt.Errorf("recover what was in flight: %w", err)
	}
	if found.Retried+found.Unknown > 0 {
		d.log.Warn("messages were in flight when the last run ended", "resentUnderTheirKey", found.Retried, "unknown", found.Unknown)
	}
	if found.Kept > 0 {
		if err := d.adopt(); err != nil {
			return fmt.Errorf("recover what was in flight: %w", err)
		}
		d.log.Info("workers may be sending messages that the last run handed out; looking for their answers", "messages", found.Kept)
	}
	if why := d.store.Restored(); why != "" {
		d.log.Warn("the store was restored " + why + ", and every sending is held: compare what was sent since with the receivers, then run: campaignd resume --all")
	}
	if err := d.loadStates(); err != nil {
		return fmt.Errorf("read states: %w", err)
	}
	d.prepareInboxes(d.config)
	return d.intake.Recover()
}

// resendsUnknown reports whether a channel's messages may be sent again under their key.
func (d *Daemon) resendsUnknown(application int64, channelType string) bool {
	a := d.config.Application(application)
	return a != nil && send.Policy(a.Channels[channelType].OnUnknown) == send.RetryUnknown
}

// prepareInboxes creates the folders that partners expect before their first drop, and logs the
// problems of an inbox.
func (d *Daemon) prepareInboxes(c *config.Config) {
	for _, in := range c.Inboxes {
		if err := d.folders.Prepare(in.Path); err != nil {
			d.log.Warn("inbox can't be used", "inbox", in.Path, "err", err)
		}
	}
}
