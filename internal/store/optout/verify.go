package optout

import (
	"bytes"

	"campaignd/internal/store/db"
)

// Verify checks that every opt-out is in the block in which it is looked for, and recounts them.
// It calls report with each problem, and ends with the error that report returns.
func Verify(t *db.Tx, report func(format string, args ...any) error) error {
	count := uint64(0)
	var last []byte
	if err := t.Bucket(bucketOptOuts).ForEach(func(k, value []byte) error {
		_, _, prefix, ok := splitKey(k)
		entries, err := decodeBlock(value)
		if !ok || err != nil {
			return report("opt-outs: %v", err)
		}
		for _, e := range entries {
			at := append(bytes.Clone(prefix), e.key...)
			if bytes.Compare(at, k) < 0 || bytes.Compare(at, last) <= 0 && last != nil {
				return report("an opt-out is in a block in which it isn't found")
			}
			last = at
		}
		count += uint64(len(entries))
		return nil
	}); err != nil {
		return err
	}
	if kept := t.Bucket(bucketOptOuts).Sequence(); kept != count {
		return report("%d opt-outs are stored, %d counted", count, kept)
	}
	return nil
}
