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

// ForgetUndelivered removes the receipt of an undelivered message, which is sent again.
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
	return t.Bucket(bucketDeliveries).Delete(keyDelivery(n, line, message))
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
