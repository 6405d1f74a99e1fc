package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
)

// Where bbolt keeps what undo looks at: two pages hold its meta in turn, each
// with a header of 16 bytes, then magic, version, page size, flags, root and
// freelist, and the transaction's number.
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

// undo makes a transaction whose commit failed one that never was: its meta page
// may have been written and only the sync after it have failed, and then its
// change would be seen from now on though its caller was told otherwise. An
// attempt seen so would wait for a result that nobody will bring. The page's
// checksum is spoiled, so that the other one counts, which is that of the
// transaction before: bbolt never writes over what that one needs. A page that
// reached the disk and survives a power cut unspoiled is as if the cut had come a moment later.
//
// It does nothing to a file that doesn't hold that transaction, or nothing else; one
// that holds no transaction at all is ErrDamaged.
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

// isMeta reports whether the beginning of a page is that of a whole meta page of such a file.
func isMeta(page []byte, pageSize int) bool {
	sum := fnv.New64a()
	_, _ = sum.Write(page[atMagic:atChecksum]) // a hash never fails
	return binary.NativeEndian.Uint16(page[atFlags:]) == metaFlag &&
		binary.NativeEndian.Uint32(page[atMagic:]) == metaMagic &&
		binary.NativeEndian.Uint32(page[atPageSize:]) == uint32(pageSize) &&
		binary.NativeEndian.Uint64(page[atChecksum:]) == sum.Sum64()
}
