package db

import "encoding/binary"

// Numbers in keys are big endian, so that keys sort in order.

// Key8 returns n as a key, or as the beginning of one.
func Key8(n uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), n) }

// Signed returns n with the sign bit inverted, so that negative numbers sort first in keys; Unsigned
// is its inverse.
func Signed(n int64) uint64 { return uint64(n) ^ 1<<63 }

func Unsigned(n uint64) int64 { return int64(n ^ 1<<63) }
