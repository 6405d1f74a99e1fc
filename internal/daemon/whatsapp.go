package daemon

import (
	"math"
	"sync"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/send/whatsapp"
	"campaignd/internal/store"
)

// dailyContacts enforces a WhatsApp number's limit of different contacts. It gets its count from
// the store lazily, because drivers are checked before the store is opened.
type dailyContacts struct {
	count func() *store.Contacts
}

// Allow implements whatsapp.Quota.
func (c dailyContacts) Allow(contact []byte, at time.Time) (ok bool, next time.Time, err error) {
	return c.count().Allow(contact, at)
}

// numberStore gives a WhatsApp number access to its records in the store. The zero
// numberStore has none.
type numberStore struct {
	quota    whatsapp.Quota
	refusals whatsapp.Refusals
}

// noNumberStore is for drivers without a store.
func noNumberStore(config.Channel) numberStore { return numberStore{} }

// numberStore returns the records of a channel. Channels with the same number share them.
func (d *Daemon) numberStore(ch config.Channel) numberStore {
	if ch.Driver != config.DriverWhatsApp {
		return numberStore{}
	}
	return numberStore{quota: d.quota(ch), refusals: templateRefusals{of: func(template []byte) *store.Contacts {
		return d.store.Contacts("whatsapp/"+ch.PhoneNumberID+"/refused/"+string(template), math.MaxInt)
	}}}
}

// templateRefusals remembers for a day which contacts can't get a template of a number. It uses
// an unlimited contact count per template, because counts keep a contact for 24 hours.
type templateRefusals struct {
	of func(template []byte) *store.Contacts
}

// Refuse implements whatsapp.Refusals.
func (r templateRefusals) Refuse(contact, template []byte, at time.Time) error {
	_, _, err := r.of(template).Allow(contact, at)
	return err
}

// Refused implements whatsapp.Refusals.
func (r templateRefusals) Refused(contact, template []byte, at time.Time) (bool, error) {
	return r.of(template).Counts(contact, at)
}

// quota returns the limit of a channel's daily_contacts, nil if there is none. Channels with the
// same number share one count, across applications and after a channel is renamed.
func (d *Daemon) quota(ch config.Channel) whatsapp.Quota {
	if ch.DailyContacts <= 0 {
		return nil
	}
	return dailyContacts{count: sync.OnceValue(func() *store.Contacts {
		return d.store.Contacts("whatsapp/"+ch.PhoneNumberID, ch.DailyContacts)
	})}
}
