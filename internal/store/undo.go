package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
)

// bbolt keeps its meta on two pages in turn. Each has a header of 16 bytes, then magic,
// version, page size, flags, root and freelist, and the transaction's number.
const (
	metaBytes  = 80
	metaFlag   = 0x04
	metaMagic  = 0xED0CDAED
	atFlags    = 8
	atMagic    = 16
	atPageSize = 24
	atTxID     = 64
	atChecksum = 72
)

// undo reverts a transaction whose commit failed. Its meta page may have been written and
// only the sync after it have failed. Its change would then become visible although its
// caller got an error, and an attempt would wait for a result that never comes. undo
// invalidates the page's checksum, so that the other meta page counts, which belongs to
// the transaction before: bbolt never overwrites the pages that one needs. If the valid
// page survives on disk after a power cut, the cut might as well have come a moment later.
//
// undo does nothing if the file doesn't hold that transaction, or holds no other. A file
// without any transaction is ErrDamaged.
func undo(path string, txid uint64, pageSize int) error {
	if pageSize <= 0 {
		pageSize = os.Getpagesize()
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("take back a failed commit: %w", err)
	}
	var numbers, sums [2]uint64
	for i := range numbers {
		page := make([]byte, metaBytes)
		if _, err := f.ReadAt(page, int64(i)*int64(pageSize)); err == nil && isMeta(page, pageSize) {
			numbers[i], sums[i] = binary.NativeEndian.Uint64(page[atTxID:]), binary.NativeEndian.Uint64(page[atChecksum:])
		}
	}
	if numbers == [2]uint64{} {
		return errors.Join(fmt.Errorf("take back a failed commit: %w: it is not the file it was; %s", ErrDamaged, damagedAdvice), f.Close())
	}
	for i, number := range numbers {
		if number == txid && numbers[1-i] != 0 && numbers[1-i] < txid {
			_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, ^sums[i]), int64(i)*int64(pageSize)+atChecksum)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("take back a failed commit: %w", err)
	}
	return nil
}

// isMeta reports whether page begins like a valid meta page of such a file.
func isMeta(page []byte, pageSize int) bool {
	sum := fnv.New64a()
	_, _ = sum.Write(page[atMagic:atChecksum]) // a hash never fails
	return binary.NativeEndian.Uint16(page[atFlags:]) == metaFlag &&
		binary.NativeEndian.Uint32(page[atMagic:]) == metaMagic &&
		binary.NativeEndian.Uint32(page[atPageSize:]) == uint32(pageSize) &&
		binary.NativeEndian.Uint64(page[atChecksum:]) == sum.Sum64()
}
