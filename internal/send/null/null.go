// Package null accepts every message and sends nothing, for tests and
// measurements. It never fails, stores nothing, and only checks that an item is a
// JSON object.
package null

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// Channel is the driver.
type Channel struct {
	batch int
	sent  atomic.Uint64
}

// New returns a channel whose calls take at most batch messages; less than 1 means 1.
func New(batch int) *Channel { return &Channel{batch: max(batch, 1)} }

// Compile implements send.Channel.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	return campaign.Compile(item, names, nil)
}

// CheckMessage implements send.Channel. It accepts every message.
func (c *Channel) CheckMessage(_, _ []byte) error { return nil }

// Batch implements send.Channel.
func (c *Channel) Batch() int { return c.batch }

// Send implements send.Channel.
func (c *Channel) Send(_ context.Context, msgs []*send.Message, results []send.Result) {
	at := time.Now().UTC().Round(0)
	for i, m := range msgs {
		m.SentAt = at
		results[i].Verdict = send.VerdictSent
	}
	c.sent.Add(uint64(len(msgs)))
}

// Sent returns the number of messages so far.
func (c *Channel) Sent() uint64 { return c.sent.Load() }

// Close implements send.Channel.
func (c *Channel) Close() error { return nil }
