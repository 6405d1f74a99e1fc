package inbound

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

// Receipt is a provider's report about one message.
type Receipt struct {
	Applications []int64 // the applications that send through the reporting account
	Key          string  // the message's key, "" if the provider omitted it
	Provider     string  // the provider's id for the message
	State        campaign.DeliveryState
	At           time.Time
	Code, Detail string
}

// ReceiptResult describes a receipt that changed the store.
type ReceiptResult struct {
	Application int64 // 0: its message isn't known, or not yet
	State       campaign.DeliveryState
}

// receiptBatch is one call of RecordReceipts.
type receiptBatch struct {
	list    []Receipt
	results []ReceiptResult
}

// RecordReceipts stores receipts durably and returns those that changed something. A
// receipt without a key waits until MatchReceipts finds its message by the provider's id.
// Concurrent calls share a transaction.
func (s *Receipts) RecordReceipts(list []Receipt) ([]ReceiptResult, error) {
	own := &receiptBatch{list: list}
	if err := s.writes.Do(own, s.write); err != nil {
		return nil, fmt.Errorf("record receipts: %w", err)
	}
	return own.results, nil
}

func (s *Receipts) write(batch []*receiptBatch) error {
	return s.db.Update(func(t *db.Tx) error {
		b := s.targets(t)
		for _, r := range batch {
			r.results = r.results[:0]
			for i := range r.list {
				results, err := b.record(&r.list[i])
				if err != nil {
					return err
				}
				r.results = append(r.results, results...)
			}
		}
		return b.close()
	})
}

// receiptTarget is a sending that receipts are recorded for.
type receiptTarget struct {
	id          campaign.ID
	tag         string
	application int64
	messages    int
	counts      receiptCounts
	changed     bool
}

// receiptTargets are the sendings that a transaction's receipts concern.
type receiptTargets struct {
	t *db.Tx
	Sendings
	known map[uint64]*receiptTarget
}

func (s *Receipts) targets(t *db.Tx) receiptTargets {
	return receiptTargets{t: t, Sendings: s.sendings, known: map[uint64]*receiptTarget{}}
}

// of returns the target for a sending, nil if there is none.
func (b *receiptTargets) of(id campaign.ID) (*receiptTarget, error) {
	n := id.Number()
	if one, ok := b.known[n]; ok {
		if one != nil && one.id != id {
			return nil, nil
		}
		return one, nil
	}
	head, err := b.Header(b.t, n)
	if err != nil || head == nil {
		return nil, err
	}
	one := &receiptTarget{id: head.ID, tag: head.Tag, application: head.ApplicationID, messages: head.Messages}
	if one.counts, err = countsOf(b.t, n); err != nil {
		return nil, err
	}
	b.known[n] = one
	if head.ID != id {
		return nil, nil
	}
	return one, nil
}

// record stores one receipt and returns it if it changed something.
func (b *receiptTargets) record(r *Receipt) ([]ReceiptResult, error) {
	if r.State == campaign.NoReceipt {
		return nil, nil
	}
	id, tag, line, n, ok := campaign.ParseKey(r.Key)
	if !ok {
		if r.Provider == "" {
			return nil, nil
		}
		return []ReceiptResult{{State: r.State}}, putUnmatched(b.t, r)
	}
	one, err := b.of(id)
	if err != nil || one == nil || one.tag != tag || n > one.messages || !slices.Contains(r.Applications, one.application) {
		return nil, err
	}
	d := delivery{Delivery: campaign.Delivery{Line: line, Message: uint8(n), State: r.State, At: r.At, Code: r.Code, Detail: r.Detail}}
	if r.State == campaign.Undelivered {
		d.attempt = attemptOf(r.Provider)
	}
	isNew, err := b.put(id.Number(), one, &d)
	if err != nil || !isNew {
		return nil, err
	}
	return []ReceiptResult{{Application: one.application, State: r.State}}, nil
}

// put stores a delivery if it supersedes the stored one. A failure that was answered with a resend
// is repeated now and then; it says nothing about the later attempt.
func (b *receiptTargets) put(n uint64, one *receiptTarget, d *delivery) (bool, error) {
	key := keyDelivery(n, d.Line, d.Message)
	bucket := b.t.Bucket(bucketDeliveries)
	if value := bucket.Get(key); value != nil {
		before, err := decodeDelivery(key, value)
		if err != nil {
			return false, err
		}
		if before.State >= d.State || d.attempt != "" && slices.Contains(before.resent, d.attempt) {
			return false, nil
		}
		if d.State == campaign.Undelivered {
			d.resent = before.resent
		}
		if count := one.counts.Of(before.State); count != nil && *count > 0 {
			*count--
		}
	}
	if count := one.counts.Of(d.State); count != nil {
		*count++
	}
	one.counts.version++
	one.changed = true
	return true, bucket.Put(key, encodeDelivery(d))
}

func (b *receiptTargets) close() error {
	for n, one := range b.known {
		if one == nil || !one.changed {
			continue
		}
		if err := one.counts.put(b.t, n); err != nil {
			return err
		}
		if err := b.Resolve(b.t, n); err != nil {
			return err
		}
	}
	return nil
}

// receiptCounts are the receipts of a sending, counted by state.
type receiptCounts struct {
	campaign.DeliveryCounts
	version  uint64 // grows with every change
	reported uint64 // the version shown by the files in the sending's folder
}

