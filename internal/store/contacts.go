package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"campaignd/internal/store/db"
)

// contactsWindow starts at the last message to a contact. The contact counts until its end.
const contactsWindow = 24 * time.Hour

// maxContactDigits is the longest contact that can be counted (E.164).
const maxContactDigits = 15

// Contacts counts the different contacts of a moving 24 hours, for a limit such as
// daily_contacts. The count is on disk and survives a restart. Several Contacts with
// different limits may share one name: the count belongs to the store.
//
// Times are kept in whole minutes, rounded up. A contact counts for up to a minute
// longer than necessary, and one with many messages is written once a minute.
type Contacts struct {
	store *Store
	name  []byte
	most  int
	asks  sharedWrite[*contactAsk]
}

// contactAsk is one call of Allow with its results.
type contactAsk struct {
	contact uint64
	minute  uint32
	ok      bool
	next    time.Time
}

// Contacts returns the counter of that name with a limit of most different contacts. It reads and writes nothing yet.
func (s *Store) Contacts(name string, most int) *Contacts {
	return &Contacts{store: s, name: []byte(name), most: most}
}

// Allow reports whether a message may go to contact (up to 15 digits) at the instant at.
// If so, the contact counts durably for 24 more hours; a contact that counts already is
// always allowed. If not, next is when another contact is allowed. After an error the
// answer is unknown. Allow is safe for concurrent use, and concurrent calls share a commit.
func (c *Contacts) Allow(contact []byte, at time.Time) (ok bool, next time.Time, err error) {
	a := &contactAsk{minute: contactMinute(at)}
	if a.contact, err = contactNumber(contact); err != nil {
		return false, time.Time{}, err
	}
	if known, err := c.counted(a); known || err != nil {
		return known, time.Time{}, err
	}
	if err := c.asks.do(a, func(batch []*contactAsk) error {
		return c.store.update(func(t *tx) error { return c.decide(t, batch) })
	}); err != nil {
		return false, time.Time{}, fmt.Errorf("count contacts: %w", err)
	}
	return a.ok, a.next, nil
}

