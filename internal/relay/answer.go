package relay

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"time"

	"campaignd/internal/codec"
	"campaignd/internal/send"
)

// Answers is one part of a worker's answers to a batch, or says that the batch was given back.
type Answers struct {
	Version     byte // of the wire format: that of the batch; 0 when encoding: MaxVersion
	ID          BatchID
	Application int64
	Channel     string
	Worker      string // WorkerRecord.ID
	Claim       uint64 // Claim.Number; 0 in a Back without a claim
	Part        uint64 // counts the answers after this claim from 0
	Last        bool   // no other part follows: every message of the batch has its answer

	// Back says that the worker has sent nothing of the listed messages and won't send them. It
	// lists all messages of the batch that have no answer, or none where the batch couldn't be
	// read; that means all.
	Back bool

	List []Answer // in no particular order
}

// Answer is the result of one attempt.
type Answer struct {
	Index   int // in the batch
	Key     string
	Attempt int
	Result  send.Result // zero in a Back
}

// MessageID returns the id by which the stream of answers recognizes a repeated publish.
func (a *Answers) MessageID() string {
	return fmt.Sprintf("%s-%d-%d-%s", a.ID, a.Claim, a.Part, a.Worker)
}

// Flags of an answer.
const (
	flagMaybeDelivered = 1 << iota
	flagOptOut
	flagOwnRule
	flagRest
	flagUnwritten // from version 2 on
	flagSaid      // from version 2 on
)

// flags returns the flags that a version knows.
func flags(version byte) byte {
	if version < 2 {
		return flagUnwritten - 1
	}
	return flagSaid<<1 - 1
}

// AppendAnswers appends the encoded answers to dst.
func AppendAnswers(dst []byte, a *Answers) []byte {
	dst = appendHead(dst, a.Version, a.ID)
	dst = binary.AppendVarint(dst, a.Application)
	dst = codec.AppendText(dst, a.Channel)
	dst = codec.AppendText(dst, a.Worker)
	dst = binary.AppendUvarint(dst, a.Claim)
	dst = binary.AppendUvarint(dst, a.Part)
	dst = codec.AppendBool(dst, a.Last)
	dst = codec.AppendBool(dst, a.Back)
	dst = binary.AppendUvarint(dst, uint64(len(a.List)))
	for i := range a.List {
		one := &a.List[i]
		dst = binary.AppendUvarint(dst, uint64(one.Index))
		dst = codec.AppendText(dst, one.Key)
		dst = append(dst, byte(one.Attempt))
		if !a.Back {
			dst = appendResult(dst, &one.Result, cmp.Or(a.Version, MaxVersion))
		}
	}
	return dst
}

// appendResult appends an attempt's result. Send's numbers of verdicts and scopes are on the wire.
func appendResult(dst []byte, r *send.Result, version byte) []byte {
	var set byte
	for _, f := range []struct {
		set bool
		bit byte
	}{{r.MaybeDelivered, flagMaybeDelivered}, {r.OptOut, flagOptOut}, {r.OwnRule, flagOwnRule}, {r.Unwritten, flagUnwritten}, {r.Said != "", flagSaid}} {
		if f.set {
			set |= f.bit
		}
	}
	set &= flags(version)
	rest := r.Code != "" || r.Detail != "" || r.RetryAfter != 0 || r.Hold != 0
	if rest {
		set |= flagRest
	}
	dst = append(dst, byte(r.Verdict), set)
	dst = codec.AppendText(dst, r.ProviderID)
	if rest {
		dst = codec.AppendText(dst, r.Code)
		dst = codec.AppendText(dst, r.Detail)
		dst = binary.AppendVarint(dst, int64(r.RetryAfter))
		dst = append(dst, byte(r.Hold))
	}
	if set&flagSaid != 0 {
		dst = codec.AppendText(dst, r.Said)
	}
	return dst
}

// DecodeAnswers decodes answers.
func DecodeAnswers(data []byte, versions Versions) (a Answers, err error) {
	d := decoder{Reader: codec.Reader{B: data}, read: versions}
	a.Version, a.ID = d.head()
	a.Application, a.Channel, a.Worker, a.Claim, a.Part = d.Varint(), d.Text(), d.Text(), d.Uvarint(), d.Uvarint()
	a.Last, a.Back = d.Bool(), d.Bool()
	n := d.Count(MaxBatchMessages)
	if n > len(d.B) { // an answer has more than one byte
		d.Fail()
		n = 0
	}
	a.List = make([]Answer, n)
	for i := range a.List {
		one := &a.List[i]
		one.Index, one.Key, one.Attempt = d.Count(MaxBatchMessages-1), d.Text(), int(d.Byte())
		if !a.Back {
			d.result(&one.Result, a.Version)
		}
		if d.Err != nil {
			break
		}
	}
	return a, d.Done("answers")
}

// laterVerdict explains the result of a verdict that this program doesn't know.
const laterVerdict = "the worker is of a later version, and this hub doesn't know its answer: upgrade the hub"

// result reads a result. Of a verdict of a later version it makes one that is unknown: the message may have been
// sent, and the other answers beside it count.
func (d *decoder) result(r *send.Result, version byte) {
	r.Verdict = send.Verdict(d.Byte())
	set := d.Byte()
	if r.Verdict == 0 || set&^flags(version) != 0 {
		d.Fail()
	}
	r.MaybeDelivered, r.OptOut, r.OwnRule, r.Unwritten = set&flagMaybeDelivered != 0, set&flagOptOut != 0, set&flagOwnRule != 0, set&flagUnwritten != 0
	r.ProviderID = d.Text()
	if set&flagRest != 0 {
		r.Code, r.Detail, r.RetryAfter, r.Hold = d.Text(), d.Text(), time.Duration(d.Varint()), send.Scope(d.Byte())
	}
	if set&flagSaid != 0 {
		r.Said = d.Text()
	}
	switch {
	case !r.Verdict.Valid():
		*r = send.Result{Verdict: send.VerdictUnknown, Detail: laterVerdict, MaybeDelivered: true}
	case r.Hold > send.HoldChannel:
		d.Fail()
	}
}
