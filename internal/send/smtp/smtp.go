// Package smtp is the channel that sends email through a mail server: text and
// HTML with variables, over connections that are kept for the next message.
//
// A rendered content is {"subject", "from", "text", "html"}. Cells in the HTML are
// escaped; a subject with a line break is refused at intake and again before it
// is sent, so no cell can add a header. A Message-ID is made of the message's key,
// so it is the same at every attempt and can be found in the server's log.
//
// It doesn't queue, doesn't look up MX records and reads no bounces: the mail
// server it is given does the delivery, and "sent" means that this one took the message.
//
// How it fails: by the server's reply and by how far the dialogue had come. Until
// the end of the data nothing was sent; between that and its reply no one can
// tell. 4yz is tried again, 5yz is for good; what would meet every message
// (credentials, certificate, our own sender) holds the channel. No contact and no
// text that the server said about one is in a Detail.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/send"
)

// How the connection is secured (SPEC 11, tls).
const (
	StartTLS = "starttls" // by STARTTLS, or not at all: no message goes in the clear
	TLS      = "tls"      // from the first byte
	NoTLS    = "none"
)

const (
	defaultTimeout = 30 * time.Second
	submissionPort = 587 // RFC 6409
)

// Options are a mail channel's configuration (SPEC 11).
type Options struct {
	Host            string // name or IP address; required
	Port            int    // 0: 587
	TLS             string // StartTLS, TLS or NoTLS; "": StartTLS
	Username        string // "": no one logs in
	Password        string
	From            string // an address, with or without a display name; required
	ReplyTo         string
	ListUnsubscribe string          // mailto: or https:, may hold {{key}} and {{contact}}; "": no header
	Timeout         time.Duration   // of one attempt, from connecting to the last reply; 0: 30s
	Concurrency     int             // connections at once, and kept for reuse; 0: 1
	DKIM            *DKIM           // nil: not signed here
	Roots           *x509.CertPool  // whom to trust; nil: whom the system trusts
	Tracer          send.WireTracer // is shown the dialogue and the mail, but for the login; nil: nobody looks
}

// DKIM is what messages are signed with (RFC 6376).
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
	writer             writer
	slots              chan struct{} // one per connection in use
	pool               pool
	relay              relay
	tap                send.WireTracer
}

// New makes the channel. It returns an error for options that can't work; the
// error holds no secret. It does no I/O and starts nothing.
func New(o Options) (*Channel, error) {
	if o.Host == "" || strings.ContainsAny(o.Host, " \t\r\n/@") {
		return nil, fmt.Errorf("found %q where host must name the mail server", o.Host)
	}
	if o.Port == 0 {
		o.Port = submissionPort
	}
	if o.TLS == "" {
		o.TLS = StartTLS
	}
	if o.TLS != StartTLS && o.TLS != TLS && o.TLS != NoTLS {
		return nil, fmt.Errorf("found %q where tls must be %q, %q or %q", o.TLS, StartTLS, TLS, NoTLS)
	}
	if o.Username != "" && o.TLS == NoTLS && !thisMachine(o.Host) {
		return nil, errors.New(`tls is "none" and would send the password in the clear: write "starttls" or "tls"`)
	}
	if (o.Username == "") != (o.Password == "") {
		return nil, errors.New("username and password belong together")
	}
	w, err := newWriter(o)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &Channel{
		host: o.Host, addr: net.JoinHostPort(o.Host, strconv.Itoa(o.Port)), security: o.TLS,
		username: o.Username, password: o.Password,
		tls:     &tls.Config{ServerName: o.Host, RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		timeout: o.Timeout, writer: w, slots: make(chan struct{}, max(o.Concurrency, 1)), tap: o.Tracer,
	}, nil
}

// thisMachine reports whether only this machine can listen in on the way to host.
func thisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ownAddress reads an address of ours. name is the key it stands under.
func ownAddress(name, text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(text, control) {
		return nil, fmt.Errorf("found %q where %s must be an address such as \"Shop <shop@example.com>\"", text, name)
	}
	if err := checkAddress([]byte(a.Address)); err != nil || !ascii(a.Address) {
		return nil, fmt.Errorf("found %q where %s must be an address of ASCII letters with a whole domain such as example.com", text, name)
	}
	return a, nil
}

// Batch implements send.Channel: a transaction each.
func (c *Channel) Batch() int { return 1 }

// Send implements send.Channel.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	for i, m := range msgs {
		results[i] = c.one(ctx, m)
	}
}

// Close implements send.Channel. Connections in use end with their message.
func (c *Channel) Close() error {
	c.pool.close()
	return nil
}
