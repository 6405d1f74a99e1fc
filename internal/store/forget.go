package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// Forgotten counts the entries of a contact that Forget removed.
type Forgotten struct {
	Suppressed uint64        // messages that it ended, those that may have been delivered excluded
	Unknown    uint64        // messages that it ended and that may have been delivered
	Sendings   []campaign.ID // that had the contact among their recipients or refused rows
	// InFlight counts messages to the contact in flight. Their rows stay until they have their
	// results: call Forget again then.
	InFlight uint64
}

// Forget removes a contact from the store (docs/contract.md 10): its pending messages end as
// Suppressed, or Unknown if they may have been delivered; its rows keep their lines and lose
// contact and values; provider's ids, refusals, previews, replies and opt-outs of it are
// removed. A keyed hash remains, so that it stays suppressed on every channel. contact is read
// by the rules of every place, so that it is found in every spelling; places are the channels
// that there are. Called again it does the rest, or nothing. What was removed may still be in
// free pages of the file: Compact afterwards.
func (s *Store) Forget(ctx context.Context, contact string, places []Place) (Forgotten, error) {
	f := &forgetting{s: s, contact: []byte(contact), rules: s.optOuts.Load(), keys: map[Place][]byte{}}
	for _, place := range append(slices.Clone(places), Place{}) {
		f.key(place)
	}
	err := s.update(f.suppress)
	if err == nil {
		var heads []*campaign.Sending
		heads, err = s.Sendings(Filter{})
		for i := 0; i < len(heads) && err == nil; i++ {
			if err = ctx.Err(); err == nil {
				err = f.sending(heads[i])
			}
		}
	}
	if err != nil {
		return f.done, fmt.Errorf("forget a contact: %w", err)
	}
	return f.done, nil
}

// forgetting is one run of Forget.
type forgetting struct {
	s       *Store
	contact []byte
	rules   *optOutRules
	keys    map[Place][]byte // the contact's normal form by place
	done    Forgotten
}

// key returns the contact's normal form in a place.
func (f *forgetting) key(place Place) []byte {
	key, known := f.keys[place]
	if !known {
		key = f.rules.key(nil, place.Application, place.ChannelType, f.contact)
		f.keys[place] = key
	}
	return key
}

func (f *forgetting) same(place Place, contact []byte) bool {
	return len(contact) > 0 && bytes.Equal(f.rules.key(nil, place.Application, place.ChannelType, contact), f.key(place))
}

