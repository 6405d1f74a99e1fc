package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"

	"campaignd/internal/campaign"
)

// Attempt is an attempt at a message that may have reached its receiver.
type Attempt struct {
	Key    string
	Number int // from 1
}

// Unrecorded returns the key of an attempt at a message of this store that the store doesn't know of,
// "" if there is none: else it is an older copy. Keys of other stores and of deleted sendings are ignored.
func (s Recovery) Unrecorded(attempts []Attempt) (key string, err error) {
	bySending := map[campaign.ID][]attemptAt{}
	for i := range attempts {
		if id, tag, line, n, ok := campaign.ParseKey(attempts[i].Key); ok {
			bySending[id] = append(bySending[id], attemptAt{&attempts[i], tag, line, n})
		}
	}
	for id, list := range bySending {
		slices.SortFunc(list, func(a, b attemptAt) int { return cmp.Compare(a.line, b.line) })
		err := s.view(func(t *tx) (err error) {
			key, err = t.unrecorded(id, list)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("compare attempts with %s: %w", id, err)
		}
		if key != "" {
			return key, nil
		}
	}
	return "", nil
}

// attemptAt is an attempt with the parts of its key.
type attemptAt struct {
	*Attempt
	tag  string
	line uint32
	n    int
}

// unrecorded is Unrecorded for one sending. list is sorted by line.
func (t *tx) unrecorded(id campaign.ID, list []attemptAt) (key string, err error) {
	n, rec, err := t.layoutOf(id)
	if errors.Is(err, ErrNotFound) {
		if id.Number() <= t.Bucket(bucketSendings).Sequence() { // it was deleted
			return "", nil
		}
		at := slices.IndexFunc(list, func(a attemptAt) bool { return a.tag == t.s.db.Tag() })
		if at < 0 {
			return "", nil
		}
		return list[at].Key, nil
	}
	if err != nil {
		return "", err
	}
	head, err := t.header(n)
	if err != nil {
		return "", err
	}
	c := &chunkCursor{t: t, n: n, rec: rec}
	for i := range list {
		a := &list[i]
		if a.tag != head.Tag || a.n > head.Messages {
			continue
		}
		status, ok, err := c.status(a.line, a.n)
		if err != nil {
			return "", err
		}
		// What may have been delivered counts as that already; after a resend its attempts begin again at 0.
		if ok && status.Attempts() < a.Number && !status.MaybeDelivered() {
			return a.Key, nil
		}
	}
	return "", nil
}

// chunkCursor finds rows of a sending by their lines.
type chunkCursor struct {
	t   *tx
	n   uint64
	rec *record

	unpacker unpacker
	rows     campaign.Rows // the last chunk read; empty: none yet
	statuses []campaign.MessageStatus
}

// status returns the status of a message, false if there is no row at the line.
func (c *chunkCursor) status(line uint32, message int) (status campaign.MessageStatus, ok bool, err error) {
	if c.rows.Len() == 0 || line < c.rows.Lines[0] || line > c.rows.Lines[c.rows.Len()-1] {
		if err := c.seek(line); errors.Is(err, ErrNotFound) { // its rows are gone
			return 0, false, nil
		} else if err != nil {
			return 0, false, err
		}
	}
	i, ok := slices.BinarySearch(c.rows.Lines, line)
	if !ok {
		return 0, false, nil
	}
	return c.statuses[i*int(c.rec.messages)+message-1], true, nil
}

// seek reads the chunk in which a line would be.
func (c *chunkCursor) seek(line uint32) (err error) {
	read := func(chunk uint32) {
		if err == nil {
			c.statuses, err = c.t.rowsAndStatuses(c.n, c.rec, chunk, &c.unpacker, &c.rows, c.statuses)
		}
	}
	// A row isn't before the line of its number.
	most := min(c.rec.chunks(), line/campaign.ChunkRows+1)
	after := sort.Search(int(most), func(chunk int) bool {
		read(uint32(chunk))
		return err != nil || c.rows.Len() > 0 && c.rows.Lines[0] > line
	})
	read(uint32(max(after-1, 0)))
	return err
}