func (c *receiptCounts) encode() []byte {
	var b []byte
	for _, n := range []uint64{c.Delivered, c.Read, c.Failed, c.version, c.reported} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func decodeReceiptCounts(value []byte) (receiptCounts, error) {
	r := codec.Reader{B: value}
	c := receiptCounts{DeliveryCounts: campaign.DeliveryCounts{Delivered: r.Uvarint(), Read: r.Uvarint(), Failed: r.Uvarint()}}
	c.version, c.reported = r.Uvarint(), r.Uvarint()
	return c, r.Done("counts of deliveries")
}

func (c *receiptCounts) put(t *db.Tx, n uint64) error {
	return t.Bucket(bucketReceiptCounts).Put(db.Key8(n), c.encode())
}

func countsOf(t *db.Tx, n uint64) (receiptCounts, error) {
	value := t.Bucket(bucketReceiptCounts).Get(db.Key8(n))
	if value == nil {
		return receiptCounts{}, nil
	}
	return decodeReceiptCounts(value)
}

// keyDelivery joins a sending's number, a line of its CSV and the message's number.
func keyDelivery(number uint64, line uint32, message uint8) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 13), number)
	k = binary.BigEndian.AppendUint32(k, line)
	return append(k, message)
}

// delivery is a stored receipt.
type delivery struct {
	campaign.Delivery
	attempt string   // of an undelivered message: the attempt that the receipt is about, by attemptOf
	resent  []string // earlier attempts that weren't delivered and were followed by a resend
}

// attemptOf returns a digest of the provider's id for an attempt, "" if there is none. The ids
// themselves may contain the contact.
func attemptOf(provider string) string {
	if provider == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(provider))
	return string(sum[:8])
}

func encodeDelivery(d *delivery) []byte {
	seconds := int64(0)
	if !d.At.IsZero() {
		seconds = d.At.Unix()
	}
	texts := []string{d.Code, d.Detail}
	if d.attempt != "" || len(d.resent) > 0 {
		texts = append(append(texts, d.attempt), d.resent...)
	}
	b := binary.AppendVarint([]byte{byte(d.State)}, seconds)
	if len(texts) > 2 || d.Code != "" || d.Detail != "" {
		for _, text := range texts {
			b = codec.AppendText(b, text)
		}
	}
	return b
}

func decodeDelivery(key, value []byte) (delivery, error) {
	r := codec.Reader{B: value}
	d := delivery{Delivery: campaign.Delivery{State: campaign.DeliveryState(r.Byte())}}
	if seconds := r.Varint(); seconds != 0 {
		d.At = time.Unix(seconds, 0).UTC()
	}
	if len(r.B) > 0 {
		d.Code, d.Detail = r.Text(), r.Text()
	}
	if len(r.B) > 0 {
		d.attempt = r.Text()
	}
	for len(r.B) > 0 {
		d.resent = append(d.resent, r.Text())
	}
	if len(key) != 13 || d.State == campaign.NoReceipt && len(d.resent) == 0 || d.State > campaign.Read {
		r.Fail()
	} else {
		d.Line, d.Message = binary.BigEndian.Uint32(key[8:]), key[12]
	}
	return d, r.Done("delivery")
}

// deliveries yields the newest receipts of a sending from a line on, in order of line and message.
func deliveries(t *db.Tx, n uint64, line uint32) iter.Seq2[campaign.Delivery, error] {
	return func(yield func(campaign.Delivery, error) bool) {
		prefix := db.Key8(n)
		c := t.Bucket(bucketDeliveries).Cursor()
		for k, v := c.Seek(keyDelivery(n, line, 0)); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			d, err := decodeDelivery(k, v)
			if err == nil && d.State == campaign.NoReceipt {
				continue // only remembers attempts before a resend
			}
			if !yield(d.Delivery, err) {
				return
			}
		}
	}
}

// Deliveries returns the newest receipts for lines first to last of a sending, in order of line and message.
func (s *Receipts) Deliveries(id campaign.ID, first, last uint32) ([]campaign.Delivery, error) {
	var list []campaign.Delivery
	err := s.db.View(func(t *db.Tx) error {
		for d, err := range deliveries(t, id.Number(), first) {
			if err != nil {
				return err
			}
			if d.Line > last {
				break
			}
			list = append(list, d)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read deliveries of %s: %w", id, err)
	}
	return list, nil
}

// StaleReports returns the sendings whose files in done/ or failed/ lack some of their receipts.
func (s *Receipts) StaleReports() ([]campaign.ID, error) {
	var late []campaign.ID
	err := s.db.View(func(t *db.Tx) error {
		return t.Bucket(bucketReceiptCounts).ForEach(func(k, v []byte) error {
			c, err := decodeReceiptCounts(v)
			if err != nil || c.version == c.reported {
				return err
			}
			head, err := s.sendings.Header(t, binary.BigEndian.Uint64(k))
			if head != nil && head.Filed { // nil: being removed
				late = append(late, head.ID)
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("find stale reports: %w", err)
	}
	return late, nil
}

// MarkReported records that a sending's files show its receipts up to a version, the ReceiptVersion when they were written.
func (s *Receipts) MarkReported(id campaign.ID, version uint64) error {
	if version == 0 {
		return nil
	}
	n := id.Number()
	return s.db.Update(func(t *db.Tx) error {
		c, err := countsOf(t, n)
		if err != nil || c.version == 0 || c.reported >= version {
			return err
		}
		c.reported = min(version, c.version)
		return c.put(t, n)
	})
}
