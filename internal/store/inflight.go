package store

import (
	"encoding/binary"
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
)

// InFlight is a message whose attempt is recorded and whose result isn't.
type InFlight struct {
	Sending     campaign.ID
	Application int64
	Channel     string // the channelType
	Row         uint32
	Message     uint8
	Line        uint32
	Status      campaign.MessageStatus
	HandOut     uint64 // campaign.Entry.HandOut of the attempt
	Key         string
	ContactCode string
	To          string
}

// InFlight returns the messages in flight.
func (s Recovery) InFlight() ([]InFlight, error) {
	var list []InFlight
	err := s.view(func(t *tx) error {
		c := t.Bucket(bucketInFlight).Cursor()
		for k, _ := c.First(); len(k) == 12; k, _ = c.Next() {
			n, chunk := binary.BigEndian.Uint64(k), binary.BigEndian.Uint32(k[8:])
			if err := t.inFlightOf(n, chunk, &list); err != nil {
				return fmt.Errorf("list messages in flight of sending number %d: %w", n, err)
			}
		}
		return nil
	})
	return list, err
}

func (t *tx) inFlightOf(n uint64, chunk uint32, list *[]InFlight) error {
	head, err := t.header(n)
	if err != nil {
		return err
	}
	var rows campaign.Rows
	if err := t.chunk(n, chunk, &unpacker{}, &rows); err != nil {
		return err
	}
	statuses := t.Bucket(bucketStatuses).Get(key12(n, chunk))
	if len(statuses) != rows.Len()*head.Messages {
		return fmt.Errorf("read statuses: %w: %w", ErrDamaged, codec.ErrMalformed)
	}
	for i, m := range statuses {
		status := campaign.MessageStatus(m)
		if status.Outcome() != campaign.InFlight {
			continue
		}
		at, message := i/head.Messages, uint8(i%head.Messages)+1
		one := InFlight{Sending: head.ID, Application: head.ApplicationID, Channel: head.Channels[rows.Channels[at]],
			Row: rows.First + uint32(at), Message: message, Line: rows.Lines[at], Status: status,
			Key:         campaign.Key(head.ID, head.Tag, rows.Lines[at], int(message)),
			ContactCode: string(rows.Contacts.At(at)), To: string(rows.To(at))}
		if v := t.Value(bucketHandOuts, keyWaiting(n, one.Row, message)); len(v) == 8 {
			one.HandOut = binary.BigEndian.Uint64(v)
		}
		*list = append(*list, one)
	}
	return nil
}

// putHandOut records with which batch for workers a message is in flight, or removes that.
func (sw *statusWriter) putHandOut(e *campaign.Entry, old, to campaign.Outcome) error {
	key := keyWaiting(sw.n, e.Row, e.Message)
	switch {
	case to == campaign.InFlight && e.HandOut != 0:
		if _, err := sw.t.Made(bucketHandOuts); err != nil {
			return err
		}
		sw.handOuts = yes
		return sw.t.Bucket(bucketHandOuts).Put(key, binary.BigEndian.AppendUint64(nil, e.HandOut))
	case to == campaign.InFlight || old != campaign.InFlight:
		return nil
	}
	if sw.handOuts == unasked {
		if sw.handOuts = no; sw.t.Existing(bucketHandOuts) != nil {
			sw.handOuts = yes
		}
	}
	if sw.handOuts == no { // one machine: this is in the path of every message
		return nil
	}
	return sw.t.Bucket(bucketHandOuts).Delete(key)
}

// answer is the answer to a question that is asked once.
type answer uint8

const (
	unasked answer = iota
	yes
	no
)
