// Package webhook is the channel that POSTs one JSON object a message to a URL.
package webhook

import (
	"time"

	"campaignd/internal/send"
)

// Options are a webhook's configuration (SPEC 11).
type Options struct {
	URL         string
	Secret      string            // for the Standard Webhooks signature: "whsec_" and base64, or base64; "": unsigned
	Headers     map[string]string // sent with every request
	Timeout     time.Duration     // of one request; 0: 10s
	Concurrency int               // connections kept for reuse; 0: 1
}

// New makes the channel. It returns an error for a URL that is not http or https, or a secret that is not base64.
func New(o Options) (send.Channel, error) { panic("being built") }
