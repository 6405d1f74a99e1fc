package store

import (
	"cmp"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/slots"
)

// rowChecker checks the statuses of one row after another, in order.
type rowChecker struct {
	t      *tx
	n      uint64
	stride int
	byRow  []slots.Slice // in order of rows
	at     int           // all slices before it end before the next row
}

func newRowChecker(t *tx, n uint64, rec *record, list []slots.Slice) *rowChecker {
	byRow := slices.DeleteFunc(slices.Clone(list), func(one slots.Slice) bool { return one.Rows == 0 })
	slices.SortStableFunc(byRow, func(a, b slots.Slice) int { return cmp.Compare(a.First, b.First) })
	return &rowChecker{t: t, n: n, stride: int(rec.messages), byRow: byRow}
}

// row returns what is wrong with a row, or "". A row that isn't done must be in a slice, or
// it would never be sent. A Retrying message must have an entry with its time.
func (c *rowChecker) row(row uint32, statuses []campaign.MessageStatus) string {
	over := true
	for i, m := range statuses {
		over = over && m.Outcome().Final()
		if m.Outcome() == campaign.Retrying && c.t.Bucket(bucketWaiting).Get(keyWaiting(c.n, row, uint8(i)+1)) == nil {
			return "waits for its next attempt, which has no time"
		}
	}
	for c.at < len(c.byRow) && c.byRow[c.at].First+c.byRow[c.at].Rows <= row {
		c.at++
	}
	if !over && (c.at == len(c.byRow) || row < c.byRow[c.at].First) {
		return "isn't over and in no slice: it would never be sent"
	}
	return ""
}

// timeline checks that the sending's timeline entry isn't too late, and that every retry
// belongs to a waiting message.
func (v *verifier) timeline(t *tx, n uint64, head *campaign.Sending, rec *record, b *counters) error {
	count := uint64(0)
	for range t.Prefixed(bucketRetries, db.Key8(n)) {
		count++
	}
	if count != b.counts[campaign.Retrying] {
		return v.report("%s: %d retries have a time, %d messages wait for one", head.ID, count, b.counts[campaign.Retrying])
	}
	if !rec.state.Active() {
		return nil
	}
	due, _, err := t.nextDue(n, rec, 0, false)
	if err != nil {
		return v.report("%s: %v", head.ID, err)
	}
	if rec.due > due {
		return v.report("%s: its entry in the timeline is later than what it has to do", head.ID)
	}
	return nil
}

// layout checks that the record agrees with the header: statuses and counters are read by it.
func (v *verifier) layout(head *campaign.Sending, rec *record) error {
	want := *rec
	want.setLayout(head)
	if want.application != rec.application || want.planned != rec.planned || want.rows != rec.rows || want.messages != rec.messages ||
		!slices.Equal(want.channels, rec.channels) {
		return v.report("%s: its record has other numbers than its header", head.ID)
	}
	return nil
}
