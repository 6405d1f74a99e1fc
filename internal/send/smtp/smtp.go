// Package smtp is the channel that sends email through a mail server: text and
// HTML with variables, over connections that are kept for the next message.
//
// A rendered content is {"subject", "from", "text", "html"}. Cells in the HTML are
// escaped. A subject with a line break is refused at intake and again before
// sending, so no cell can add a header. The Message-ID contains the message's key: it
// is the same at every attempt and can be found in the server's log.
//
// The driver doesn't queue, doesn't look up MX records and reads no bounces. The
// configured mail server delivers, and "sent" means that this server accepted the message.
//
// How it fails: by the server's reply and the step of the dialogue. Until the end of
// the data nothing was sent; between that and its reply the outcome is unknown. A 4yz
// is retried, a 5yz is permanent. A failure that every message would have
// (credentials, certificate, our own sender) holds the channel. A Detail contains no
// contact and no server text about one.
//
// The dialogue is written over net/textproto, because everything above goes by the step that
// a failure came at: a client that sends a whole message in one call hides whether the end of
// the data was written, and a message in doubt would be sent twice or never. It also costs half
// as much CPU time again (docs/decisions/0043-mail-dialogue.md).
package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/send/idle"
)

// How the connection is secured (docs/contract.md 11, tls).
const (
	StartTLS = "starttls" // STARTTLS is required: no message is sent unencrypted
	TLS      = "tls"      // from the first byte
	NoTLS    = "none"
)

const (
	// idleLimit closes a connection that was unused for so long. Servers close theirs after
	// a minute or more, and limit their number.
	idleLimit = 30 * time.Second
	// checkIdleAfter is the idle time after which a connection is checked before use.
	checkIdleAfter = 2 * time.Second
	// quitTimeout limits a QUIT.
	quitTimeout = 2 * time.Second
)

// Options configure a mail channel (docs/contract.md 11).
type Options struct {
	Host            string // name or IP address
	Port            int
	TLS             string // StartTLS, TLS or NoTLS
	Username        string // "": no login
	Password        string
	From            string // an address, with or without a display name
	ReplyTo         string
	ListUnsubscribe string          // mailto: or https:, may contain {{key}} and {{contact}}; "": no header
	Timeout         time.Duration   // of one attempt, from connecting to the last reply
	Concurrency     int             // the most connections, in use and kept; 0: 1
	DKIM            *DKIM           // nil: unsigned
	Roots           *x509.CertPool  // trusted authorities; nil: the system's
	Tracer          send.WireTracer // gets the dialogue and the mail, without the login; nil: none
}

// DKIM configures the signature of messages (RFC 6376).
type DKIM struct {
	Domain   string // d=
	Selector string // s=
	Key      []byte // PEM: an RSA (at least 1024 bits) or Ed25519 private key
}

// Channel is the driver. It implements send.Channel.
type Channel struct {
	host, addr         string
	security           string
	username, password string
	tls                *tls.Config
	timeout            time.Duration
	composer           composer
	buffers            sync.Pool     // of *bytes.Buffer, for the data of one message each
	permits            chan struct{} // one per connection in use
	pool               idle.Pool[*conn]
	relays             relayMonitor
	tracer             send.WireTracer
}

// New returns the channel of options that fit their keys. It returns an error for addresses and
// a key that can't work; the error contains no secret. It does no I/O and starts nothing.
func New(o Options) (*Channel, error) {
	w, err := newComposer(o)
	if err != nil {
		return nil, err
	}
	return &Channel{
		host: o.Host, addr: net.JoinHostPort(o.Host, strconv.Itoa(o.Port)), security: o.TLS,
		username: o.Username, password: o.Password,
		tls:     &tls.Config{ServerName: o.Host, RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		timeout: o.Timeout, composer: w, buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
		pool: idle.Pool[*conn]{Limit: idleLimit, Close: (*conn).quit}, permits: make(chan struct{}, max(o.Concurrency, 1)), tracer: o.Tracer,
	}, nil
}

// parseSender parses an address of ours. name is its configuration key.
func parseSender(name, text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(text, control) {
		return nil, fmt.Errorf("found %q where %s must be an address such as \"Shop <shop@example.com>\"", text, name)
	}
	if err := checkAddress([]byte(a.Address)); err != nil || !ascii(a.Address) {
		return nil, fmt.Errorf("found %q where %s must be an ASCII address with a complete domain such as example.com", text, name)
	}
	return a, nil
}

// Batch implements send.Channel: one message per transaction.
func (c *Channel) Batch() int { return 1 }

// Send implements send.Channel.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	for i, m := range msgs {
		results[i] = c.sendOne(ctx, m)
	}
}

// Receiver implements send.Receiver.
func (c *Channel) Receiver() string { return c.addr }

// Close implements send.Channel. Connections in use are closed after their message.
func (c *Channel) Close() error {
	c.pool.End()
	return nil
}
