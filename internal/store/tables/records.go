package tables

import (
	"bytes"
	"fmt"

	"campaignd/internal/store/db"
)

// Record returns a driver's record, nil if there is none. Names begin with the driver's name and a slash.
func (s Tables) Record(name string) (value []byte, err error) {
	err = s.db.View(func(t *db.Tx) error {
		value = bytes.Clone(t.Value(bucketRecords, []byte(name)))
		return nil
	})
	return value, err
}

// PutRecord stores a driver's record durably; nil removes it.
func (s Tables) PutRecord(name string, value []byte) error {
	err := s.db.Update(func(t *db.Tx) error {
		records, err := t.Made(bucketRecords)
		if err != nil {
			return err
		}
		if value == nil {
			return records.Delete([]byte(name))
		}
		return records.Put([]byte(name), value)
	})
	if err != nil {
		return fmt.Errorf("store a driver's record: %w", err)
	}
	return nil
}
