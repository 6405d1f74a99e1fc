package daemon

import (
	"math"
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

// kept is what a WhatsApp number has in the store: the zero one has nothing.
type kept struct {
	quota    whatsapp.Quota
	refusals whatsapp.Refusals
}

// unkept is for a driver that has no store.
func unkept(config.Channel) kept { return kept{} }

// kept is what there is for a channel. Channels with the same number share it.
func (d *Daemon) kept(ch config.Channel) kept {
	if ch.Driver != config.DriverWhatsApp {
		return kept{}
	}
	return kept{quota: d.quota(ch), refusals: refusals{of: func(template []byte) *store.Contacts {
		return d.store.Contacts("whatsapp/"+ch.PhoneNumberID+"/refused/"+string(template), math.MaxInt)
	}}}
}

// refusals are the contacts that were refused a template of a number for a day: a count without a
// limit for each template, since a count keeps a contact for 24 hours.
type refusals struct {
	of func(template []byte) *store.Contacts
}

// Refuse implements whatsapp.Refusals.
func (r refusals) Refuse(contact, template []byte, at time.Time) error {
	_, _, err := r.of(template).Allow(contact, at)
	return err
}

// Refused implements whatsapp.Refusals.
func (r refusals) Refused(contact, template []byte, at time.Time) (bool, error) {
	return r.of(template).Counts(contact, at)
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
