package daemon

import (
	"slices"

	"campaignd/internal/config"
	"campaignd/internal/notify"
)

// notifyTarget returns where the ends of an inbox's drops are announced. The secret is read at each
// use, so that a changed one is in force immediately.
func (d *Daemon) notifyTarget(inbox string) (notify.Target, bool, error) {
	c := d.current()
	i := slices.IndexFunc(c.Inboxes, func(in config.Inbox) bool { return sameInbox(in.Path, inbox) })
	if i < 0 || c.Inboxes[i].NotifyURL == "" {
		return notify.Target{}, false, nil
	}
	secret, err := config.ReadSecret(c.Inboxes[i].NotifySecretFile, d.opts.Getenv)
	return notify.Target{URL: c.Inboxes[i].NotifyURL, Secret: secret}, true, err
}
