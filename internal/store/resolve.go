package store

import (
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/db"
	"campaignd/internal/store/inbound"
)

// resolveUnknown records the Unknown messages of a sending that have a receipt as Sent: the provider
// accepted them, although its answer was lost. Until then a resend would deliver them twice. Receipts
// come before the outcome as well as after it, so this runs when receipts arrive, when the sending
// ends, and before a resend.
func (c *core) resolveUnknown(file *db.Tx, n uint64) error {
	t := &tx{Tx: file, s: c}
	b, err := t.counters(n)
	if err != nil || b.counts[campaign.Unknown] == 0 {
		return err
	}
	head, err := t.header(n)
	if err != nil {
		return err
	}
	_, rec, err := t.layoutOf(head.ID)
	if err != nil {
		return err
	}
	sw := &statusWriter{t: t, n: n, rec: rec, counters: &b}
	for chunk := range rec.chunks() {
		w := &chunkBatch{number: n, chunk: chunk}
		if err := t.received(w, rec); err != nil {
			return fmt.Errorf("match unknown messages of %s with receipts: %w", rec.id, err)
		}
		if err := sw.writeChunk(w); err != nil {
			return err
		}
	}
	if !sw.changed {
		return nil
	}
	// All of these messages had final outcomes, so nothing becomes due.
	return t.putCounters(n, &b)
}

// received adds to w the Unknown messages of its chunk that have a receipt.
func (t *tx) received(w *chunkBatch, rec *record) error {
	var rows campaign.Rows
	stride := int(rec.messages)
	for i, m := range t.Bucket(bucketStatuses).Get(key12(w.number, w.chunk)) {
		status := campaign.MessageStatus(m)
		if status.Outcome() != campaign.Unknown {
			continue
		}
		if rows.Len() == 0 {
			if err := t.chunk(w.number, w.chunk, &unpacker{}, &rows); err != nil {
				return err
			}
		}
		row, message := i/stride, uint8(i%stride+1)
		if row >= rows.Len() {
			return fmt.Errorf("%w: %w", ErrDamaged, codec.ErrMalformed)
		}
		found, err := inbound.Received(t.Tx, w.number, rows.Lines[row], message)
		if err != nil {
			return err
		}
		if found {
			w.add(campaign.Entry{Sending: rec.id, Row: rows.First + uint32(row), Message: message, Outcome: campaign.Sent, Attempts: uint8(status.Attempts()), At: now()})
		}
	}
	return nil
}
