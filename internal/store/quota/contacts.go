// Package quota counts the different contacts of a moving 24 hours, for a limit such as daily_contacts.
//
// The counts are in the store's file and survive a restart. A contact is counted durably before its
// message goes out, so a crash never lets one too many through; after it a contact may count that got
// nothing. Package store draws the bucket and promotes the methods of Counters. Its own package because
// nothing of it needs a sending.
package quota

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"campaignd/internal/store/db"
)

// window starts at the last message to a contact. The contact counts until its end.
const window = 24 * time.Hour

// maxDigits is the longest contact that can be counted (E.164).
const maxDigits = 15

// bucket has a bucket for each name, drawn in the doc comment of package store. It is made on first use.
var bucket = []byte("contacts")

// The buckets in that of a name.
var (
	seenIn = []byte("seen")
	agesIn = []byte("ages")
)

// Counters are the counts in a file, by name.
type Counters struct{ db *db.DB }

// Open returns the counters in a file.
func Open(file *db.DB) Counters { return Counters{file} }

// Contacts is one of the counters with a limit. Several Contacts with different limits may share
// one name: the count belongs to the file.
//
// Times are kept in whole minutes, rounded up. A contact counts for up to a minute
// longer than necessary, and one with many messages is written once a minute.
type Contacts struct {
	db   *db.DB
	name []byte
	most int
	asks db.SharedWrite[*ask]
}

// ask is one call of Allow with its results.
type ask struct {
	contact uint64
	minute  uint32
	ok      bool
	next    time.Time
}

// Contacts returns the counter of that name with a limit of most different contacts. It reads and writes nothing yet.
func (q Counters) Contacts(name string, most int) *Contacts {
	return &Contacts{db: q.db, name: []byte(name), most: most}
}

// Allow reports whether a message may go to contact (up to 15 digits) at the instant at.
// If so, the contact counts durably for 24 more hours; a contact that counts already is
// always allowed. If not, next is when another contact is allowed. After an error the
// answer is unknown. Allow is safe for concurrent use, and concurrent calls share a commit.
func (c *Contacts) Allow(contact []byte, at time.Time) (ok bool, next time.Time, err error) {
	a := &ask{minute: minuteOf(at)}
	if a.contact, err = number(contact); err != nil {
		return false, time.Time{}, err
	}
	if known, err := c.counted(a); known || err != nil {
		return known, time.Time{}, err
	}
	if err := c.asks.Do(a, func(batch []*ask) error {
		return c.db.Update(func(t *db.Tx) error { return c.decide(t, batch) })
	}); err != nil {
		return false, time.Time{}, fmt.Errorf("count contacts: %w", err)
	}
	return a.ok, a.next, nil
}

// Counts reports whether contact counts at an instant. After an error the answer is unknown.
func (c *Contacts) Counts(contact []byte, at time.Time) (bool, error) {
	n, err := number(contact)
	if err != nil {
		return false, err
	}
	counts := false
	err = c.db.View(func(t *db.Tx) error {
		last := c.last(t, n)
		counts = len(last) == 4 && !over(binary.BigEndian.Uint32(last), minuteOf(at))
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read contacts: %w", err)
	}
	return counts, nil
}

// last returns the minute of the last message to a contact, nil if unknown. It is valid in t only.
func (c *Contacts) last(t *db.Tx, contact uint64) []byte {
	b := t.Existing(bucket)
	if b == nil {
		return nil
	}
	if b = b.Bucket(c.name); b == nil {
		return nil
	}
	return b.Bucket(seenIn).Get(db.Key8(contact))
}

// counted reports whether the contact already counts for at least as long as Allow would make it.
func (c *Contacts) counted(a *ask) (known bool, err error) {
	err = c.db.View(func(t *db.Tx) error {
		last := c.last(t, a.contact)
		known = len(last) == 4 && binary.BigEndian.Uint32(last) >= a.minute
		return nil
	})
	return known, err
}

// decide answers all of batch in one transaction.
func (c *Contacts) decide(t *db.Tx, batch []*ask) error {
	all, err := t.Made(bucket)
	if err != nil {
		return err
	}
	b, err := all.Made(c.name)
	if err != nil {
		return err
	}
	seen, err := b.Made(seenIn)
	if err != nil {
		return err
	}
	ages, err := b.Made(agesIn)
	if err != nil {
		return err
	}
	count := b.Sequence()
	for _, a := range batch {
		gone, err := expire(seen, ages, a.minute)
		if err != nil {
			return err
		}
		count -= min(uint64(gone), count)
		last := seen.Get(db.Key8(a.contact))
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
			a.next = nextRoom(ages, count-uint64(max(c.most, 0)), a.minute)
			continue
		default:
			a.ok = true
			count++
		}
		if err := seen.Put(db.Key8(a.contact), binary.BigEndian.AppendUint32(nil, a.minute)); err != nil {
			return err
		}
		if err := ages.Put(keyAge(a.minute, a.contact), nil); err != nil {
			return err
		}
	}
	return b.SetSequence(count)
}

