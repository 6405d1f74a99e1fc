package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/optout"
	"campaignd/internal/store/slots"
)

// maxFindings is the most problems that Verify reports.
const maxFindings = 100

// errTooMany ends a verification that has found enough.
var errTooMany = errors.New("enough found")

// Verify checks the store's invariants and returns the problems found. It checks every
// sending in a transaction of its own. deep also decodes every chunk and block, recounts
// every status, and has bbolt check its pages.
func (s *Store) Verify(deep bool) []string {
	if deep { // bbolt checks its pages in one transaction
		defer s.db.KeepFile()()
	}
	v := &verifier{s: s, deep: deep}
	var all []uint64
	err := s.view(func(t *tx) error {
		return t.Bucket(bucketSendings).ForEach(func(k, _ []byte) error {
			all = append(all, binary.BigEndian.Uint64(k))
			return nil
		})
	})
	for i := 0; i < len(all) && err == nil; i++ {
		err = s.view(func(t *tx) error { return v.sending(t, all[i]) })
	}
	for _, check := range []func(*tx) error{v.indexes, v.states, v.slots, v.digests, v.optOuts, v.file} {
		if err == nil {
			err = s.view(check)
		}
	}
	if err != nil && !errors.Is(err, errTooMany) {
		v.found = append(v.found, fmt.Sprintf("the check ended early: %v", err))
	}
	return v.found
}

// verifier is one run of Verify.
type verifier struct {
	s     *Store
	deep  bool
	found []string
}

func (v *verifier) report(format string, args ...any) error {
	v.found = append(v.found, fmt.Sprintf(format, args...))
	if len(v.found) >= maxFindings {
		return errTooMany
	}
	return nil
}

// sending checks one sending's header and record.
func (v *verifier) sending(t *tx, n uint64) error {
	value := t.Bucket(bucketSendings).Get(db.Key8(n))
	if value == nil {
		return nil // removed since the list was made
	}
	head, err := decodeHeader(value)
	if err != nil {
		return v.report("sending number %d: %v", n, err)
	}
	if state, _ := stateOf(value[1]); state != head.State || head.ID.Number() != n {
		return v.report("%s: its key or state is not what its header says", head.ID)
	}
	rec, err := t.record(n)
	if err != nil {
		return v.report("%s: %v", head.ID, err)
	}
	if settled := head.Filed && !head.FinishedAt.IsZero(); settled != (rec == nil) {
		return v.report("%s: filed and finished: %t, but listed as active: %t", head.ID, settled, rec != nil)
	}
	if rec != nil {
		if rec.state != head.State || rec.id != head.ID {
			return v.report("%s: its record is of %s, %s", head.ID, rec.id, rec.state)
		}
		onTimeline := rec.due != offTimeline
		if onTimeline != head.State.Active() || onTimeline && t.Bucket(bucketTimeline).Get(keyTimeline(rec.due, n)) == nil {
			return v.report("%s: %s, but its entry in the timeline is wrong", head.ID, head.State)
		}
	}
	if head.State == campaign.StateChecking || head.State == campaign.StateRejected || head.DryRun || head.Messages == 0 {
		return nil
	}
	if rec == nil {
		rec = &record{id: head.ID, state: head.State}
		rec.setLayout(head)
	}
	if err := v.layout(head, rec); err != nil {
		return err
	}
	return v.accepted(t, n, head, rec)
}

