package store

import (
	"bytes"
	"fmt"
)

// Record returns a driver's record, nil if there is none. Names begin with the driver's name and a slash.
func (s *Store) Record(name string) (value []byte, err error) {
	err = s.view(func(t *tx) error {
		if b := t.Existing(bucketRecords); b != nil {
			value = bytes.Clone(b.Get([]byte(name)))
		}
		return nil
	})
	return value, err
}

// PutRecord stores a driver's record durably; nil removes it.
func (s *Store) PutRecord(name string, value []byte) error {
	err := s.update(func(t *tx) error {
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
