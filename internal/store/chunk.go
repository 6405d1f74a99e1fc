package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/s2"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
)

// A chunk's value has one byte of format, the number of rows (uvarint), and an s2 block
// of the columns: lines (the first, then differences), channels, contacts, numbers (not in format 1), the number of
// value columns, and each of them. A column of strings is its form, the lengths and the
// bytes. In the form nibbles two characters share a byte: s2 finds repeats but has no
// entropy coding, and half of a CSV is digits.
const (
	chunkFormat = 2
	oldestChunk = 1 // has no numbers
	// maxChunk is the most bytes of an unpacked chunk: half of bbolt's largest value.
	maxChunk = 1 << 30

	formPlain   = 0
	formNibbles = 1
	formNone    = 2 // of numbers: there are none
	formSame    = 3 // of numbers: they are the contacts
)

// nibbles are the characters of the form nibbles: digits and the punctuation of
// telephone numbers, dates, prices and times.
const nibbles = "0123456789+-. :/"

// nibbleTable maps each byte to its index in nibbles, 255 if it has none.
type nibbleTable [256]byte

func newNibbleTable() *nibbleTable {
	var t nibbleTable
	for i := range t {
		t[i] = 255
	}
	for i := range len(nibbles) {
		t[nibbles[i]] = byte(i)
	}
	return &t
}

// Packer encodes and compresses rows. It reuses its buffers; the zero value is ready.
// It serves one goroutine and needs no transaction.
type Packer struct {
	table     *nibbleTable
	raw, data []byte
}

// Pack encodes one chunk and keeps no reference to rows.
func (k *Packer) Pack(rows *campaign.Rows) Packed {
	p := Packed{first: rows.First, rows: rows.Len()}
	size := len(rows.Contacts.Data) + len(rows.Normal.Data) + 20*rows.Len()
	for i := range rows.Values {
		size += len(rows.Values[i].Data) + 4*rows.Len()
	}
	if size > maxChunk || rows.Len() > campaign.ChunkRows {
		p.err = fmt.Errorf("pack %d rows of %d bytes: a chunk has at most %d rows and %d bytes", rows.Len(), size, campaign.ChunkRows, maxChunk)
		return p
	}
	if k.table == nil {
		k.table = newNibbleTable()
	}
	raw := slices.Grow(k.raw[:0], size)
	last := uint32(0)
	for _, line := range rows.Lines {
		raw = binary.AppendVarint(raw, int64(line)-int64(last))
		last = line
	}
	raw = append(raw, rows.Channels...)
	raw = appendColumn(raw, &rows.Contacts, k.table)
	switch {
	case rows.Normal.Len() == 0:
		raw = append(raw, formNone)
	case bytes.Equal(rows.Normal.Data, rows.Contacts.Data) && slices.Equal(rows.Normal.Ends, rows.Contacts.Ends):
		raw = append(raw, formSame)
	default:
		raw = appendColumn(raw, &rows.Normal, k.table)
	}
	raw = binary.AppendUvarint(raw, uint64(len(rows.Values)))
	for i := range rows.Values {
		raw = appendColumn(raw, &rows.Values[i], k.table)
	}
	head := binary.AppendUvarint(append(k.data[:0], chunkFormat), uint64(rows.Len()))
	data := slices.Grow(head, s2.MaxEncodedLen(len(raw)))
	packed := s2.Encode(data[len(head):cap(data)], raw)
	k.raw, k.data = raw, data
	// A copy of the exact size: the packed chunks of a large drop wait in memory.
	p.data = append(make([]byte, 0, len(head)+len(packed)), data[:len(head)+len(packed)]...)
	return p
}

func appendColumn(dst []byte, c *campaign.Column, table *nibbleTable) []byte {
	form := byte(formNibbles)
	for _, b := range c.Data {
		if table[b] == 255 {
			form = formPlain
			break
		}
	}
	dst = append(dst, form)
	start := uint32(0)
	for _, end := range c.Ends {
		dst = binary.AppendUvarint(dst, uint64(end-start))
		start = end
	}
	if form == formPlain {
		return append(dst, c.Data...)
	}
	i := 0
	for ; i+1 < len(c.Data); i += 2 {
		dst = append(dst, table[c.Data[i]]<<4|table[c.Data[i+1]])
	}
	if i < len(c.Data) {
		dst = append(dst, table[c.Data[i]]<<4)
	}
	return dst
}

