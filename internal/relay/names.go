package relay

import (
	"fmt"
	"strconv"
	"time"
)

// Times of the protocol. Each is measured on one machine (docs/cluster.md).
const (
	ClaimTimeout  = time.Second             // a worker waits so long for a Grant, then gives the batch back
	AckWait       = 5 * time.Second         // NATS hands out a batch again after so long without a sign of its worker
	ProgressEvery = 1600 * time.Millisecond // interval of these signs
	WorkAge       = 10 * time.Minute        // batches older than this leave the queue
	DoneAge       = 24 * time.Hour          // answers older than this leave the stream
	RecordTTL     = 10 * time.Second        // a worker that hasn't renewed its record for so long is gone
	RecordEvery   = 3 * time.Second         // interval of the renewals
)

// Limits of a batch.
const (
	MaxBatchMessages = 1024      // of any batch on the wire
	MaxDeliveries    = 3         // of a batch where on_unknown is "retry": then it is suspected of killing workers
	MaxMessageBytes  = 512 << 10 // of one encoded message; NATS takes 1 MiB by default
)

// Names derives the names of streams, subjects and buckets from the cluster's name, the key
// nats.name. Two clusters with different names share a NATS system without seeing each other.
type Names struct{ name string }

// NewNames returns the names of the cluster called name: letters, digits, _ and -.
func NewNames(name string) Names { return Names{name} }

// WorkStream returns the name of the work queue.
func (n Names) WorkStream() string { return "CD_" + n.name + "_WORK" }

// DoneStream returns the name of the stream of answers.
func (n Names) DoneStream() string { return "CD_" + n.name + "_DONE" }

// WorkersBucket returns the name of the bucket of WorkerRecords.
func (n Names) WorkersBucket() string { return "cd_" + n.name + "_workers" }

// Work returns the subject of a channel's batches.
func (n Names) Work(application int64, channel string) string {
	return "cd." + n.name + ".work." + strconv.FormatInt(application, 10) + "." + channel
}

// WorkAll returns the subject of all batches.
func (n Names) WorkAll() string { return "cd." + n.name + ".work.>" }

// WorkConsumer returns the name of the consumer of a channel's batches.
func (n Names) WorkConsumer(application int64, channel string) string {
	return fmt.Sprintf("work_%d_%s", application, channel)
}

// LeadBucket returns the name of the bucket with the leases.
func (n Names) LeadBucket() string { return "cd_" + n.name + "_lead" }

// Beat returns the subject of the signs of life of a lease's holder.
func (n Names) Beat(lease string) string { return "cd." + n.name + ".beat." + lease }

// Claim returns the subject of the claims that the hub of an epoch answers.
func (n Names) Claim(epoch uint64) string { return n.ofEpoch("claim", epoch) }

// Alive returns the subject of the signs of life that the hub of an epoch reads.
func (n Names) Alive(epoch uint64) string { return n.ofEpoch("alive", epoch) }

// Done returns the subject of the answers to batches of an epoch.
func (n Names) Done(epoch uint64) string { return n.ofEpoch("done", epoch) }

// DoneAll returns the subject of all answers.
func (n Names) DoneAll() string { return "cd." + n.name + ".done.>" }

func (n Names) ofEpoch(kind string, epoch uint64) string {
	return "cd." + n.name + "." + kind + "." + strconv.FormatUint(epoch, 10)
}

// LogStream returns the name of the stream with the log of the store.
func (n Names) LogStream() string { return "CD_" + n.name + "_LOG" }

// LogAll returns the subject of all messages of the log.
func (n Names) LogAll() string { return n.log("*") }

func (n Names) log(kind string) string { return "cd." + n.name + ".log." + kind }

// logSubject returns the subject of a kind of log messages.
func (n Names) logSubject(kind byte) string {
	switch kind {
	case logFence:
		return n.log("epoch")
	case logSet:
		return n.log("set")
	case logChunk:
		return n.log("base")
	default:
		return n.log("complete")
	}
}
