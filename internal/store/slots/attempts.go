package slots

import (
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/store/db"
)

// AttemptsSince implements send.Store: it returns the attempts recorded as seen in the slot that
// begins at since. Messages that Recover found in flight count for the slot in which it found them.
func (s Slots) AttemptsSince(application int64, since time.Time) (count uint64, err error) {
	err = s.db.View(func(t *db.Tx) error {
		if start, n := decodeAttempts(t.Bucket(bucketAttempts).Get(db.Key8(db.Signed(application)))); start == since.UnixNano() {
			count = n
		}
		return nil
	})
	return count, err
}

// CountAttempts counts n attempts for the application's slot that holds at. Only the last slot has a count.
func CountAttempts(t *db.Tx, application int64, at time.Time, n uint64) error {
	slot := int64(Grid(t, application))
	if n == 0 || slot == 0 {
		return nil
	}
	b, key := t.Bucket(bucketAttempts), db.Key8(db.Signed(application))
	start, count := decodeAttempts(b.Get(key))
	begin := floorDiv(at.UnixNano(), slot) * slot
	if begin != start {
		count = 0
	}
	return b.Put(key, encodeAttempts(begin, count+n))
}

func encodeAttempts(start int64, count uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(start)), count)
}

// decodeAttempts returns 0 attempts in a slot long past if there is no value.
func decodeAttempts(value []byte) (start int64, count uint64) {
	if len(value) != 16 {
		return 0, 0
	}
	return int64(binary.BigEndian.Uint64(value)), binary.BigEndian.Uint64(value[8:])
}

// AddAttempts migrates version 5 to 6. Version 5 didn't count attempts, so what is reserved in the
// current slot counts as attempted in it.
func AddAttempts(t *bbolt.Tx) error {
	b, err := t.CreateBucketIfNotExists(bucketAttempts)
	if err != nil {
		return err
	}
	return t.Bucket(bucketGrids).ForEach(func(key, value []byte) error {
		slot := int64(binary.BigEndian.Uint64(value))
		number := floorDiv(now().UnixNano(), slot)
		n := floorDiv(number, pageSlots)
		p, err := decodePage(t.Bucket(bucketSlots).Get(keySlots(db.Unsigned(binary.BigEndian.Uint64(key)), n)))
		if err != nil {
			return err
		}
		return b.Put(key, encodeAttempts(number*slot, uint64(p[number-n*pageSlots])))
	})
}
