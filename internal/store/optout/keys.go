package optout

import (
	"bytes"
	"encoding/binary"

	"campaignd/internal/store/db"
)

// The buckets, as drawn in the doc comment of package store.
var (
	bucketOptOuts      = []byte("optouts")
	bucketOrigins      = []byte("origins")
	bucketForgotten    = []byte("forgotten")
	bucketUserIDs      = []byte("userids")      // made on first use
	bucketUserIDsOf    = []byte("useridsof")    // made on first use
	bucketSuppressions = []byte("suppressions") // until version 3
)

// The keys of the bucket meta.
var (
	metaRules     = []byte("optoutrules")
	metaForgetKey = []byte("forgetkey")
)

// group are the opt-outs of an application's channel ("": of all its channels).
type group struct {
	application int64
	channel     string
}

// groupPrefix begins the keys of an application's opt-outs of a channel. A channel's name has no zero byte.
func groupPrefix(dst []byte, application int64, channelType string) []byte {
	return append(append(binary.BigEndian.AppendUint64(dst, db.Signed(application)), channelType...), 0)
}

// splitKey takes a block's key apart.
func splitKey(key []byte) (application int64, channelType string, prefix []byte, ok bool) {
	if len(key) < 9 {
		return 0, "", nil, false
	}
	end := bytes.IndexByte(key[8:], 0)
	if end < 0 {
		return 0, "", nil, false
	}
	return db.Unsigned(binary.BigEndian.Uint64(key)), string(key[8 : 8+end]), key[:8+end+1], true
}

// groupsOf returns the groups that have blocks.
func groupsOf(t *db.Tx) map[group]bool {
	groups := map[group]bool{}
	c := t.Bucket(bucketOptOuts).Cursor()
	for k, _ := c.First(); k != nil; {
		application, channel, prefix, ok := splitKey(k)
		if !ok {
			break // Verify reports it
		}
		groups[group{application, channel}] = true
		after := bytes.Clone(prefix)
		after[len(after)-1] = 1
		k, _ = c.Seek(after)
	}
	return groups
}

// PlaceKey returns a function that appends a place and the normal form of a contact there: the same
// bytes for every spelling. It keeps the rules that are in use now.
func (o *Table) PlaceKey() func(dst []byte, place Place, contact []byte) []byte {
	rules := o.rules.Load()
	return func(dst []byte, place Place, contact []byte) []byte {
		return rules.key(groupPrefix(dst, place.Application, place.ChannelType), place.Application, place.ChannelType, contact)
	}
}
