package inbound

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/optout"
)

// replyReach is the time after a sending's end in which a reply still belongs to it
// (docs/contract.md 9).
const replyReach = 7 * 24 * time.Hour

// replySkew is how far a provider's clock may be behind ours. WhatsApp's times are in whole seconds.
const replySkew = time.Minute

// Reply is one answer of a recipient. Its Line, ContactCode and Reference are those of the row
// that it was matched to.
type Reply = campaign.Reply

// NewReply is a reply that isn't matched to a sending yet.
type NewReply struct {
	Reply
	UserID string         `json:"userId,omitempty"` // the contact's user id, "" if it isn't known
	Places []optout.Place `json:"places"`           // the channels that it may answer
	Came   time.Time      `json:"came"`             // set by AddReplies
}

// AddReplies stores replies durably. They belong to no sending until MatchReplies has found one.
// One that comes again with the same ID is stored once.
func (s Replies) AddReplies(list []NewReply) error {
	err := s.db.Update(func(t *db.Tx) error {
		for _, r := range list {
			r.Came = now()
			if err := t.PutJSON(bucketNewReplies, []byte(r.ID), r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store replies: %w", err)
	}
	return nil
}

// MatchedReplies counts the replies of a run of MatchReplies.
type MatchedReplies struct {
	Matched   int // they have a sending now
	Unmatched int // they belong to no sending, and were deleted
	Left      int // they came a moment ago: run again
}

// MatchReplies gives the new replies to sendings: to the one with the message that a reply
// quotes, else to the newest that sent to the contact and ended at most 7 days before the
// reply. Replies that came before settled and belong to no sending are deleted: by then the
// message that they may quote has its provider's id. Only those by a user id whose contact
// isn't known stay for 7 days. It reads every sending of the last 7 days, so don't call it for every reply.
func (s Replies) MatchReplies(settled time.Time) (done MatchedReplies, err error) {
	for from := []byte{}; from != nil; {
		m := replyMatcher{optOuts: s.optOuts, key: s.optOuts.PlaceKey(), quoted: map[string][]*replyMatch{}, byContact: map[string][]*replyMatch{}}
		if err := s.db.View(func(t *db.Tx) (err error) { from, err = m.read(t, from); return err }); err != nil || len(m.all) == 0 {
			return done, err
		}
		one, err := s.match(&m, settled)
		if err != nil {
			return done, fmt.Errorf("match replies: %w", err)
		}
		done = MatchedReplies{done.Matched + one.Matched, done.Unmatched + one.Unmatched, done.Left + one.Left}
	}
	return done, nil
}

func (s Replies) match(m *replyMatcher, settled time.Time) (done MatchedReplies, err error) {
	heads, err := s.sendings.Newest()
	if err != nil {
		return done, err
	}
	for _, head := range heads { // the newest first
		if head.StartedAt.IsZero() || !head.FinishedAt.IsZero() && now().Sub(head.FinishedAt) > 2*replyReach {
			continue
		}
		if err := s.sendings.EachChunk(head.ID, m.searcher(head)); err != nil {
			return done, err
		}
	}
	err = s.db.Update(func(t *db.Tx) error {
		done = MatchedReplies{}
		for _, one := range m.all {
			if one.sending != 0 {
				head, err := s.sendings.Header(t, one.sending)
				if err != nil {
					return err
				}
				if head == nil {
					one.sending = 0 // it was removed meanwhile
				}
			}
			switch {
			case one.sending != 0:
				done.Matched++
				if err := putReply(t, one); err != nil {
					return err
				}
			case !one.reply.Came.Before(settled):
				done.Left++
				continue
			case one.unknown && one.reply.Came.After(now().Add(-replyReach)):
				continue
			default:
				done.Unmatched++
			}
			if err := t.Bucket(bucketNewReplies).Delete([]byte(one.reply.ID)); err != nil {
				return err
			}
		}
		return countUnmatchedReplies(t, done.Unmatched)
	})
	return done, err
}

// countUnmatchedReplies adds to the number of deleted replies. The count begins again after 7 days.
func countUnmatchedReplies(t *db.Tx, n int) error {
	if n == 0 {
		return nil
	}
	meta := t.Bucket(db.Meta)
	count, since := decodeUnmatchedReplies(meta.Get(metaUnmatchedReplies))
	if now().Sub(since) > replyReach {
		count, since = 0, now()
	}
	value := binary.BigEndian.AppendUint64(db.Key8(count+uint64(n)), uint64(since.Unix()))
	return meta.Put(metaUnmatchedReplies, value)
}

func decodeUnmatchedReplies(value []byte) (count uint64, since time.Time) {
	if len(value) != 16 {
		return 0, time.Time{}
	}
	return binary.BigEndian.Uint64(value), time.Unix(int64(binary.BigEndian.Uint64(value[8:])), 0).UTC()
}

// UnmatchedReplies returns how many replies of the last 7 days or more belong to no sending and were
// deleted, since when they were counted, and how many wait for the contact of their user id.
func (s Replies) UnmatchedReplies() (deleted uint64, since time.Time, waiting int, err error) {
	err = s.db.View(func(t *db.Tx) error {
		deleted, since = decodeUnmatchedReplies(t.Bucket(db.Meta).Get(metaUnmatchedReplies))
		waiting = t.Bucket(bucketNewReplies).Stats().KeyN
		return nil
	})
	return deleted, since, waiting, err
}

// putReply stores a reply with its sending, whose files lack it now.
func putReply(t *db.Tx, one *replyMatch) error {
	one.reply.Line, one.reply.ContactCode, one.reply.Reference = one.line, one.contact, one.reference
	key := append(binary.BigEndian.AppendUint64(db.Key8(one.sending), uint64(max(one.reply.At.UnixMilli(), 0))), one.reply.ID...)
	if t.Bucket(bucketReplies).Get(key) != nil {
		return nil // a provider repeats itself
	}
	if err := t.PutJSON(bucketReplies, key, one.reply.Reply); err != nil {
		return err
	}
	counts, err := countsOf(t, one.sending)
	if err != nil {
		return err
	}
	counts.version++
	return counts.put(t, one.sending)
}

// replyMatch is a new reply and the row that it belongs to.
type replyMatch struct {
	reply     NewReply
	sending   uint64 // 0: none yet
	unknown   bool   // it came by a user id whose contact isn't known
	byQuote   bool
	line      uint32
	contact   string // as written in the row
	reference string // the row's
}

// replyMatcher is one run of MatchReplies.
type replyMatcher struct {
	optOuts   *optout.Table
	key       func(dst []byte, place optout.Place, contact []byte) []byte
	all       []*replyMatch
	quoted    map[string][]*replyMatch // by the provider's id of a message
	byContact map[string][]*replyMatch // by application, channel and normal form
}

// read reads a page of new replies, and returns where the next one begins, nil at the end.
func (m *replyMatcher) read(t *db.Tx, from []byte) (next []byte, err error) {
	c := t.Bucket(bucketNewReplies).Cursor()
	k, v := c.Seek(from)
	for ; k != nil && len(m.all) < unmatchedPage; k, v = c.Next() {
		one := &replyMatch{}
		if err := db.DecodeJSON("reply", v, &one.reply); err != nil {
			return nil, err
		}
		m.add(t, one)
	}
	return bytes.Clone(k), nil
}

// add adds a reply under its quoted message and under every name of its contact.
func (m *replyMatcher) add(t *db.Tx, one *replyMatch) {
	m.all = append(m.all, one)
	r := &one.reply
	if r.Quoted != "" {
		m.quoted[r.Quoted] = append(m.quoted[r.Quoted], one)
	}
	known := m.optOuts.KnownContact(t, r.UserID)
	names := append(m.optOuts.OtherNames(t, r.ContactCode), r.ContactCode, r.UserID, known)
	one.unknown = r.ContactCode == "" && known == ""
	for _, place := range r.Places {
		keys := map[string]bool{}
		for _, contact := range names {
			if contact != "" {
				keys[string(m.key(nil, place, []byte(contact)))] = true
			}
		}
		for key := range keys {
			m.byContact[key] = append(m.byContact[key], one)
		}
	}
}

// searcher returns a function that looks in the chunks of one sending for the rows to which replies belong.
func (m *replyMatcher) searcher(head *campaign.Sending) func(*campaign.Rows, []campaign.MessageStatus, []campaign.Entry) error {
	n := head.ID.Number()
	var key []byte
	return func(rows *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error {
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
			if o := statuses[i*stride].Outcome(); o != campaign.Sent && o != campaign.Unknown {
				continue
			}
			key = m.key(key[:0], optout.Place{Application: head.ApplicationID, ChannelType: head.Channels[rows.Channels[i]]}, rows.Contacts.At(i))
			for _, one := range m.byContact[string(key)] {
				late := !head.FinishedAt.IsZero() && one.reply.At.Sub(head.FinishedAt) > replyReach
				if one.sending == 0 && !late && !one.reply.At.Before(head.StartedAt.Add(-replySkew)) {
					set(one, i, false)
				}
			}
		}
		return nil
	}
}

// EachReply calls fn with the replies to a sending, in order of arrival by the provider's clock.
func (s Replies) EachReply(id campaign.ID, fn func(Reply) error) error {
	prefix := db.Key8(id.Number())
	return s.db.EachPage(bucketReplies, prefix, prefix, func(_, value []byte) error {
		var r Reply
		if err := db.DecodeJSON("reply", value, &r); err != nil {
			return err
		}
		return fn(r)
	})
}

// RemoveReplies removes the replies of a contact, matched or not: same reports whether a reply is one of them.
func RemoveReplies(t *db.Tx, same func(contactCode string) bool) error {
	for _, name := range [][]byte{bucketReplies, bucketNewReplies} {
		var gone [][]byte
		if err := t.Bucket(name).ForEach(func(k, v []byte) error {
			var r NewReply
			if err := db.DecodeJSON("reply", v, &r); err != nil {
				return err
			}
			if same(r.ContactCode) || same(r.UserID) {
				gone = append(gone, bytes.Clone(k))
			}
			return nil
		}); err != nil {
			return err
		}
		for _, k := range gone {
			if err := t.Bucket(name).Delete(k); err != nil {
				return err
			}
		}
	}
	return nil
}
