package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/campaign"
)

// stray is a report without a key of ours. Most are of messages that others send by the same
// number; a provider that doesn't echo the key makes them too.
type unmatchedReceipt struct {
	Receipt
	ReceivedAt time.Time
}

const (
	// strayPage is how many strays are looked for at once.
	unmatchedPage = 20_000
	// strayReach is how long after its end a sending's messages are looked through for strays.
	matchReach = 7 * 24 * time.Hour
)

func (t *tx) putUnmatched(r *Receipt) error {
	b := t.ascending(bucketUnmatched)
	seq, err := b.NextSequence()
	if err != nil {
		return err
	}
	value, err := json.Marshal(unmatchedReceipt{*r, now()})
	if err != nil {
		return err
	}
	return b.Put(key8(seq), value)
}

// strays are the oldest of them, by number.
func (t *tx) unmatched() (map[uint64]*unmatchedReceipt, error) {
	all := map[uint64]*unmatchedReceipt{}
	c := t.bucket(bucketUnmatched).Cursor()
	for k, v := c.First(); k != nil && len(all) < unmatchedPage; k, v = c.Next() {
		one := &unmatchedReceipt{}
		if err := json.Unmarshal(v, one); err != nil {
			return nil, fmt.Errorf("read stray: %w: %w", ErrDamaged, err)
		}
		all[binary.BigEndian.Uint64(k)] = one
	}
	return all, nil
}

// PlaceStrays looks for the messages that strays are about, by the provider's id, among those of sendings
// that are under way or ended a week ago or less, and enters what it finds. Those that came before
// settled and are of no message are forgotten: by then the result that gives a message its provider's id is
// in the books. It returns what was entered and how many strays are left. It reads
// every such sending, a chunk at a time, so it is not to be called at every report.
func (s *Store) MatchReceipts(settled time.Time) (told []ReceiptResult, left int, err error) {
	var all map[uint64]*unmatchedReceipt
	err = s.view(func(t *tx) error {
		all, err = t.unmatched()
		return err
	})
	if err != nil || len(all) == 0 {
		return nil, 0, err
	}
	want := map[string][]*unmatchedReceipt{}
	for _, one := range all {
		want[one.Provider] = append(want[one.Provider], one)
	}
	heads, err := s.Sendings(Filter{})
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
	err = s.update(func(t *tx) error {
		told, left = told[:0], len(all)
		b := receiptTargets{t: t, known: map[uint64]*receiptTarget{}}
		for seq, one := range all {
			if one.Key == "" && !one.ReceivedAt.Before(settled) {
				continue
			}
			if one.Key != "" {
				more, err := b.record(&one.Receipt)
				if err != nil {
					return err
				}
				told = append(told, more...)
			}
			if err := t.bucket(bucketUnmatched).Delete(key8(seq)); err != nil {
				return err
			}
			left--
		}
		return b.close()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("place strays: %w", err)
	}
	return told, left, nil
}

// placeIn gives the strays that are of a sending's messages their keys.
func (s *Store) matchIn(head *campaign.Sending, want map[string][]*unmatchedReceipt) error {
	return s.EachChunk(head.ID, func(rows *campaign.Rows, _ []campaign.MessageStatus, entries []campaign.Entry) error {
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

// ContactOf is the contact that a message's key is for, "" if there is no such message in this store.
// It reads the sending's rows up to that one.
func (s *Store) ContactOf(key string) (string, error) {
	id, tag, line, _, ok := campaign.ParseKey(key)
	if !ok {
		return "", nil
	}
	head, err := s.Header(id)
	if errors.Is(err, ErrNotFound) || err == nil && head.Tag != tag {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	contact := ""
	err = s.EachChunk(id, func(rows *campaign.Rows, _ []campaign.MessageStatus, _ []campaign.Entry) error {
		if rows.Len() == 0 || rows.Lines[rows.Len()-1] < line {
			return nil
		}
		if i, ok := slices.BinarySearch(rows.Lines, line); ok {
			contact = string(rows.Contacts.At(i))
		}
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return contact, err
}

// errFound ends a walk that has what it was for.
var errFound = errors.New("found")
