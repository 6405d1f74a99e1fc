// Package null is the channel that takes every message and sends it nowhere:
// for tests and measurements.
package null

import "campaignd/internal/send"

// New makes the channel. batch is the most messages a call takes.
func New(batch int) send.Channel { panic("being built") }