// Counts reports whether contact counts at an instant. After an error the answer is unknown.
func (c *Contacts) Counts(contact []byte, at time.Time) (bool, error) {
	n, err := contactNumber(contact)
	if err != nil {
		return false, err
	}
	counts := false
	err = c.store.view(func(t *tx) error {
		last := c.last(t, n)
		counts = len(last) == 4 && !contactOver(binary.BigEndian.Uint32(last), contactMinute(at))
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read contacts: %w", err)
	}
	return counts, nil
}

// last returns the minute of the last message to a contact, nil if unknown. It is valid in t only.
func (c *Contacts) last(t *tx, contact uint64) []byte {
	b := t.Existing(bucketContacts)
	if b == nil {
		return nil
	}
	if b = b.Bucket(c.name); b == nil {
		return nil
	}
	return b.Bucket(contactsSeen).Get(key8(contact))
}

// counted reports whether the contact already counts for at least as long as Allow would make it.
func (c *Contacts) counted(a *contactAsk) (known bool, err error) {
	err = c.store.view(func(t *tx) error {
		last := c.last(t, a.contact)
		known = len(last) == 4 && binary.BigEndian.Uint32(last) >= a.minute
		return nil
	})
	return known, err
}

// decide answers all of batch in one transaction.
func (c *Contacts) decide(t *tx, batch []*contactAsk) error {
	all, err := t.Made(bucketContacts)
	if err != nil {
		return err
	}
	b, err := all.Made(c.name)
	if err != nil {
		return err
	}
	seen, err := b.Made(contactsSeen)
	if err != nil {
		return err
	}
	ages, err := b.Made(contactsAges)
	if err != nil {
		return err
	}
	count := b.Sequence()
	for _, a := range batch {
		gone, err := expireContacts(seen, ages, a.minute)
		if err != nil {
			return err
		}
		count -= min(uint64(gone), count)
		last := seen.Get(key8(a.contact))
		switch {
		case len(last) == 4:
			a.ok = true
			if binary.BigEndian.Uint32(last) >= a.minute {
				continue // the clock went back, or another of the batch came first
			}
			if err := ages.Delete(keyAge(binary.BigEndian.Uint32(last), a.contact)); err != nil {
				return err
			}
		case count >= uint64(max(c.most, 0)):
			a.next = nextContact(ages, count-uint64(max(c.most, 0)), a.minute)
			continue
		default:
			a.ok = true
			count++
		}
		if err := seen.Put(key8(a.contact), binary.BigEndian.AppendUint32(nil, a.minute)); err != nil {
			return err
		}
		if err := ages.Put(keyAge(a.minute, a.contact), nil); err != nil {
			return err
		}
	}
	return b.SetSequence(count)
}

// expireContacts removes the contacts whose 24 hours were over at a minute, and returns how many.
func expireContacts(seen, ages db.Bucket, minute uint32) (int, error) {
	var old [][]byte
	cur := ages.Cursor()
	for k, _ := cur.First(); len(k) == 12 && contactOver(binary.BigEndian.Uint32(k), minute); k, _ = cur.Next() {
		old = append(old, bytes.Clone(k))
	}
	for _, k := range old {
		if err := seen.Delete(k[4:]); err != nil {
			return 0, err
		}
		if err := ages.Delete(k); err != nil {
			return 0, err
		}
	}
	return len(old), nil
}

// contactOver reports whether the 24 hours after since were over at minute.
func contactOver(since, minute uint32) bool { return since+uint32(contactsWindow/time.Minute) < minute }

// nextContact returns when another contact has room, once more+1 contacts have expired.
func nextContact(ages db.Bucket, more uint64, minute uint32) time.Time {
	cur := ages.Cursor()
	k, _ := cur.First()
	for ; more > 0 && k != nil; more-- {
		k, _ = cur.Next()
	}
	if len(k) == 12 {
		minute = binary.BigEndian.Uint32(k)
	}
	return time.Unix(int64(minute)*60, 0).UTC().Add(contactsWindow)
}

// ForgetContacts removes, under every name, the contacts that no longer count at an
// instant, and returns how many.
func (s *Store) ForgetContacts(at time.Time) (int, error) {
	gone, found := 0, false
	err := s.view(func(t *tx) error {
		all := t.Existing(bucketContacts)
		if all == nil {
			return nil
		}
		return all.ForEachBucket(func(name []byte) error {
			k, _ := all.Bucket(name).Bucket(contactsAges).Cursor().First()
			found = found || len(k) == 12 && contactOver(binary.BigEndian.Uint32(k), contactMinute(at))
			return nil
		})
	})
	if err != nil || !found {
		return 0, err // usually there is nothing to write
	}
	err = s.update(func(t *tx) error {
		gone = 0
		all := t.Bucket(bucketContacts)
		return all.ForEachBucket(func(name []byte) error {
			b := all.Nested(name)
			n, err := expireContacts(b.Nested(contactsSeen), b.Nested(contactsAges), contactMinute(at))
			if err != nil {
				return err
			}
			gone += n
			return b.SetSequence(b.Sequence() - min(uint64(n), b.Sequence()))
		})
	})
	if err != nil {
		return 0, fmt.Errorf("forget contacts: %w", err)
	}
	return gone, nil
}

// contactMinute returns an instant in whole minutes since 1970, rounded up.
func contactMinute(at time.Time) uint32 { return uint32((max(at.Unix(), 0) + 59) / 60) }

// contactNumber encodes a phone number as a number that starts with its length, so 034 isn't 34, and
// a user id (it begins with a letter) as a hash with a prefix that no phone number has.
func contactNumber(contact []byte) (uint64, error) {
	if len(contact) > 0 && contact[0] >= 'A' {
		sum := sha256.Sum256(contact)
		return 0xff<<56 | binary.BigEndian.Uint64(sum[:])>>8, nil
	}
	n, err := strconv.ParseUint(string(contact), 10, 64)
	if err != nil || len(contact) > maxContactDigits {
		return 0, fmt.Errorf("count contacts: a contact must be up to %d digits, or a user id", maxContactDigits)
	}
	return uint64(len(contact))<<56 | n, nil
}

// keyAge orders contacts by the minute of their last message.
func keyAge(minute uint32, contact uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(make([]byte, 0, 12), minute), contact)
}
