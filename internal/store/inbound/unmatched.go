package inbound

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// unmatchedReceipt is a receipt without one of our keys. Most are about messages that other
// programs send from the same number; some providers don't return the key.
type unmatchedReceipt struct {
	Receipt
	ReceivedAt time.Time
}

const (
	// unmatchedPage limits the receipts that are matched at once.
	unmatchedPage = 20_000
	// matchReach starts at a sending's end. Until its end the sending's messages are searched.
	matchReach = 7 * 24 * time.Hour
)

func putUnmatched(t *db.Tx, r *Receipt) error {
	b := t.Ascending(bucketUnmatched)
	seq, err := b.NextSequence()
	if err != nil {
		return err
	}
	value, err := json.Marshal(unmatchedReceipt{*r, now()})
	if err != nil {
		return err
	}
	return b.Put(db.Key8(seq), value)
}

// unmatched returns the oldest unmatched receipts by number.
func readUnmatched(t *db.Tx) (map[uint64]*unmatchedReceipt, error) {
	all := map[uint64]*unmatchedReceipt{}
	c := t.Bucket(bucketUnmatched).Cursor()
	for k, v := c.First(); k != nil && len(all) < unmatchedPage; k, v = c.Next() {
		one := &unmatchedReceipt{}
		if err := db.DecodeJSON("unmatched receipt", v, one); err != nil {
			return nil, err
		}
		all[binary.BigEndian.Uint64(k)] = one
	}
	return all, nil
}

// MatchReceipts searches the messages of unmatched receipts by the provider's id, among
// sendings that run or ended at most a week ago, and records what it finds. Receipts that
// arrived before settled and match nothing are deleted: by then the result that stores the
// provider's id is committed. It returns what it recorded and how many receipts are left.
// It reads every such sending, a chunk at a time, so don't call it for every receipt.
func (s *Receipts) MatchReceipts(settled time.Time) (results []ReceiptResult, left int, err error) {
	var all map[uint64]*unmatchedReceipt
	err = s.db.View(func(t *db.Tx) error {
		all, err = readUnmatched(t)
		return err
	})
	if err != nil || len(all) == 0 {
		return nil, 0, err
	}
	want := map[string][]*unmatchedReceipt{}
	for _, one := range all {
		want[one.Provider] = append(want[one.Provider], one)
	}
	heads, err := s.sendings.Newest()
	if err != nil {
		return nil, 0, err
	}
	for _, head := range heads {
		if !head.Receipts || !head.FinishedAt.IsZero() && now().Sub(head.FinishedAt) > matchReach {
			continue
		}
		if err := s.matchIn(head, want); err != nil {
			return nil, 0, err
		}
	}
	err = s.db.Update(func(t *db.Tx) error {
		results, left = results[:0], len(all)
		b := s.targets(t)
		for seq, one := range all {
			if one.Key == "" && !one.ReceivedAt.Before(settled) {
				continue
			}
			if one.Key != "" {
				more, err := b.record(&one.Receipt)
				if err != nil {
					return err
				}
				results = append(results, more...)
			}
			if err := t.Bucket(bucketUnmatched).Delete(db.Key8(seq)); err != nil {
				return err
			}
			left--
		}
		return b.close()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("match receipts: %w", err)
	}
	return results, left, nil
}

// matchIn sets the keys of the receipts that belong to a sending's messages.
func (s *Receipts) matchIn(head *campaign.Sending, want map[string][]*unmatchedReceipt) error {
	return s.sendings.EachChunk(head.ID, func(rows *campaign.Rows, _ []campaign.MessageStatus, entries []campaign.Entry) error {
		for i := range entries {
			e := &entries[i]
			for _, one := range want[e.Provider] {
				if e.Provider != "" && slices.Contains(one.Applications, head.ApplicationID) {
					one.Key = campaign.Key(head.ID, head.Tag, rows.Lines[e.Row-rows.First], int(e.Message))
				}
			}
		}
		return nil
	})
}

// ContactOf returns the contact of a message's key, "" if this store has no such message.
// It reads the sending's rows up to that one.
func (s *Receipts) ContactOf(key string) (string, error) {
	id, tag, line, _, ok := campaign.ParseKey(key)
	if !ok {
		return "", nil
	}
	var head *campaign.Sending
	err := s.db.View(func(t *db.Tx) (err error) {
		head, err = s.sendings.Header(t, id.Number())
		return err
	})
	if err != nil || head == nil || head.ID != id || head.Tag != tag {
		return "", err
	}
	contact := ""
	err = s.sendings.EachChunk(id, func(rows *campaign.Rows, _ []campaign.MessageStatus, _ []campaign.Entry) error {
		if rows.Len() == 0 || rows.Lines[rows.Len()-1] < line {
			return nil
		}
		if i, ok := slices.BinarySearch(rows.Lines, line); ok {
			contact = string(campaign.AppendContact(nil, rows.Contacts.At(i), rows.To(i)))
		}
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return contact, err
}

// errFound ends an iteration early.
var errFound = errors.New("found")
