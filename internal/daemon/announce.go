package daemon

import (
	"campaignd/internal/config"
	"campaignd/internal/notify"
)

// notifyTarget returns where the ends of an inbox's drops are announced. The secret is read at each
// use, so that a changed one is in force immediately.
func (d *Daemon) notifyTarget(inbox string) (notify.Target, bool, error) {
	c := d.current()
	in := c.Inbox(inbox)
	if in == nil || in.NotifyURL == "" {
		return notify.Target{}, false, nil
	}
	secret, err := config.ReadSecret(in.NotifySecretFile, d.opts.Getenv)
	return notify.Target{URL: in.NotifyURL, Secret: secret}, true, err
}
