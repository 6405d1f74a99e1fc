package relay

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/send"
)

// Batch is a group of messages of one application's channel on its way to a worker.
type Batch struct {
	Version     byte // of the wire format; 0 when encoding: MaxVersion
	ID          BatchID
	Application int64
	Channel     string // the channelType
	Hold        bool   // on_unknown is "hold": acknowledge after the claim, never hand out twice

	// Messages lists the messages in order. ApplicationID and ChannelType are those of the batch,
	// and SentAt is set by the driver; the three are not transmitted.
	Messages []send.Message
}

// Fields of a message that are often equal to those of the message before. A set bit says so.
const (
	sameSending = 1 << iota // sending, reference and campaign
	sameContent
)

// AppendBatch appends the encoded batch to dst. It has at most MaxBatchMessages messages.
func AppendBatch(dst []byte, b *Batch) []byte {
	dst = appendHead(dst, b.Version, b.ID)
	dst = binary.AppendVarint(dst, b.Application)
	dst = codec.AppendText(dst, b.Channel)
	dst = codec.AppendBool(dst, b.Hold)
	dst = binary.AppendUvarint(dst, uint64(len(b.Messages)))
	for i := range b.Messages {
		var before *send.Message
		if i > 0 {
			before = &b.Messages[i-1]
		}
		dst = appendMessage(dst, &b.Messages[i], before)
	}
	return dst
}

// appendMessage appends m without what it shares with the message before, which may be nil.
func appendMessage(dst []byte, m, before *send.Message) []byte {
	var same byte
	if before != nil && m.SendingID == before.SendingID && m.Reference == before.Reference && m.CampaignID == before.CampaignID {
		same |= sameSending
	}
	if before != nil && string(m.Content) == string(before.Content) {
		same |= sameContent
	}
	dst = append(dst, same)
	if same&sameSending == 0 {
		dst = codec.AppendText(dst, string(m.SendingID))
		dst = codec.AppendText(dst, m.Reference)
		dst = binary.AppendVarint(dst, m.CampaignID)
	}
	dst = codec.AppendText(dst, m.Key)
	dst = codec.AppendText(dst, m.ContactCode)
	dst = codec.AppendText(dst, m.To)
	dst = codec.AppendText(dst, m.RowReference)
	dst = append(dst, byte(m.Number), byte(m.Attempt))
	dst = binary.AppendVarint(dst, m.DueAt.UnixNano())
	if same&sameContent == 0 {
		dst = binary.AppendUvarint(dst, uint64(len(m.Content)))
		dst = append(dst, m.Content...)
	}
	return dst
}

// DecodeBatch decodes a batch of one of the versions. Its messages' contents alias data. If the
// error isn't nil, ID is set as far as DecodeID can read it.
func DecodeBatch(data []byte, versions Versions) (b Batch, err error) {
	d := decoder{Reader: codec.Reader{B: data}, read: versions}
	b.Version, b.ID = d.head()
	b.Application = d.Varint()
	b.Channel = d.Text()
	b.Hold = d.Bool()
	n := d.Count(MaxBatchMessages)
	if n > len(d.B) { // a message has more than one byte
		d.Fail()
		n = 0
	}
	b.Messages = make([]send.Message, n)
	for i := range b.Messages {
		if i > 0 {
			b.Messages[i] = b.Messages[i-1]
		}
		d.message(&b.Messages[i], i > 0)
		if d.Err != nil {
			break
		}
		b.Messages[i].ApplicationID, b.Messages[i].ChannelType = b.Application, b.Channel
	}
	if err := d.Done("batch"); err != nil {
		return Batch{ID: b.ID}, err
	}
	return b, nil
}

// message reads a message into m, which holds a copy of the message before if there is one.
func (d *decoder) message(m *send.Message, hasBefore bool) {
	same := d.Byte()
	if same > sameSending|sameContent || same != 0 && !hasBefore {
		d.Fail()
		return
	}
	if same&sameSending == 0 {
		m.SendingID, m.Reference, m.CampaignID = campaign.ID(d.Text()), d.Text(), d.Varint()
	}
	m.Key, m.ContactCode, m.To, m.RowReference = d.Text(), d.Text(), d.Text(), d.Text()
	m.Number, m.Attempt = int(d.Byte()), int(d.Byte())
	m.DueAt = time.Unix(0, d.Varint()).UTC()
	if same&sameContent == 0 {
		m.Content = json.RawMessage(d.Bytes(d.Uvarint()))
	}
	if m.Number < 1 || m.Number > campaign.MaxMessages || m.Attempt < 1 {
		d.Fail()
	}
}
