package store

import (
	"bytes"
	"slices"

	"campaignd/internal/campaign"
)

// rowChecker holds what every row's marks must agree with, row after row in their order.
type rowChecker struct {
	t      *tx
	n      uint64
	stride int
	byRow  []slice // in order of rows
	at     int     // all before it end before the next row
}

func newRowChecker(t *tx, n uint64, rec *record, list []slice) *rowChecker {
	byRow := slices.DeleteFunc(slices.Clone(list), func(one slice) bool { return one.Rows == 0 })
	slices.SortStableFunc(byRow, func(a, b slice) int { return compare(a.First, b.First) })
	return &rowChecker{t: t, n: n, stride: int(rec.messages), byRow: byRow}
}

// row says what is wrong with a row, "" if nothing: one that isn't over but in no slice is never sent; a message
// that waits for its next attempt must be among those whose time comes.
func (c *rowChecker) row(row uint32, marks []campaign.MessageStatus) string {
	over := true
	for i, m := range marks {
		over = over && m.Outcome().Final()
		if m.Outcome() == campaign.Retrying && c.t.bucket(bucketWaiting).Get(keyWaiting(c.n, row, uint8(i)+1)) == nil {
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

// prompt checks that the sending's entry in the timeline isn't later than what it has to do,
// and that nothing comes back that no message waits for.
func (v *verifier) timeline(t *tx, n uint64, head *campaign.Sending, rec *record, b *counters) error {
	prefix := key8(n)
	count := uint64(0)
	c := t.bucket(bucketRetries).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
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

// shape checks that the record was laid out by the header: marks and counts are read by it.
func (v *verifier) layout(head *campaign.Sending, rec *record) error {
	want := *rec
	want.setLayout(head)
	if want.application != rec.application || want.planned != rec.planned || want.rows != rec.rows || want.messages != rec.messages ||
		!slices.Equal(want.channels, rec.channels) {
		return v.report("%s: its record has other numbers than its header", head.ID)
	}
	return nil
}