// accepted checks the counters and slices of a sending that has messages.
func (v *verifier) accepted(t *tx, n uint64, head *campaign.Sending, rec *record) error {
	b, err := t.counters(n)
	if err != nil {
		return v.report("%s: %v", head.ID, err)
	}
	sum := b.counts.Final() + b.counts[campaign.Pending] + b.counts[campaign.InFlight] + b.counts[campaign.Retrying]
	if sum != head.Planned {
		return v.report("%s: %d messages counted, %d planned", head.ID, sum, head.Planned)
	}
	if head.State.Final() && !head.FinishedAt.IsZero() && b.counts.Final() != head.Planned {
		return v.report("%s: %s, but only %d of %d messages have their outcome", head.ID, head.State, b.counts.Final(), head.Planned)
	}
	list, err := slots.Of(t.Tx, n)
	if err != nil {
		return v.report("%s: %v", head.ID, err)
	}
	if !slices.IsSortedFunc(list, func(a, b slots.Slice) int { return a.Start.Compare(b.Start) }) {
		return v.report("%s: its slices are not in order", head.ID)
	}
	byRow := slices.Clone(list)
	slices.SortStableFunc(byRow, func(a, b slots.Slice) int { return cmp.Compare(a.First, b.First) })
	end := uint32(0)
	for i := range byRow {
		if byRow[i].Rows == 0 {
			continue
		}
		if byRow[i].First < end || byRow[i].First+byRow[i].Rows > rec.rows {
			return v.report("%s: its slices overlap or end beyond its rows", head.ID)
		}
		end = byRow[i].First + byRow[i].Rows
	}
	if err := v.retries(t, n, head, &b); err != nil || !v.deep {
		return err
	}
	if err := v.timeline(t, n, head, rec, &b); err != nil {
		return err
	}
	return v.statuses(t, n, head, rec, &b, newRowChecker(t, n, rec, list))
}

// retries checks that every waiting message has an entry under its time.
func (v *verifier) retries(t *tx, n uint64, head *campaign.Sending, b *counters) error {
	count := uint64(0)
	for k, value := range t.Prefixed(bucketWaiting, db.Key8(n)) {
		count++
		if len(k) != 13 || len(value) != 8 || t.Bucket(bucketRetries).Get(keyRetry(n, int64(binary.BigEndian.Uint64(value)),
			binary.BigEndian.Uint32(k[8:]), k[12])) == nil {
			return v.report("%s: a retry has no time", head.ID)
		}
	}
	if count != b.counts[campaign.Retrying] {
		return v.report("%s: %d messages wait for a retry, %d counted", head.ID, count, b.counts[campaign.Retrying])
	}
	return nil
}

// statuses recounts every status, and decodes every chunk and block.
func (v *verifier) statuses(t *tx, n uint64, head *campaign.Sending, rec *record, b *counters, rowsOf *rowChecker) error {
	var counts campaign.Counts
	var rows campaign.Rows
	var statuses []campaign.MessageStatus
	u := &unpacker{}
	for chunk := range rec.chunks() {
		var err error
		if statuses, err = t.rowsAndStatuses(n, rec, chunk, u, &rows, statuses); err != nil {
			return v.report("%s: chunk %d: %v", head.ID, chunk, err)
		}
		if rows.Len() != rec.rowsIn(chunk) || len(rows.Values) != len(head.Variables) {
			return v.report("%s: chunk %d has %d rows of %d values", head.ID, chunk, rows.Len(), len(rows.Values))
		}
		inFlight := uint32(0)
		for i, m := range statuses {
			channel, message := rows.Channels[i/int(rec.messages)], i%int(rec.messages)
			if int(channel) >= len(head.Channels) {
				return v.report("%s: chunk %d has a row on channel number %d", head.ID, chunk, channel)
			}
			if rec.channels != nil && message >= int(rec.channels[channel]) {
				continue
			}
			if int(m.Outcome()) >= len(counts) {
				return v.report("%s: chunk %d has an outcome numbered %d", head.ID, chunk, m.Outcome())
			}
			counts[m.Outcome()]++
			if m.Outcome() == campaign.InFlight {
				inFlight++
			}
		}
		for i := range rows.Len() {
			row := rows.First + uint32(i)
			if wrong := rowsOf.row(row, statuses[i*rowsOf.stride:(i+1)*rowsOf.stride]); wrong != "" {
				return v.report("%s: the recipient of line %d %s", head.ID, rows.Lines[i], wrong)
			}
		}
		listed := uint32(0)
		if value := t.Bucket(bucketInFlight).Get(key12(n, chunk)); len(value) == 4 {
			listed = binary.BigEndian.Uint32(value)
		}
		if listed != inFlight {
			return v.report("%s: chunk %d has %d messages in flight, %d listed", head.ID, chunk, inFlight, listed)
		}
		if _, err := t.details(n, chunk, nil); err != nil {
			return v.report("%s: outcomes of chunk %d: %v", head.ID, chunk, err)
		}
	}
	if wrong := inbound.Verify(t.Tx, n); wrong != "" {
		return v.report("%s: %s", head.ID, wrong)
	}
	if counts != b.counts {
		return v.report("%s: its statuses add up to %v, its counters are %v", head.ID, counts, b.counts)
	}
	return nil
}

