package inbound

import (
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// SetReceipts sets the fields of a header that tell of the receipts of a sending.
func SetReceipts(t *db.Tx, n uint64, head *campaign.Sending) error {
	c, err := countsOf(t, n)
	if err == nil {
		head.Delivery, head.ReceiptVersion, head.Receipts = c.DeliveryCounts, c.version, head.Receipts || c.version > 0
	}
	return err
}

// Undelivered returns the messages of a sending whose newest receipt says that they weren't delivered,
// by line, message 1 in bit 1.
func Undelivered(t *db.Tx, n uint64) (map[uint32]uint64, error) {
	failed := map[uint32]uint64{}
	for d, err := range deliveries(t, n, 0) {
		if err != nil {
			return nil, err
		}
		if d.State == campaign.Undelivered {
			failed[d.Line] |= 1 << d.Message
		}
	}
	return failed, nil
}

// Received reports whether there is a receipt for a message.
func Received(t *db.Tx, n uint64, line uint32, message uint8) (bool, error) {
	key := keyDelivery(n, line, message)
	value := t.Bucket(bucketDeliveries).Get(key)
	if value == nil {
		return false, nil
	}
	d, err := decodeDelivery(key, value)
	return d.State != campaign.NoReceipt, err
}

// ForgetUndelivered removes the receipt of an undelivered message, which is sent again. It remembers
// the attempt, whose receipt may be repeated.
func ForgetUndelivered(t *db.Tx, n uint64, line uint32, message uint8) error {
	c, err := countsOf(t, n)
	if err != nil {
		return err
	}
	c.Failed--
	c.version++
	if err := c.put(t, n); err != nil {
		return err
	}
	bucket, key := t.Bucket(bucketDeliveries), keyDelivery(n, line, message)
	d, err := decodeDelivery(key, bucket.Get(key))
	if err != nil {
		return err
	}
	if d.attempt != "" {
		d.resent = append(d.resent, d.attempt)
	}
	if len(d.resent) == 0 {
		return bucket.Delete(key)
	}
	return bucket.Put(key, encodeDelivery(&delivery{resent: d.resent}))
}

// Verify recounts the receipts of a sending and returns what is wrong, or "".
func Verify(t *db.Tx, n uint64) (wrong string) {
	kept, err := countsOf(t, n)
	if err != nil {
		return err.Error()
	}
	var counts campaign.DeliveryCounts
	for d, err := range deliveries(t, n, 0) {
		if err != nil {
			return err.Error()
		}
		*counts.Of(d.State)++
	}
	if counts != kept.DeliveryCounts || kept.reported > kept.version {
		return fmt.Sprintf("its deliveries add up to %+v, counted are %+v", counts, kept.DeliveryCounts)
	}
	return ""
}
