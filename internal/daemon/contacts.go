package daemon

import (
	"sync"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/send/whatsapp"
	"campaignd/internal/store"
)

// contacts is a WhatsApp number's limit of different contacts, counted in the store,
// which is opened only after the drivers were found to be right.
type contacts struct {
	count func() *store.Contacts
}

// Allow implements whatsapp.Quota.
func (c contacts) Allow(contact []byte, at time.Time) (ok bool, next time.Time, err error) {
	return c.count().Allow(contact, at)
}

// quota is what a channel's daily_contacts asks for, nil where there is no limit. Channels with the
// same number, of whatever application, share one count, and a renamed one keeps it.
func (d *Daemon) quota(ch config.Channel) whatsapp.Quota {
	if ch.DailyContacts <= 0 {
		return nil
	}
	return contacts{count: sync.OnceValue(func() *store.Contacts {
		return d.store.Contacts("whatsapp/"+ch.PhoneNumberID, ch.DailyContacts)
	})}
}