// expire removes the contacts whose 24 hours were over at a minute, and returns how many.
func expire(seen, ages db.Bucket, minute uint32) (int, error) {
	var old [][]byte
	cur := ages.Cursor()
	for k, _ := cur.First(); len(k) == 12 && over(binary.BigEndian.Uint32(k), minute); k, _ = cur.Next() {
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

// over reports whether the 24 hours after since were over at minute.
func over(since, minute uint32) bool { return since+uint32(window/time.Minute) < minute }

// nextRoom returns when another contact has room, once more+1 contacts have expired.
func nextRoom(ages db.Bucket, more uint64, minute uint32) time.Time {
	cur := ages.Cursor()
	k, _ := cur.First()
	for ; more > 0 && k != nil; more-- {
		k, _ = cur.Next()
	}
	if len(k) == 12 {
		minute = binary.BigEndian.Uint32(k)
	}
	return time.Unix(int64(minute)*60, 0).UTC().Add(window)
}

// ForgetContacts removes, under every name, the contacts that no longer count at an
// instant, and returns how many.
func (q Counters) ForgetContacts(at time.Time) (int, error) {
	gone, found := 0, false
	err := q.db.View(func(t *db.Tx) error {
		all := t.Existing(bucket)
		if all == nil {
			return nil
		}
		return all.ForEachBucket(func(name []byte) error {
			k, _ := all.Bucket(name).Bucket(agesIn).Cursor().First()
			found = found || len(k) == 12 && over(binary.BigEndian.Uint32(k), minuteOf(at))
			return nil
		})
	})
	if err != nil || !found {
		return 0, err // usually there is nothing to write
	}
	err = q.db.Update(func(t *db.Tx) error {
		gone = 0
		all := t.Bucket(bucket)
		return all.ForEachBucket(func(name []byte) error {
			b := all.Nested(name)
			n, err := expire(b.Nested(seenIn), b.Nested(agesIn), minuteOf(at))
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

// Drop removes a contact, known by its normal forms, from all counts.
func Drop(t *db.Tx, forms iter.Seq[[]byte]) error {
	if t.Existing(bucket) == nil {
		return nil
	}
	all := t.Bucket(bucket)
	return all.ForEachBucket(func(name []byte) error {
		b := all.Nested(name)
		seen, ages := b.Nested(seenIn), b.Nested(agesIn)
		for form := range forms {
			n, err := number(form)
			last := seen.Get(db.Key8(n))
			if err != nil || len(last) != 4 {
				continue // it isn't a number, or isn't counted
			}
			if err := errors.Join(ages.Delete(keyAge(binary.BigEndian.Uint32(last), n)), seen.Delete(db.Key8(n)), b.SetSequence(b.Sequence()-min(b.Sequence(), 1))); err != nil {
				return err
			}
		}
		return nil
	})
}

// minuteOf returns an instant in whole minutes since 1970, rounded up.
func minuteOf(at time.Time) uint32 { return uint32((max(at.Unix(), 0) + 59) / 60) }

// number encodes a phone number as a number that starts with its length, so 034 isn't 34, and
// a user id (it begins with a letter) as a hash with a prefix that no phone number has.
func number(contact []byte) (uint64, error) {
	if len(contact) > 0 && contact[0] >= 'A' {
		sum := sha256.Sum256(contact)
		return 0xff<<56 | binary.BigEndian.Uint64(sum[:])>>8, nil
	}
	n, err := strconv.ParseUint(string(contact), 10, 64)
	if err != nil || len(contact) > maxDigits {
		return 0, fmt.Errorf("count contacts: a contact must be up to %d digits, or a user id", maxDigits)
	}
	return uint64(len(contact))<<56 | n, nil
}

// keyAge orders contacts by the minute of their last message.
func keyAge(minute uint32, contact uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(make([]byte, 0, 12), minute), contact)
}
