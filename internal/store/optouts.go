package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
)

// OptOut is an opt-out (docs/contract.md 10).
type OptOut struct {
	ApplicationID int64     `json:"applicationId"`
	ChannelType   string    `json:"channelType,omitempty"` // "": all channels
	ContactCode   string    `json:"contactCode"`
	At            time.Time `json:"at,omitzero"`
	Source        string    `json:"source,omitempty"` // a file's name, "command", a channel
}

// maxContactKey is the longest contact code used as a key; a longer one is replaced by its digest.
const maxContactKey = 512

// keyOptOut joins application, channel, a zero byte (no channel name has one) and the contact in the form of campaign.ContactKey.
func keyOptOut(application int64, channelType string, contact []byte) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(channelType)+len(contact)), signed(application))
	k = append(append(k, channelType...), 0)
	start := len(k)
	k = campaign.ContactKey(k, contact)
	if len(k)-start > maxContactKey {
		sum := sha256.Sum256(k[start:])
		return append(append(k[:start], 0), sum[:]...)
	}
	return k
}

// AddOptOuts adds opt-outs in one transaction and returns how many were new; a known one
// stays unchanged. They apply to every message attempted after it returns.
func (s *Store) AddOptOuts(list []OptOut) (int, error) {
	added := 0
	err := s.update(func(t *tx) error {
		added = 0
		b := t.bucket(bucketOptOuts)
		for _, one := range list {
			key := keyOptOut(one.ApplicationID, one.ChannelType, []byte(one.ContactCode))
			if b.Get(key) != nil {
				continue
			}
			if one.At.IsZero() {
				one.At = now()
			}
			value, err := json.Marshal(one)
			if err != nil {
				return err
			}
			if err := b.Put(key, value); err != nil {
				return err
			}
			added++
		}
		t.after = append(t.after, func() {
			if added > 0 {
				s.anyOptOut.Store(true)
				s.optOutVersion.Add(1)
			}
		})
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("add opt-outs: %w", err)
	}
	return added, nil
}

// rekeyOptOuts moves each opt-out to its current key. Of two with the same key the first is kept.
func rekeyOptOuts(t *bbolt.Tx) error {
	b := t.Bucket(bucketOptOuts)
	moved := map[string][]byte{} // old key -> value
	err := b.ForEach(func(k, v []byte) error {
		var one OptOut
		if err := json.Unmarshal(v, &one); err != nil {
			return fmt.Errorf("read opt-outs: %w: %w", ErrDamaged, err)
		}
		if !bytes.Equal(k, keyOptOut(one.ApplicationID, one.ChannelType, []byte(one.ContactCode))) {
			moved[string(k)] = bytes.Clone(v)
		}
		return nil
	})
	for _, k := range slices.Sorted(maps.Keys(moved)) {
		var one OptOut
		if err == nil {
			err = json.Unmarshal(moved[k], &one)
		}
		if err == nil {
			err = b.Delete([]byte(k))
		}
		if key := keyOptOut(one.ApplicationID, one.ChannelType, []byte(one.ContactCode)); err == nil && b.Get(key) == nil {
			err = b.Put(key, moved[k])
		}
	}
	return err
}

// RemoveOptOut removes an opt-out and reports whether it existed.
func (s *Store) RemoveOptOut(application int64, channelType, contactCode string) (bool, error) {
	found := false
	err := s.update(func(t *tx) error {
		key := keyOptOut(application, channelType, []byte(contactCode))
		b := t.bucket(bucketOptOuts)
		found = b.Get(key) != nil
		return b.Delete(key)
	})
	return found && err == nil, err
}

// OptedOut implements send.Store: it reports whether the contact has opted out of the
// application's channel, or of all its channels.
func (s *Store) OptedOut(application int64, channelType string, contactCode []byte) (bool, error) {
	if !s.anyOptOut.Load() {
		return false, nil
	}
	found := false
	err := s.view(func(t *tx) error {
		b := t.bucket(bucketOptOuts)
		found = b.Get(keyOptOut(application, channelType, contactCode)) != nil ||
			channelType != "" && b.Get(keyOptOut(application, "", contactCode)) != nil
		return nil
	})
	return found, err
}

// OptOutVersion implements send.Store: the number grows with every opt-out added.
func (s *Store) OptOutVersion() uint64 { return s.optOutVersion.Load() }

// listPage is how many values eachPage reads in one transaction.
const listPage = 1000

// eachPage calls fn with copies of the values whose keys have the prefix and are not
// before from, one page a transaction; no transaction is open while fn runs.
func (s *Store) eachPage(bucket, prefix, from []byte, fn func(value []byte) error) error {
	for from != nil {
		var values [][]byte
		err := s.view(func(t *tx) error {
			c := t.bucket(bucket).Cursor()
			k, v := c.Seek(from)
			for ; bytes.HasPrefix(k, prefix) && k != nil && len(values) < listPage; k, v = c.Next() {
				values = append(values, bytes.Clone(v))
			}
			from = nil
			if bytes.HasPrefix(k, prefix) && k != nil {
				from = bytes.Clone(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, value := range values {
			if err := fn(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// EachOptOut calls fn with the opt-outs of an application (0: of all) in order of
// channel and contact.
func (s *Store) EachOptOut(application int64, fn func(OptOut) error) error {
	prefix := []byte{}
	if application != 0 {
		prefix = key8(signed(application))
	}
	return s.eachPage(bucketOptOuts, prefix, prefix, func(value []byte) error {
		var one OptOut
		if err := json.Unmarshal(value, &one); err != nil {
			return fmt.Errorf("read opt-outs: %w: %w", ErrDamaged, err)
		}
		return fn(one)
	})
}

// AuditEntry records an action of a person or a control file.
type AuditEntry struct {
	At      time.Time   `json:"at"`
	Who     string      `json:"who"`    // a user, an inbox's control file, "daemon"
	Action  string      `json:"action"` // pause, resume, cancel …
	Sending campaign.ID `json:"sending,omitempty"`
	Detail  string      `json:"detail,omitempty"` // no contact data
}

// Audit stores e; a zero At becomes now.
func (s *Store) Audit(e AuditEntry) error {
	if e.At.IsZero() {
		e.At = now()
	}
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("record %q: %w", e.Action, err)
	}
	return s.update(func(t *tx) error {
		b := t.ascending(bucketAudit)
		seq, err := b.NextSequence()
		if err != nil {
			return err
		}
		return b.Put(keyTimeline(e.At.UnixNano(), seq), value)
	})
}

// EachAudit calls fn with the entries since an instant, oldest first.
func (s *Store) EachAudit(since time.Time, fn func(AuditEntry) error) error {
	from := int64(0)
	if since.After(time.Unix(0, 0)) {
		from = since.UnixNano()
	}
	return s.eachPage(bucketAudit, []byte{}, keyTimeline(from, 0), func(value []byte) error {
		var e AuditEntry
		if err := json.Unmarshal(value, &e); err != nil {
			return fmt.Errorf("read audit: %w: %w", ErrDamaged, err)
		}
		return fn(e)
	})
}