// suppress keeps the hashes of the contact and removes its opt-outs and replies. From then on
// nothing is sent to it.
func (f *forgetting) suppress(t *tx) error {
	meta := t.Bucket(db.Meta)
	secret := meta.Get(metaForgetKey)
	if secret == nil {
		secret = make([]byte, sha256.Size)
		if _, err := rand.Read(secret); err != nil {
			return fmt.Errorf("make the key of hashes: %w", err)
		}
		if err := meta.Put(metaForgetKey, secret); err != nil {
			return err
		}
	}
	groups := *f.s.optOutGroups.Load()
	for group := range groups {
		f.key(Place{group.application, group.channel})
	}
	for _, key := range f.keys {
		if err := t.putForgotten(forgottenHash(secret, key)); err != nil {
			return err
		}
		for group := range groups {
			if _, err := t.removeOptOut(optOutPrefix(nil, group.application, group.channel), key); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(t.dropCounted(f.keys), t.dropUserIDs(string(f.contact))); err != nil {
		return err
	}
	secret = bytes.Clone(secret)
	t.After(func() {
		f.s.forgetSecret.Store(&secret)
		f.s.optOutVersion.Add(1)
	})
	return t.removeReplies(func(contactCode string) bool {
		for place := range f.keys {
			if f.same(place, []byte(contactCode)) {
				return true
			}
		}
		return false
	})
}

// dropCounted removes a contact from the counts of contacts in 24 hours.
func (t *tx) dropCounted(keys map[Place][]byte) error {
	all := t.Existing(bucketContacts)
	if all == nil {
		return nil
	}
	return all.ForEachBucket(func(name []byte) error {
		b := t.Bucket(bucketContacts).Nested(name)
		seen, ages := b.Nested(contactsSeen), b.Nested(contactsAges)
		for _, key := range keys {
			n, err := contactNumber(key)
			last := seen.Get(key8(n))
			if err != nil || len(last) != 4 {
				continue // it isn't a number, or isn't counted
			}
			if err := errors.Join(ages.Delete(keyAge(binary.BigEndian.Uint32(last), n)), seen.Delete(key8(n)), b.SetSequence(b.Sequence()-min(b.Sequence(), 1))); err != nil {
				return err
			}
		}
		return nil
	})
}

// forgottenHash returns the keyed hash under which a forgotten contact stays suppressed.
func forgottenHash(key, contact []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(contact) // a hash never fails
	return h.Sum(nil)[:16]
}

// putForgotten stores the hash of a forgotten contact.
func (t *tx) putForgotten(hash []byte) error {
	t.s.optOutFilter.Load().add(hash)
	return t.Bucket(bucketForgotten).Put(hash, key8(uint64(now().Unix())))
}

// forgotten reports whether the contact with that normal form was forgotten.
func (t *tx) forgotten(contact []byte) (bool, error) {
	key := t.Bucket(db.Meta).Get(metaForgetKey)
	if len(key) != sha256.Size {
		return false, fmt.Errorf("look for a forgotten contact: %w: the key of its hash is missing", ErrDamaged)
	}
	return t.Bucket(bucketForgotten).Get(forgottenHash(key, contact)) != nil, nil
}

// sending removes the contact from one sending.
func (f *forgetting) sending(head *campaign.Sending) error {
	found := false
	err := f.s.eachChunkRows(head.ID, func(chunk uint32, rows *campaign.Rows) error {
		var hits []uint32
		for i := range rows.Len() {
			if f.same(Place{head.ApplicationID, head.Channels[rows.Channels[i]]}, rows.Contacts.At(i)) {
				hits = append(hits, rows.First+uint32(i))
			}
		}
		if len(hits) == 0 {
			return nil
		}
		found = true
		return f.s.update(func(t *tx) error { return f.rows(t, head.ID, chunk, hits) })
	})
	if err != nil {
		return err
	}
	refused, err := f.refusals(head)
	if err == nil && (found || refused) {
		f.done.Sendings = append(f.done.Sendings, head.ID)
	}
	return err
}

// eachChunkRows calls fn with the rows of every chunk of a sending; no transaction is open then.
func (s *Store) eachChunkRows(id campaign.ID, fn func(chunk uint32, rows *campaign.Rows) error) error {
	var rows campaign.Rows
	u := &unpacker{}
	for chunk := uint32(0); ; chunk++ {
		more := false
		if err := s.view(func(t *tx) error {
			if value := t.Bucket(bucketChunks).Get(key12(id.Number(), chunk)); value != nil {
				more = true
				return u.chunk(value, chunk*campaign.ChunkRows, &rows)
			}
			return nil
		}); err != nil || !more {
			return err
		}
		if err := fn(chunk, &rows); err != nil {
			return err
		}
	}
}

// rows ends the open messages of some rows of a chunk and empties the rows, in one transaction:
// a row without its contact is never sent.
func (f *forgetting) rows(t *tx, id campaign.ID, chunk uint32, hits []uint32) error {
	n := id.Number()
	done := f.done
	rec, err := t.record(n)
	if err != nil {
		return err
	}
	if rec != nil && rec.messages > 0 && rec.state != campaign.StateChecking {
		if hits, err = f.endMessages(t, n, rec, chunk, hits, &done); err != nil || len(hits) == 0 {
			t.After(func() { f.done = done })
			return err
		}
	}
	var rows campaign.Rows
	if err := t.chunk(n, chunk, &unpacker{}, &rows); err != nil {
		return err
	}
	packed := new(Packer).Pack(withoutRows(&rows, hits))
	if packed.err != nil {
		return packed.err
	}
	if err := t.Ascending(bucketChunks).Put(key12(n, chunk), packed.data); err != nil {
		return err
	}
	if err := t.change(n, func(head *campaign.Sending, _ *record) error {
		head.Forgotten += uint32(len(hits))
		return nil
	}); err != nil {
		return err
	}
	t.After(func() { f.done = done })
	return t.dropProviderIDs(n, chunk, hits)
}

// endMessages ends the open messages of rows, and returns the rows that have none in flight.
func (f *forgetting) endMessages(t *tx, n uint64, rec *record, chunk uint32, hits []uint32, done *Forgotten) ([]uint32, error) {
	c, err := t.counters(n)
	if err != nil {
		return nil, err
	}
	before := c.counts
	sw := &statusWriter{t: t, n: n, rec: rec, counters: &c}
	statuses, err := sw.statuses(chunk)
	if err != nil {
		return nil, err
	}
	stride := int(rec.messages)
	work := &chunkBatch{number: n, chunk: chunk}
	var free []uint32
	for _, row := range hits {
		first := int(row%campaign.ChunkRows) * stride
		inFlight := uint64(0)
		for _, m := range statuses[first : first+stride] {
			if campaign.MessageStatus(m).Outcome() == campaign.InFlight {
				inFlight++
			}
		}
		if inFlight > 0 {
			done.InFlight += inFlight
			continue
		}
		free = append(free, row)
		if open, _ := campaign.FirstOpen(statuses[first : first+stride]); open >= 0 { // the later ones end with it
			work.add(campaign.Entry{Sending: rec.id, Row: row, Message: uint8(open) + 1,
				Outcome: campaign.Suppressed, Attempts: uint8(campaign.MessageStatus(statuses[first+open]).Attempts()), At: now()})
		}
	}
	if err := sw.writeChunk(work); err != nil {
		return nil, err
	}
	done.Suppressed += c.counts[campaign.Suppressed] - before[campaign.Suppressed]
	done.Unknown += c.counts[campaign.Unknown] - before[campaign.Unknown]
	return free, sw.close()
}

// withoutRows returns rows with contact and values of some of them empty.
func withoutRows(rows *campaign.Rows, hits []uint32) *campaign.Rows {
	out := *rows
	empty := func(column *campaign.Column) (fresh campaign.Column) {
		for i := range column.Len() {
			if _, hit := slices.BinarySearch(hits, rows.First+uint32(i)); hit {
				fresh.Append(nil)
			} else {
				fresh.Append(column.At(i))
			}
		}
		return fresh
	}
	out.Contacts, out.Normal, out.Values = empty(&rows.Contacts), empty(&rows.Normal), nil
	for i := range rows.Values {
		out.Values = append(out.Values, empty(&rows.Values[i]))
	}
	return &out
}

// dropProviderIDs removes the provider's ids of some rows from a chunk's details: ids of
// WhatsApp contain the number.
func (t *tx) dropProviderIDs(n uint64, chunk uint32, hits []uint32) error {
	prefix := key12(n, chunk)
	fresh := map[string][]byte{}
	c := t.Bucket(bucketOutcomes).Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		w := blockWriter{}
		changed := false
		if err := decodeBlock(v, chunk*campaign.ChunkRows, func(e campaign.Entry) {
			if _, hit := slices.BinarySearch(hits, e.Row); hit && e.Provider != "" {
				e.Provider, changed = "", true
			}
			status := campaign.NewMessageStatus(e.Outcome, int(e.Attempts))
			if e.MaybeDelivered {
				status = status.WithMaybeDelivered()
			}
			w.add(&e, status)
		}); err != nil {
			return err
		}
		if !changed {
			continue
		}
		if v[0] == blockPacked {
			w.b = packBlock(w.b)
		}
		fresh[string(k)] = w.b
	}
	for k, v := range fresh {
		if err := t.Ascending(bucketOutcomes).Put([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}

// refusals empties the contact's refused rows and previews, and reports whether there were any.
func (f *forgetting) refusals(head *campaign.Sending) (found bool, err error) {
	n := head.ID.Number()
	same := func(channelType, contact string) bool {
		return f.same(Place{head.ApplicationID, channelType}, []byte(contact)) || f.same(Place{head.ApplicationID, ""}, []byte(contact))
	}
	for seq := uint32(0); ; seq++ {
		more, changed, rows := false, false, uint32(0)
		var raw []byte
		if err := f.s.view(func(t *tx) error {
			value := t.Bucket(bucketRefusals).Get(key12(n, seq))
			if value == nil {
				return nil
			}
			more = true
			list, err := decodeRefusals(value)
			for i := range list {
				if same(list[i].ChannelType, list[i].ContactCode) {
					list[i].ContactCode, list[i].Reference, changed = "", "", true
					rows++
				}
				raw = appendRefusal(raw, &list[i])
			}
			return err
		}); err != nil {
			return found, err
		}
		if !more {
			break
		}
		if changed {
			found = true
			if err := f.s.update(func(t *tx) error {
				if err := t.Ascending(bucketRefusals).Put(key12(n, seq), s2.Encode(nil, raw)); err != nil {
					return err
				}
				return t.change(n, func(head *campaign.Sending, _ *record) error {
					head.Forgotten += rows
					return nil
				})
			}); err != nil {
				return found, err
			}
		}
	}
	if !slices.ContainsFunc(head.Previews, func(p campaign.Preview) bool { return same(p.ChannelType, p.ContactCode) }) {
		return found, nil
	}
	return true, f.s.Update(head.ID, func(head *campaign.Sending) error {
		for i := range head.Previews {
			if p := &head.Previews[i]; same(p.ChannelType, p.ContactCode) {
				p.ContactCode, p.Content = "", ""
			}
		}
		return nil
	})
}
