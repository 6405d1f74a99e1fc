package relay

import (
	"encoding/binary"
	"fmt"
	"time"

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
)

// AppendAnswers appends the encoded answers to dst.
func AppendAnswers(dst []byte, a *Answers) []byte {
	dst = appendHead(dst, a.Version, a.ID)
	dst = binary.AppendVarint(dst, a.Application)
	dst = appendText(dst, a.Channel)
	dst = appendText(dst, a.Worker)
	dst = binary.AppendUvarint(dst, a.Claim)
	dst = binary.AppendUvarint(dst, a.Part)
	dst = appendBool(dst, a.Last)
	dst = appendBool(dst, a.Back)
	dst = binary.AppendUvarint(dst, uint64(len(a.List)))
	for i := range a.List {
		one := &a.List[i]
		dst = binary.AppendUvarint(dst, uint64(one.Index))
		dst = appendText(dst, one.Key)
		dst = append(dst, byte(one.Attempt))
		if !a.Back {
			dst = appendResult(dst, &one.Result)
		}
	}
	return dst
}

// appendResult appends an attempt's result. Send's numbers of verdicts and scopes are on the wire.
func appendResult(dst []byte, r *send.Result) []byte {
	var flags byte
	for _, f := range []struct {
		set bool
		bit byte
	}{{r.MaybeDelivered, flagMaybeDelivered}, {r.OptOut, flagOptOut}, {r.OwnRule, flagOwnRule}} {
		if f.set {
			flags |= f.bit
		}
	}
	rest := r.Code != "" || r.Detail != "" || r.RetryAfter != 0 || r.Hold != 0
	if rest {
		flags |= flagRest
	}
	dst = append(dst, byte(r.Verdict), flags)
	dst = appendText(dst, r.ProviderID)
	if rest {
		dst = appendText(dst, r.Code)
		dst = appendText(dst, r.Detail)
		dst = binary.AppendVarint(dst, int64(r.RetryAfter))
		dst = append(dst, byte(r.Hold))
	}
	return dst
}

// DecodeAnswers decodes answers.
func DecodeAnswers(data []byte, versions Versions) (a Answers, err error) {
	d := decoder{b: data, read: versions}
	a.Version, a.ID = d.head()
	a.Application, a.Channel, a.Worker, a.Claim, a.Part = d.varint(), d.text(), d.text(), d.uvarint(), d.uvarint()
	a.Last, a.Back = d.bool(), d.bool()
	n := d.count(MaxBatchMessages)
	if n > len(d.b) { // an answer has more than one byte
		d.fail()
		n = 0
	}
	a.List = make([]Answer, n)
	for i := range a.List {
		one := &a.List[i]
		one.Index, one.Key, one.Attempt = d.count(MaxBatchMessages-1), d.text(), int(d.byte())
		if !a.Back {
			d.result(&one.Result)
		}
		if d.err != nil {
			break
		}
	}
	return a, d.done("answers")
}

// laterVerdict explains the result of a verdict that this program doesn't know.
const laterVerdict = "the worker is of a later version, and this hub doesn't know its answer: upgrade the hub"

// result reads a result. Of a verdict of a later version it makes one that is unknown: the message may have been
// sent, and the other answers beside it count.
func (d *decoder) result(r *send.Result) {
	r.Verdict = send.Verdict(d.byte())
	flags := d.byte()
	if r.Verdict == 0 || flags >= flagRest<<1 {
		d.fail()
	}
	r.MaybeDelivered, r.OptOut, r.OwnRule = flags&flagMaybeDelivered != 0, flags&flagOptOut != 0, flags&flagOwnRule != 0
	r.ProviderID = d.text()
	if flags&flagRest != 0 {
		r.Code, r.Detail, r.RetryAfter, r.Hold = d.text(), d.text(), time.Duration(d.varint()), send.Scope(d.byte())
	}
	switch {
	case !r.Verdict.Valid():
		*r = send.Result{Verdict: send.VerdictUnknown, Detail: laterVerdict, MaybeDelivered: true}
	case r.Hold > send.HoldChannel:
		d.fail()
	}
}
