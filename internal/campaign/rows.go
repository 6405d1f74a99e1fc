package campaign

import "slices"

// ChunkRows is the number of recipients that are stored, read and marked together. Row r
// of a sending is in chunk r/ChunkRows.
const ChunkRows = 4096

// Column is a list of byte strings laid end to end.
type Column struct {
	Data []byte
	Ends []uint32 // Ends[i] is the end of string i in Data
}

// Append adds v.
func (c *Column) Append(v []byte) {
	c.Data = append(c.Data, v...)
	c.Ends = append(c.Ends, uint32(len(c.Data)))
}

// AppendString adds v.
func (c *Column) AppendString(v string) {
	c.Data = append(c.Data, v...)
	c.Ends = append(c.Ends, uint32(len(c.Data)))
}

// At returns string i. It is valid until the column is reset.
func (c *Column) At(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = c.Ends[i-1]
	}
	return c.Data[start:c.Ends[i]:c.Ends[i]]
}

// Len returns the number of strings.
func (c *Column) Len() int { return len(c.Ends) }

// Reset empties the column and keeps its memory.
func (c *Column) Reset() { c.Data, c.Ends = c.Data[:0], c.Ends[:0] }

// Grow makes room for n more strings, but not for their bytes.
func (c *Column) Grow(n int) { c.Ends = slices.Grow(c.Ends, n) }

// Rows holds up to ChunkRows recipients in columns: everything needed to render,
// send and report their messages.
type Rows struct {
	First    uint32   // row number of the first, a multiple of ChunkRows
	Lines    []uint32 // line of the CSV on which each begins
	Channels []uint8  // index into Sending.Channels
	Contacts Column   // contactCodes as written
	Normal   Column   // where each is sent to, "" where Contacts says it; empty if none has one
	Values   []Column // one per Sending.Variables
}

// Len returns the number of recipients.
func (r *Rows) Len() int { return len(r.Lines) }

// To returns the normal form of recipient i's contact, with which it is sent to and compared; nil
// where that is the contactCode as written.
func (r *Rows) To(i int) []byte {
	if i >= r.Normal.Len() {
		return nil
	}
	return r.Normal.At(i)
}

// AppendContact appends a contact in a form that every application reads the same, for lists such as opt-outs: a number with +, any
// other contact as it is sent. to is what Rows.To returns.
func AppendContact(dst, contactCode, to []byte) []byte {
	switch {
	case len(to) == 0:
		return append(dst, contactCode...)
	case to[0] >= '0' && to[0] <= '9':
		dst = append(dst, '+')
	}
	return append(dst, to...)
}

// Reset empties the rows, keeps their memory and sets the number of values.
func (r *Rows) Reset(first uint32, values int) {
	r.First, r.Lines, r.Channels = first, r.Lines[:0], r.Channels[:0]
	r.Contacts.Reset()
	r.Normal.Reset()
	for len(r.Values) < values {
		r.Values = append(r.Values, Column{})
	}
	r.Values = r.Values[:values]
	for i := range r.Values {
		r.Values[i].Reset()
	}
}

// Grow makes room for n more recipients, but not for the bytes of their texts.
func (r *Rows) Grow(n int) {
	r.Lines, r.Channels = slices.Grow(r.Lines, n), slices.Grow(r.Channels, n)
	r.Contacts.Grow(n)
	r.Normal.Grow(n)
	for i := range r.Values {
		r.Values[i].Grow(n)
	}
}
