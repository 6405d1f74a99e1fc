package send

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"campaignd/internal/campaign"
)

// Encoder writes messages as the JSON object of docs/contract.md 11 with its order of keys, as
// package json does. It is fast for many messages in a row that share
// their sending and times. The zero value is ready; it is not safe for concurrent use.
type Encoder struct {
	sending                    campaign.ID // whose head is cached
	reference, channel         string
	application, campaign      int64
	head                       []byte // from sendingId to channelType
	dueAt, sentAt              time.Time
	due, sent                  []byte
	headKept, dueKept, sentNow bool
}

// Append appends m to dst, without a line end. m.Content is copied unchanged: one compact JSON
// object.
func (e *Encoder) Append(dst []byte, m *Message) []byte {
	if !e.headKept || e.sending != m.SendingID || e.reference != m.Reference || e.channel != m.ChannelType ||
		e.application != m.ApplicationID || e.campaign != m.CampaignID {
		e.keepHead(m)
	}
	if !e.dueKept || e.dueAt != m.DueAt {
		e.dueKept, e.dueAt, e.due = true, m.DueAt, m.DueAt.AppendFormat(e.due[:0], time.RFC3339Nano)
	}
	if !e.sentNow || e.sentAt != m.SentAt {
		e.sentNow, e.sentAt, e.sent = true, m.SentAt, m.SentAt.AppendFormat(e.sent[:0], time.RFC3339Nano)
	}
	dst = append(dst, `{"key":`...)
	dst = appendString(dst, m.Key)
	dst = append(dst, e.head...)
	dst = appendString(dst, m.ContactCode)
	if m.To != "" {
		dst = append(dst, `,"to":`...)
		dst = appendString(dst, m.To)
	}
	if m.RowReference != "" {
		dst = append(dst, `,"rowReference":`...)
		dst = appendString(dst, m.RowReference)
	}
	dst = append(dst, `,"message":`...)
	dst = strconv.AppendInt(dst, int64(m.Number), 10)
	dst = append(dst, `,"content":`...)
	dst = append(dst, m.Content...)
	dst = append(dst, `,"dueAt":"`...)
	dst = append(dst, e.due...)
	dst = append(dst, `","attempt":`...)
	dst = strconv.AppendInt(dst, int64(m.Attempt), 10)
	dst = append(dst, `,"sentAt":"`...)
	dst = append(dst, e.sent...)
	return append(dst, `"}`...)
}

func (e *Encoder) keepHead(m *Message) {
	e.headKept, e.sending, e.reference, e.channel = true, m.SendingID, m.Reference, m.ChannelType
	e.application, e.campaign = m.ApplicationID, m.CampaignID
	b := append(e.head[:0], `,"sendingId":`...)
	b = appendString(b, string(m.SendingID))
	b = append(b, `,"reference":`...)
	b = appendString(b, m.Reference)
	b = append(b, `,"applicationId":`...)
	b = strconv.AppendInt(b, m.ApplicationID, 10)
	b = append(b, `,"campaignId":`...)
	b = strconv.AppendInt(b, m.CampaignID, 10)
	b = append(b, `,"channelType":`...)
	b = appendString(b, m.ChannelType)
	e.head = append(b, `,"contactCode":`...)
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // its error says that there were such bytes
	return dst
}
