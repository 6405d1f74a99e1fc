package store

import (
	"encoding/binary"

	"campaignd/internal/campaign"
)

// The buckets, as drawn in doc.go.
var (
	bucketSendings = []byte("sendings")
	bucketActive   = []byte("active")
	bucketCounts   = []byte("counts")
	bucketChunks   = []byte("chunks")
	bucketStatuses = []byte("marks")
	bucketOutcomes = []byte("outcomes")
	bucketInFlight = []byte("inflight")
	bucketRefusals = []byte("refusals")
	bucketTimeline = []byte("timeline")
	bucketRetries  = []byte("retries")
	bucketWaiting  = []byte("waiting")
	bucketDigests  = []byte("digests")
	bucketAudit    = []byte("audit")
	bucketLeaving  = []byte("leaving")  // made on first use
	bucketHandOuts = []byte("handouts") // made on first use
)

// metaStates is a key of the bucket meta.
var metaStates = []byte("states")

// key12 joins a sending's number and a chunk, or a sequence number within the sending.
func key12(number uint64, chunk uint32) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 12), number)
	return binary.BigEndian.AppendUint32(k, chunk)
}

// key14 names a block of outcome details: number, chunk, sequence.
func key14(number uint64, chunk uint32, seq uint16) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 14), number)
	k = binary.BigEndian.AppendUint32(k, chunk)
	return binary.BigEndian.AppendUint16(k, seq)
}

// keyTimeline orders by the instant (Unix nanoseconds, not negative), then by number.
func keyTimeline(due int64, number uint64) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(due))
	return binary.BigEndian.AppendUint64(k, number)
}

func splitTimeline(k []byte) (due int64, number uint64, ok bool) {
	if len(k) != 16 {
		return 0, 0, false
	}
	return int64(binary.BigEndian.Uint64(k)), binary.BigEndian.Uint64(k[8:]), true
}

// keyRetry orders a sending's waiting messages by time.
func keyRetry(number uint64, due int64, row uint32, message uint8) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 21), number)
	k = binary.BigEndian.AppendUint64(k, uint64(due))
	k = binary.BigEndian.AppendUint32(k, row)
	return append(k, message)
}

// keyWaiting leads to a message's key in retries.
func keyWaiting(number uint64, row uint32, message uint8) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 13), number)
	k = binary.BigEndian.AppendUint32(k, row)
	return append(k, message)
}

// stateCount is the number of codes, the unused 0 included.
const stateCount = 9

// stateCodes numbers the states for storage: never reorder, only append.
func stateCodes() [stateCount]campaign.State {
	return [...]campaign.State{"", campaign.StateChecking, campaign.StateScheduled, campaign.StateSending,
		campaign.StatePaused, campaign.StateHeld, campaign.StateCompleted, campaign.StateCanceled, campaign.StateRejected}
}

func stateCode(s campaign.State) byte {
	for i, one := range stateCodes() {
		if one == s {
			return byte(i)
		}
	}
	return 0
}

func stateOf(code byte) (campaign.State, bool) {
	codes := stateCodes()
	if code == 0 || int(code) >= len(codes) {
		return "", false
	}
	return codes[code], true
}
