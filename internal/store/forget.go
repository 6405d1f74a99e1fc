package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"

	"campaignd/internal/campaign"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/optout"
	"campaignd/internal/store/quota"
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
	f := &forgetting{s: s, contact: s.Contact(contact, places)}
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
	contact *optout.Contact
	done    Forgotten
}

// suppress keeps the hashes of the contact and removes its opt-outs, counts and replies. From then
// on nothing is sent to it.
func (f *forgetting) suppress(t *tx) error {
	if err := errors.Join(f.contact.Forget(t.Tx), quota.Drop(t.Tx, f.contact.Keys())); err != nil {
		return err
	}
	return inbound.RemoveReplies(t.Tx, func(contactCode string) bool { return f.contact.IsAnywhere([]byte(contactCode)) })
}

// sending removes the contact from one sending.
func (f *forgetting) sending(head *campaign.Sending) error {
	found := false
	var rows campaign.Rows
	u := &unpacker{}
	unpack := func(chunk uint32, value []byte) (uint32, error) {
		return chunk, u.chunk(value, chunk*campaign.ChunkRows, &rows)
	}
	for chunk, err := range parts(f.s.core, bucketChunks, head.ID.Number(), unpack) {
		if err != nil {
			return err
		}
		var hits []uint32
		for i := range rows.Len() {
			if f.contact.Is(Place{Application: head.ApplicationID, ChannelType: head.Channels[rows.Channels[i]]}, rows.Contacts.At(i)) {
				hits = append(hits, rows.First+uint32(i))
			}
		}
		if len(hits) == 0 {
			continue
		}
		found = true
		if err := f.s.update(func(t *tx) error { return f.rows(t, head.ID, chunk, hits) }); err != nil {
			return err
		}
	}
	refused, err := f.refusals(head)
	if err == nil && (found || refused) {
		f.done.Sendings = append(f.done.Sendings, head.ID)
	}
	return err
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
	sw, err := t.writer(n, rec)
	if err != nil {
		return nil, err
	}
	before := sw.counters.counts
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
	done.Suppressed += sw.counters.counts[campaign.Suppressed] - before[campaign.Suppressed]
	done.Unknown += sw.counters.counts[campaign.Unknown] - before[campaign.Unknown]
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
	fresh := map[string][]byte{}
	for k, v := range t.Prefixed(bucketOutcomes, key12(n, chunk)) {
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
		return f.contact.Is(Place{Application: head.ApplicationID, ChannelType: channelType}, []byte(contact)) || f.contact.Is(Place{Application: head.ApplicationID, ChannelType: ""}, []byte(contact))
	}
	rows := uint32(0)
	var raw []byte
	empty := func(part uint32, value []byte) (uint32, error) {
		rows, raw = 0, nil
		list, err := decodeRefusals(part, value)
		for i := range list {
			if same(list[i].ChannelType, list[i].ContactCode) {
				list[i].ContactCode, list[i].Reference = "", ""
				rows++
			}
			raw = appendRefusal(raw, &list[i])
		}
		return part, err
	}
	for part, err := range parts(f.s.core, bucketRefusals, n, empty) {
		if err != nil {
			return found, err
		}
		if rows == 0 {
			continue
		}
		found = true
		if err := f.s.update(func(t *tx) error {
			if err := t.Ascending(bucketRefusals).Put(key12(n, part), s2.Encode(nil, raw)); err != nil {
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