// indexes checks that every index points to an existing sending.
func (v *verifier) indexes(t *tx) error {
	for _, bucket := range append(bucketsOfSending(), bucketActive) {
		c := t.Bucket(bucket).Cursor()
		for k, _ := c.First(); k != nil; {
			if len(k) < 8 {
				return v.report("bucket %s has a key of %d bytes", bucket, len(k))
			}
			n := binary.BigEndian.Uint64(k)
			if t.Bucket(bucketSendings).Get(db.Key8(n)) == nil && !isLeaving(t, n) {
				if err := v.report("bucket %s has something of sending number %d, which there isn't", bucket, n); err != nil {
					return err
				}
			}
			k, _ = c.Seek(db.Key8(n + 1))
		}
	}
	return t.Bucket(bucketTimeline).ForEach(func(k, _ []byte) error {
		due, n, ok := splitTimeline(k)
		if !ok {
			return v.report("the timeline has a key of %d bytes", len(k))
		}
		rec, err := t.record(n)
		if err != nil || rec == nil || rec.due != due {
			return v.report("the timeline has sending number %d at a time that isn't its own", n)
		}
		return nil
	})
}

// states recounts the sendings at each state.
func (v *verifier) states(t *tx) error {
	counted := make([]byte, 8*stateCount)
	if last, _ := t.Bucket(bucketSendings).Cursor().Last(); len(last) == 8 && binary.BigEndian.Uint64(last) > t.Bucket(bucketSendings).Sequence() {
		return v.report("sending number %d is there, but numbers are given out from %d on", binary.BigEndian.Uint64(last), t.Bucket(bucketSendings).Sequence()+1)
	}
	if err := t.Bucket(bucketSendings).ForEach(func(_, value []byte) error {
		if at := 8 * int(value[1]); at+8 <= len(counted) {
			binary.BigEndian.PutUint64(counted[at:], binary.BigEndian.Uint64(counted[at:])+1)
		}
		return nil
	}); err != nil {
		return err
	}
	if kept := t.Bucket(db.Meta).Get(metaStates); string(kept) != string(counted) && len(kept) > 0 {
		return v.report("the numbers of sendings at each state are not what was counted")
	}
	return nil
}

// digests checks that every acceptance listed by digest belongs to its sending.
func (v *verifier) digests(t *tx) error {
	return t.Bucket(bucketDigests).ForEach(func(k, value []byte) error {
		if len(k) != 32 || len(value) == 0 || len(value)%digestEntry != 0 {
			return v.report("a digest has %d bytes, its value %d", len(k), len(value))
		}
		head, err := t.header(binary.BigEndian.Uint64(value))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil || head.Digest != fmt.Sprintf("%x", k) {
			return v.report("a digest points to a sending that isn't its own (%v)", err)
		}
		return nil
	})
}

// slots checks the reservations.
func (v *verifier) slots(t *tx) error { return slots.Verify(t.Tx, ownerOf, v.report) }

// optOuts checks the opt-outs.
func (v *verifier) optOuts(t *tx) error { return optout.Verify(t.Tx, v.report) }

// file has bbolt check its pages.
func (v *verifier) file(t *tx) error {
	if !v.deep {
		return nil
	}
	for err := range t.Check() {
		v.found = append(v.found, fmt.Sprintf("the file: %v", err))
	}
	return nil
}
