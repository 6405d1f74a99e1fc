package store

import (
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/optout"
	"campaignd/internal/store/slots"
)

// schema lists the migrations. Only append: today's binary opens a store of every earlier version.
func schema() db.Schema {
	return db.Schema{Numbered: bucketSendings, Migrations: []func(*bbolt.Tx) error{
		makeBuckets, addDeliveries, markMaybeDelivered, optout.Pack, inbound.CreateReplies, slots.AddAttempts}}
}

// makeBuckets is the first migration: from an empty file to version 1.
func makeBuckets(t *bbolt.Tx) error {
	return errors.Join(slots.Create(t), optout.Create(t), db.Create(t, bucketSendings, bucketActive, bucketCounts, bucketChunks, bucketStatuses,
		bucketOutcomes, bucketInFlight, bucketRefusals, bucketTimeline, bucketRetries, bucketWaiting,
		bucketDigests, bucketAudit))
}

// addDeliveries migrates version 1 to 2: receipts, and opt-outs under the normal form of
// a contact (campaign.ContactKey).
func addDeliveries(t *bbolt.Tx) error {
	return errors.Join(inbound.CreateReceipts(t), optout.Rekey(t))
}

// markMaybeDelivered migrates version 2 to 3. Version 2 didn't record whether an attempt may
// have been delivered, so any message that was attempted and isn't final may have been.
func markMaybeDelivered(t *bbolt.Tx) error {
	b := t.Bucket(bucketStatuses)
	changed := map[string][]byte{}
	if err := b.ForEach(func(k, v []byte) error {
		var fresh []byte
		for i, m := range v {
			status := campaign.MessageStatus(m)
			if o := status.Outcome(); o != campaign.Retrying && (o != campaign.Pending || status.Attempts() == 0) {
				continue
			}
			if fresh == nil {
				fresh = slices.Clone(v)
			}
			fresh[i] = byte(status.WithMaybeDelivered())
		}
		if fresh != nil {
			changed[string(k)] = fresh
		}
		return nil
	}); err != nil {
		return err
	}
	for k, v := range changed {
		if err := b.Put([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}