// chunkRows returns the number of rows of a stored chunk without unpacking it.
func chunkRows(data []byte) (int, error) {
	r := codec.Reader{B: data}
	if format := r.Byte(); format < oldestChunk || format > chunkFormat {
		r.Fail()
	}
	n := r.Uvarint()
	if r.Err != nil || n == 0 || n > campaign.ChunkRows {
		return 0, fmt.Errorf("decode chunk: %w", codec.ErrMalformed)
	}
	return int(n), nil
}

// unpacker decodes chunks and reuses its buffer.
type unpacker struct{ raw []byte }

// chunk fills rows from a stored chunk and keeps no reference to data.
func (u *unpacker) chunk(data []byte, first uint32, rows *campaign.Rows) error {
	n, err := chunkRows(data)
	if err != nil {
		return err
	}
	head := codec.Reader{B: data[1:]}
	head.Uvarint()
	if size, err := s2.DecodedLen(head.B); err != nil || size > maxChunk {
		return fmt.Errorf("decode chunk: %w", codec.ErrMalformed)
	}
	raw, err := s2.Decode(u.raw[:cap(u.raw)], head.B)
	if err != nil {
		return fmt.Errorf("decode chunk: %w", err)
	}
	u.raw = raw
	r := &codec.Reader{B: raw}
	rows.Reset(first, 0)
	line := int64(0)
	for range n {
		line += r.Varint()
		if line < 0 || line > math.MaxUint32 {
			r.Fail()
			line = 0
		}
		rows.Lines = append(rows.Lines, uint32(line))
	}
	rows.Channels = append(rows.Channels, r.Bytes(uint64(n))...)
	readColumn(r, n, &rows.Contacts)
	if data[0] > oldestChunk {
		readNumbers(r, n, rows)
	}
	values := r.Uvarint()
	if values > uint64(len(r.B)) {
		r.Fail()
		values = 0
	}
	// Reslicing reuses the columns' memory when chunks are read one after another.
	rows.Values = rows.Values[:min(int(values), cap(rows.Values))]
	for len(rows.Values) < int(values) {
		rows.Values = append(rows.Values, campaign.Column{})
	}
	for i := range rows.Values {
		rows.Values[i].Reset()
		readColumn(r, n, &rows.Values[i])
	}
	return r.Done("chunk")
}

// readNumbers reads the column of numbers, which follows that of contacts.
func readNumbers(r *codec.Reader, n int, rows *campaign.Rows) {
	if len(r.B) == 0 {
		r.Fail()
		return
	}
	switch r.B[0] {
	case formNone:
		r.Byte()
	case formSame:
		r.Byte()
		rows.Normal.Data = append(rows.Normal.Data, rows.Contacts.Data...)
		rows.Normal.Ends = append(rows.Normal.Ends, rows.Contacts.Ends...)
	default:
		readColumn(r, n, &rows.Normal)
	}
}

// readColumn reads a column of n strings into c, which must be empty.
func readColumn(r *codec.Reader, n int, c *campaign.Column) {
	form := r.Byte()
	total := uint64(0)
	for range n {
		total += r.Uvarint()
		if r.Err != nil || total > maxChunk {
			r.Fail()
			return
		}
		c.Ends = append(c.Ends, uint32(total))
	}
	switch form {
	case formPlain:
		c.Data = append(c.Data, r.Bytes(total)...)
	case formNibbles:
		packed := r.Bytes((total + 1) / 2)
		for _, b := range packed {
			c.Data = append(c.Data, nibbles[b>>4], nibbles[b&15])
		}
		if len(packed) > 0 {
			c.Data = c.Data[:total]
		}
	default:
		r.Fail()
	}
}
