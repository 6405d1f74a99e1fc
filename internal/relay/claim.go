package relay

import (
	"encoding/binary"

	"campaignd/internal/codec"
)

// Claim asks the hub whether a batch may be sent. The request goes to Names.Claim of the batch's
// epoch.
type Claim struct {
	Version byte // of the wire format: that of the batch; 0 when encoding: MaxVersion
	ID      BatchID
	Worker  string // WorkerRecord.ID
	Number  uint64 // counts the worker's claims from 1
}

// Decision is the hub's decision about a claim.
type Decision byte

// The decisions. Their numbers are on the wire: never renumber.
const (
	Granted   Decision = 1 // send all messages but Grant.Refused
	Withdrawn Decision = 2 // nothing of the batch is to be sent: acknowledge it and forget it
	TryLater  Decision = 3 // the hub can't decide now: give the batch back
)

// Grant is the hub's reply to a Claim.
type Grant struct {
	Version  byte // of the wire format: that of the claim; 0 when encoding: MaxVersion
	ID       BatchID
	Decision Decision
	Refused  []int // with Granted: ascending indexes of messages that must not be sent and get no answer
}

// AppendClaim appends the encoded claim to dst.
func AppendClaim(dst []byte, c *Claim) []byte {
	dst = appendHead(dst, c.Version, c.ID)
	dst = codec.AppendText(dst, c.Worker)
	return binary.AppendUvarint(dst, c.Number)
}

// DecodeClaim decodes a claim.
func DecodeClaim(data []byte, versions Versions) (c Claim, err error) {
	d := decoder{Reader: codec.Reader{B: data}, read: versions}
	c.Version, c.ID = d.head()
	c.Worker, c.Number = d.Text(), d.Uvarint()
	return c, d.Done("claim")
}

// AppendGrant appends the encoded grant to dst.
func AppendGrant(dst []byte, g *Grant) []byte {
	dst = appendHead(dst, g.Version, g.ID)
	dst = append(dst, byte(g.Decision))
	dst = binary.AppendUvarint(dst, uint64(len(g.Refused)))
	for _, i := range g.Refused {
		dst = binary.AppendUvarint(dst, uint64(i))
	}
	return dst
}

// DecodeGrant decodes a grant. Its Refused are ascending and below MaxBatchMessages.
func DecodeGrant(data []byte, versions Versions) (g Grant, err error) {
	d := decoder{Reader: codec.Reader{B: data}, read: versions}
	g.Version, g.ID = d.head()
	g.Decision = Decision(d.Byte())
	if g.Decision < Granted || g.Decision > TryLater {
		d.Fail()
	}
	last := -1
	for range d.Count(MaxBatchMessages) {
		i := d.Count(MaxBatchMessages - 1)
		if i <= last {
			d.Fail()
		}
		if d.Err != nil {
			break
		}
		g.Refused, last = append(g.Refused, i), i
	}
	return g, d.Done("grant")
}

// Alive is a worker's sign of life for batches of one epoch that it has claimed and not finished.
// It goes to Names.Alive, and nothing is lost with it.
type Alive struct {
	Version byte // of the wire format: that of one of the batches; 0 when encoding: MaxVersion
	Epoch   uint64
	Worker  string
	Numbers []uint64 // of the batches
}

// AppendAlive appends the encoded sign to dst.
func AppendAlive(dst []byte, a *Alive) []byte {
	dst = appendHead(dst, a.Version, BatchID{a.Epoch, 0})
	dst = codec.AppendText(dst, a.Worker)
	dst = binary.AppendUvarint(dst, uint64(len(a.Numbers)))
	for _, n := range a.Numbers {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

// DecodeAlive decodes a sign of life.
func DecodeAlive(data []byte, versions Versions) (a Alive, err error) {
	d := decoder{Reader: codec.Reader{B: data}, read: versions}
	var id BatchID
	a.Version, id = d.head()
	a.Epoch, a.Worker = id.Epoch, d.Text()
	for range d.Count(len(d.B)) {
		a.Numbers = append(a.Numbers, d.Uvarint())
	}
	return a, d.Done("sign of life")
}
