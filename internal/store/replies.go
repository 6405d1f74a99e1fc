package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"campaignd/internal/campaign"
)

// replyReach is the time after a sending's end in which a reply still belongs to it
// (docs/contract.md 9).
const replyReach = 7 * 24 * time.Hour

// Reply is one answer of a recipient. Its Line, ContactCode and Reference are those of the row
// that it was matched to.
type Reply = campaign.Reply

// Place is an application's channel, "" for any.
type Place struct {
	Application int64  `json:"application"`
	ChannelType string `json:"channelType"`
}

// newReply is a reply that isn't matched to a sending yet.
type newReply struct {
	Reply
	Places []Place   `json:"places"`
	Came   time.Time `json:"came"`
}

// AddReply stores a reply durably. It belongs to no sending until MatchReplies has found one.
// One that comes again with the same ID is stored once.
func (s *Store) AddReply(r Reply, places []Place) error {
	value, err := json.Marshal(newReply{r, places, now()})
	if err != nil {
		return fmt.Errorf("store a reply: %w", err)
	}
	return s.update(func(t *tx) error { return t.bucket(bucketNewReplies).Put([]byte(r.ID), value) })
}

// MatchReplies gives the new replies to sendings: to the one with the message that a reply
// quotes, else to the newest that sent to the contact and ended at most 7 days before the
// reply. Replies that came before settled and belong to no sending are deleted: by then the
// message that they may quote has its provider's id. It returns how many it matched and how
// many are left. It reads every sending of the last 7 days, so don't call it for every reply.
func (s *Store) MatchReplies(settled time.Time) (matched, left int, err error) {
	m := replyMatcher{rules: s.optOuts.Load(), quoted: map[string][]*replyMatch{}, byContact: map[string][]*replyMatch{}}
	if err := s.view(m.read); err != nil || len(m.all) == 0 {
		return 0, 0, err
	}
	heads, err := s.Sendings(Filter{})
	if err != nil {
		return 0, 0, err
	}
	for _, head := range heads { // the newest first
		if head.StartedAt.IsZero() || !head.FinishedAt.IsZero() && now().Sub(head.FinishedAt) > replyReach+24*time.Hour {
			continue
		}
		if err := m.search(s, head); err != nil {
			return 0, 0, err
		}
	}
	err = s.update(func(t *tx) error {
		matched, left = 0, len(m.all)
		for _, one := range m.all {
			if one.sending == 0 && !one.reply.Came.Before(settled) {
				continue
			}
			left--
			if err := t.bucket(bucketNewReplies).Delete([]byte(one.reply.ID)); err != nil {
				return err
			}
			if one.sending == 0 || t.bucket(bucketSendings).Get(key8(one.sending)) == nil {
				continue
			}
			matched++
			if err := t.putReply(one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("match replies: %w", err)
	}
	return matched, left, nil
}

// putReply stores a reply with its sending, whose files lack it now.
func (t *tx) putReply(one *replyMatch) error {
	one.reply.Line, one.reply.ContactCode, one.reply.Reference = one.line, one.contact, one.reference
	value, err := json.Marshal(one.reply.Reply)
	if err != nil {
		return err
	}
	key := append(keyTimeline(int64(one.sending), uint64(max(one.reply.At.UnixMilli(), 0))), one.reply.ID...)
	if err := t.bucket(bucketReplies).Put(key, value); err != nil {
		return err
	}
	counts, err := t.receiptCounts(one.sending)
	if err != nil {
		return err
	}
	counts.version++
	return t.bucket(bucketReceiptCounts).Put(key8(one.sending), counts.encode())
}

// replyMatch is a new reply and the row that it belongs to.
type replyMatch struct {
	reply     newReply
	sending   uint64 // 0: none yet
	byQuote   bool
	line      uint32
	contact   string // as written in the row
	reference string // the row's
}

// replyMatcher is one run of MatchReplies.
type replyMatcher struct {
	rules     *optOutRules
	all       []*replyMatch
	quoted    map[string][]*replyMatch // by the provider's id of a message
	byContact map[string][]*replyMatch // by application, channel and normal form
}

func (m *replyMatcher) read(t *tx) error {
	c := t.bucket(bucketNewReplies).Cursor()
	for k, v := c.First(); k != nil && len(m.all) < unmatchedPage; k, v = c.Next() {
		one := &replyMatch{}
		if err := json.Unmarshal(v, &one.reply); err != nil {
			return fmt.Errorf("read reply: %w: %w", ErrDamaged, err)
		}
		m.all = append(m.all, one)
		if one.reply.Quoted != "" {
			m.quoted[one.reply.Quoted] = append(m.quoted[one.reply.Quoted], one)
		}
		for _, place := range one.reply.Places {
			key := string(m.key(nil, place.Application, place.ChannelType, []byte(one.reply.ContactCode)))
			m.byContact[key] = append(m.byContact[key], one)
		}
	}
	return nil
}

func (m *replyMatcher) key(dst []byte, application int64, channelType string, contact []byte) []byte {
	return m.rules.key(optOutPrefix(dst, application, channelType), application, channelType, contact)
}

// search looks for the rows of one sending to which replies belong.
func (m *replyMatcher) search(s *Store, head *campaign.Sending) error {
	n := head.ID.Number()
	var key []byte
	return s.EachChunk(head.ID, func(rows *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error {
		set := func(one *replyMatch, i int, quote bool) {
			one.sending, one.byQuote, one.line, one.contact = n, quote, rows.Lines[i], string(rows.Contacts.At(i))
			one.reference = string(head.RowReference(rows, i))
		}
		for i := range entries {
			for _, one := range m.quoted[entries[i].Provider] {
				if entries[i].Provider != "" && !one.byQuote {
					set(one, int(entries[i].Row-rows.First), true)
				}
			}
		}
		stride := len(statuses) / max(rows.Len(), 1)
		for i := range rows.Len() {
			if statuses[i*stride].Outcome() != campaign.Sent {
				continue
			}
			key = m.key(key[:0], head.ApplicationID, head.Channels[rows.Channels[i]], rows.Contacts.At(i))
			for _, one := range m.byContact[string(key)] {
				late := !head.FinishedAt.IsZero() && one.reply.At.Sub(head.FinishedAt) > replyReach
				if one.sending == 0 && !late && !one.reply.At.Before(head.StartedAt) {
					set(one, i, false)
				}
			}
		}
		return nil
	})
}

// EachReply calls fn with the replies to a sending, in order of arrival by the provider's clock.
func (s *Store) EachReply(id campaign.ID, fn func(Reply) error) error {
	n, err := number(id)
	if err != nil {
		return err
	}
	return s.eachPage(bucketReplies, key8(n), key8(n), func(_, value []byte) error {
		var r Reply
		if err := json.Unmarshal(value, &r); err != nil {
			return fmt.Errorf("read replies of %s: %w: %w", id, ErrDamaged, err)
		}
		return fn(r)
	})
}

// removeReplies removes the replies of a contact, matched or not: same reports whether a reply is one of them.
func (t *tx) removeReplies(same func(contactCode string) bool) error {
	for _, name := range [][]byte{bucketReplies, bucketNewReplies} {
		var gone [][]byte
		if err := t.bucket(name).ForEach(func(k, v []byte) error {
			var r Reply
			if err := json.Unmarshal(v, &r); err != nil {
				return fmt.Errorf("read reply: %w: %w", ErrDamaged, err)
			}
			if same(r.ContactCode) {
				gone = append(gone, bytes.Clone(k))
			}
			return nil
		}); err != nil {
			return err
		}
		for _, k := range gone {
			if err := t.bucket(name).Delete(k); err != nil {
				return err
			}
		}
	}
	return nil
}
