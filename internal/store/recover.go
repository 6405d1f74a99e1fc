package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// Recovery resolves what was in flight when the process ended, and finds what the store doesn't know.
type Recovery struct{ *core }

// Recovered counts the messages that Recover found in flight.
type Recovered struct {
	Retried uint64 // Pending again
	Unknown uint64 // nobody knows whether they were sent
	Kept    uint64 // still in flight
}

// lostInFlight is the detail of a message in flight when the process ended.
const lostInFlight = "campaignd ended between sending it and recording the answer"

// Recover resolves the messages that were in flight when the process ended. retry reports,
// for an application's channel, whether such a message is sent again under the same key:
// it becomes Pending and keeps its attempts. Otherwise, and always in a canceled sending,
// it becomes Unknown. A sending whose cancel waited for them becomes canceled. Call it once,
// before anything is sent.
//
// Messages of the channels that remote reports stay in flight: workers on other machines may
// be sending them (InFlight).
func (s Recovery) Recover(remote, retry func(application int64, channelType string) bool) (Recovered, error) {
	var found Recovered
	for after := uint64(0); ; {
		var n uint64
		var chunks []uint32
		err := s.view(func(t *tx) error {
			c := t.Bucket(bucketInFlight).Cursor()
			for k, _ := c.Seek(db.Key8(after + 1)); len(k) == 12; k, _ = c.Next() {
				if n != 0 && n != binary.BigEndian.Uint64(k) {
					break
				}
				n = binary.BigEndian.Uint64(k)
				chunks = append(chunks, binary.BigEndian.Uint32(k[8:]))
			}
			return nil
		})
		if err != nil {
			return found, err
		}
		if n == 0 {
			return found, s.finishCancels()
		}
		if err := s.recover(n, chunks, fates{remote, retry}, &found); err != nil {
			return found, fmt.Errorf("recover the messages in flight of sending number %d: %w", n, err)
		}
		after = n
	}
}

// finishCancels makes the sendings canceled that were finalized so: the process ended while their
// last messages were in flight.
func (s Recovery) finishCancels() error {
	return s.update(func(t *tx) error {
		canceled := func(rec *record) bool { return rec.finalizedAs == campaign.Canceled && !rec.state.Final() }
		if err := t.changeActive(canceled, func(head *campaign.Sending, _ *record) error {
			head.State, head.Reason = campaign.StateCanceled, campaign.ReasonCanceled
			return nil
		}); err != nil {
			return fmt.Errorf("finish cancels: %w", err)
		}
		return nil
	})
}

// fates report what becomes of a channel's messages in flight.
type fates struct {
	remote, retry func(application int64, channelType string) bool
}

// fate is what becomes of a message in flight.
type fate uint8

const (
	fateUnknown fate = iota
	fatePending
	fateKept
)

func (s Recovery) recover(n uint64, chunks []uint32, of fates, found *Recovered) error {
	var one Recovered
	err := s.update(func(t *tx) error {
		one = Recovered{}
		head, err := t.header(n)
		if err != nil {
			return err
		}
		rec, err := t.record(n)
		if err != nil {
			return err
		}
		if rec == nil {
			return fmt.Errorf("%w: it is filed", ErrDamaged)
		}
		sw, err := t.writer(n, rec)
		if err != nil {
			return err
		}
		become := make([]fate, len(head.Channels))
		for i, channel := range head.Channels {
			switch {
			case of.remote(head.ApplicationID, channel):
				become[i] = fateKept
			case !rec.state.Final() && rec.finalizedAs == campaign.Pending && of.retry(head.ApplicationID, channel):
				become[i] = fatePending
			}
		}
		for _, chunk := range chunks {
			if err := sw.recoverChunk(chunk, become, &one); err != nil {
				return err
			}
		}
		if head.Sliced { // nobody knows when they were handed over
			sw.seen, sw.seenAt, sw.changed = one.Retried+one.Unknown+one.Kept, now(), true
		}
		return sw.close()
	})
	if err == nil {
		found.Retried += one.Retried
		found.Unknown += one.Unknown
		found.Kept += one.Kept
	}
	return err
}

// recoverChunk moves a chunk's InFlight messages to Pending or Unknown, by channel, or leaves them.
func (sw *statusWriter) recoverChunk(chunk uint32, become []fate, one *Recovered) error {
	statuses, err := sw.statuses(chunk)
	if err != nil {
		return err
	}
	mixed := slices.ContainsFunc(become, func(f fate) bool { return f != become[0] })
	var rows campaign.Rows
	if mixed {
		if err := sw.t.chunk(sw.n, chunk, &unpacker{}, &rows); err != nil {
			return err
		}
	}
	w := &chunkBatch{number: sw.n, chunk: chunk}
	stride := int(sw.rec.messages)
	at := now()
	for i, m := range statuses {
		status := campaign.MessageStatus(m)
		if status.Outcome() != campaign.InFlight {
			continue
		}
		e := campaign.Entry{Sending: sw.rec.id, Row: chunk*campaign.ChunkRows + uint32(i/stride), Message: uint8(i%stride) + 1,
			Outcome: campaign.Unknown, Attempts: uint8(status.Attempts()), At: at, Detail: lostInFlight}
		channel := 0
		if mixed {
			channel = int(rows.Channels[i/stride])
		}
		switch become[channel] {
		case fateKept:
			one.Kept++
			continue
		case fatePending:
			e.Outcome, e.Detail, e.MaybeDelivered = campaign.Pending, "", true
			one.Retried++
		default:
			one.Unknown++
		}
		w.add(e)
	}
	if len(w.runs) == 0 && one.Kept == 0 {
		return fmt.Errorf("%w: chunk %d has nothing in flight", ErrDamaged, chunk)
	}
	return sw.writeChunk(w)
}
