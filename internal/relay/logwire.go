package relay

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"campaignd/internal/codec"
	"campaignd/internal/store"
)

// logVersion is the version of the log's messages: their first byte.
const logVersion = 1

// logMagic follows the version, so that another program's message isn't taken for a later version.
const logMagic = "cdlog"

// ErrLogVersion is returned when the log was written by a later version of campaignd.
var ErrLogVersion = fmt.Errorf("the log was written by a later version of campaignd: install that version here, too")

// Kinds of log messages, each on a subject of its own.
const (
	logFence    byte = 1 + iota // a hub begins to lead: no body
	logSet                      // part of a write set
	logChunk                    // part of a chunk of a base: the number of the base, then the chunk
	logComplete                 // the base is complete: a completeBase as JSON
)

// logMessage is one message of the log. Every message continues the sequence of the one before it.
type logMessage struct {
	kind   byte
	writer writerID       // who appended it
	index  uint64         // of its writer's messages, from 1
	epoch  uint64         // of its writer
	at     store.Position // after the set; of the base; of the store that fences
	part   uint64         // of the set or chunk, from 0
	more   bool           // further parts follow
	body   []byte
}

// writerID names one Log, so that it recognizes its own messages.
type writerID [8]byte

// completeBase ends a base.
type completeBase struct {
	Number uint64 `json:"number"` // as in its chunks: the index of the first
	From   uint64 `json:"from"`   // sequence after which its chunks and the sets that continue it are
	Size   int64  `json:"size"`   // bytes of the store's file
}

func (m *logMessage) encode() []byte {
	b := append([]byte{logVersion}, logMagic...)
	b = append(b, m.kind)
	b = append(b, m.writer[:]...)
	b = binary.AppendUvarint(b, m.index)
	b = binary.AppendUvarint(b, m.epoch)
	b = codec.AppendText(b, m.at.Tag)
	b = binary.AppendUvarint(b, m.at.Epoch)
	b = binary.AppendUvarint(b, m.at.Commit)
	b = binary.AppendUvarint(b, m.part)
	b = codec.AppendBool(b, m.more)
	return append(b, m.body...)
}

// decodeLog decodes a message of the log. Its body shares data.
func decodeLog(data []byte) (m logMessage, err error) {
	switch {
	case len(data) < 1+len(logMagic) || !bytes.Equal(data[1:1+len(logMagic)], []byte(logMagic)):
		return m, fmt.Errorf("decode log: %w", codec.ErrMalformed)
	case data[0] != logVersion:
		return m, ErrLogVersion
	}
	d := decoder{Reader: codec.Reader{B: data[1+len(logMagic):]}}
	m.kind = d.Byte()
	copy(m.writer[:], d.Bytes(uint64(len(m.writer))))
	m.index, m.epoch = d.Uvarint(), d.Uvarint()
	m.at = store.Position{Tag: d.Text(), Epoch: d.Uvarint(), Commit: d.Uvarint()}
	m.part, m.more = d.Uvarint(), d.Bool()
	if m.kind < logFence || m.kind > logComplete {
		d.Fail()
	}
	if d.Err != nil {
		return m, fmt.Errorf("decode log: %w", d.Err)
	}
	m.body = d.B
	return m, nil
}

// base decodes the body of a logComplete.
func (m *logMessage) base() (c completeBase, err error) {
	if err := json.Unmarshal(m.body, &c); err != nil || c.Size <= 0 {
		return c, fmt.Errorf("decode base: %w", codec.ErrMalformed)
	}
	return c, nil
}

// logParts divides a body into the bodies of messages of at most limit bytes.
func logParts(body []byte, limit int) [][]byte {
	if len(body) <= limit {
		return [][]byte{body}
	}
	return slices.Collect(slices.Chunk(body, limit))
}

// logAssembler joins the parts of write sets, or of chunks. What a deposed hub left incomplete is dropped.
type logAssembler struct {
	writer writerID
	next   uint64 // index that the next part must have
	body   []byte // of the parts so far
}

// add returns the whole body once its last part is there. It is valid until the next add.
func (a *logAssembler) add(m *logMessage) (body []byte, whole bool) {
	if m.part == 0 {
		if !m.more {
			return m.body, true
		}
		a.writer, a.body = m.writer, a.body[:0]
	} else if m.writer != a.writer || m.index != a.next {
		a.next = 0
		return nil, false // its beginning is missing
	}
	a.body, a.next = append(a.body, m.body...), m.index+1
	if m.more {
		return nil, false
	}
	a.next = 0
	return a.body, true
}
