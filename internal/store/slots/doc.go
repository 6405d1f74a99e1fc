// Package slots keeps the slices of the sendings and the capacity that they have reserved in the slots
// of their application (docs/contract.md 8), and counts the attempts of the current slot. Package
// store draws the buckets and promotes the methods of Slots. Its own package because slices and
// reservations change together, and of a sending they need only what Owner returns.
//
// A Table counts the messages reserved in an application's slots, in pages of 256. It works in the
// caller's transaction, so that acceptance, slices and reservations are stored together or not at all.
// When the slot length changes, the counts are computed again from the slices.
package slots

import (
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// The buckets, as drawn in the doc comment of package store.
var (
	bucketSlices   = []byte("slices")
	bucketSlots    = []byte("slots")
	bucketGrids    = []byte("grids")
	bucketAttempts = []byte("attempts")
)

// BucketsOfSending lists the buckets whose keys begin with a sending's number.
func BucketsOfSending() [][]byte { return [][]byte{bucketSlices} }

// Owner returns the application and state of a sending by its number; the state is "" if there is none.
type Owner func(t *db.Tx, n uint64) (application int64, state campaign.State)

// Slots reads the slots in a store's file. The methods are safe for concurrent use.
type Slots struct {
	db     *db.DB
	owner  Owner
	header func(t *db.Tx, n uint64) (*campaign.Sending, error)
}

// Open returns the slots in a file. header returns the header of a sending by its number.
func Open(file *db.DB, owner Owner, header func(*db.Tx, uint64) (*campaign.Sending, error)) Slots {
	return Slots{file, owner, header}
}

// Create creates the buckets of slices and reservations.
func Create(t *bbolt.Tx) error { return db.Create(t, bucketSlices, bucketSlots, bucketGrids) }

func now() time.Time { return time.Now().UTC() }
