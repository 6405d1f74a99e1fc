// Package inbound keeps what comes back about messages: receipts (docs/contract.md 9) and replies.
// Package store draws the buckets and promotes the methods of Receipts and Replies. Its own package
// because the rest of the store needs only the counts of a sending's receipts, and it needs of the
// sendings only what Sendings names.
//
// Receipts arrive late, repeatedly and in any order, even before the result of the message is
// committed. They are stored by line and message, apart from the statuses, and the counters don't
// include them: a sent message stays sent. Only an unknown message becomes sent, since a receipt
// proves that the provider accepted it. A receipt without our key waits (unmatched.go) until the
// provider's id of its message is found.
//
// A reply waits until the sending that it answers is found (replies.go). Both raise the version of
// the sending's receipts, so that its files in done/ are written again.
package inbound

import (
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/optout"
)

// The buckets, as drawn in the doc comment of package store.
var (
	bucketDeliveries    = []byte("deliveries")
	bucketReceiptCounts = []byte("told")
	bucketUnmatched     = []byte("strays")
	bucketReplies       = []byte("replies")
	bucketNewReplies    = []byte("newreplies")
)

// metaUnmatchedReplies is a key of the bucket meta.
var metaUnmatchedReplies = []byte("unmatchedreplies")

// BucketsOfSending lists the buckets whose keys begin with a sending's number.
func BucketsOfSending() [][]byte {
	return [][]byte{bucketDeliveries, bucketReceiptCounts, bucketReplies}
}

// CreateReceipts creates the buckets of receipts; they came with version 2 of the store.
func CreateReceipts(t *bbolt.Tx) error {
	return db.Create(t, bucketDeliveries, bucketReceiptCounts, bucketUnmatched)
}

// CreateReplies creates the buckets of replies; they came with version 5 of the store.
func CreateReplies(t *bbolt.Tx) error { return db.Create(t, bucketReplies, bucketNewReplies) }

// Sendings gives access to the sendings.
type Sendings struct {
	Header    func(t *db.Tx, number uint64) (*campaign.Sending, error) // nil if there is none with that number
	Newest    func() ([]*campaign.Sending, error)                      // all, the newest first
	EachChunk func(id campaign.ID, fn func(rows *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error) error
	Resolve   func(t *db.Tx, number uint64) error // records the unknown messages that have a receipt as sent
}

// Receipts are the receipts in a store's file. The methods are safe for concurrent use.
type Receipts struct {
	db       *db.DB
	sendings Sendings
	writes   db.SharedWrite[*receiptBatch]
}

// Replies are the replies in a store's file. The methods are safe for concurrent use.
type Replies struct {
	db       *db.DB
	sendings Sendings
	optOuts  *optout.Table // for the other names of a contact
}

// Open returns the receipts and replies in a file.
func Open(file *db.DB, sendings Sendings, optOuts *optout.Table) (*Receipts, Replies) {
	return &Receipts{db: file, sendings: sendings}, Replies{file, sendings, optOuts}
}

func now() time.Time { return time.Now().UTC() }
