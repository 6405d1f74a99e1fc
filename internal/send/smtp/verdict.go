package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"syscall"

	"campaignd/internal/send"
)

// keeps reports whether the connection can be used on: the server gave a clear no
// within a transaction, and did not say goodbye (421).
func (f *failure) keeps() bool {
	r, ok := f.reply()
	return ok && f.at >= stepSender && !f.cut && r.code != 421 && (r.code/100 == 4 || r.code/100 == 5)
}

// judge says what a failure means.
func (c *Channel) judge(ctx context.Context, l *letter, f *failure) send.Result {
	r, ok := f.reply()
	switch {
	case !ok:
		return c.silence(ctx, f)
	case r.code/100 == 4:
		return send.Result{Verdict: send.VerdictRetry, Code: r.String(), SlowDown: r.throttles(),
			Detail: fmt.Sprintf("the mail server put %s off: %s", f.at.what(), r.words())}
	case r.code/100 == 5:
		return c.refusal(l, f, r)
	case f.at != stepEnd:
		return send.Result{Verdict: send.VerdictRetry, Code: r.String(), Detail: fmt.Sprintf("the mail server answered %d where that means nothing", r.code)}
	case r.code/100 == 2 && !f.cut:
		return send.Result{Verdict: send.VerdictSent, ProviderID: l.id}
	}
	return send.Result{Verdict: send.VerdictUnknown, Code: r.String(), Detail: fmt.Sprintf("the message was handed over, and the mail server answered %d, which means nothing there", r.code)}
}

// refusal is the verdict on a 5yz: for the channel where we are refused, for the message where it is.
func (c *Channel) refusal(l *letter, f *failure, r reply) send.Result {
	hold := func(what, remedy string) send.Result {
		detail := fmt.Sprintf("the mail server refused %s: %s", what, r.words())
		if said := r.said(); f.at <= stepSender && said != "" {
			detail += fmt.Sprintf(" (it says %q)", said)
		}
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: r.String(), Detail: detail + "; " + remedy}
	}
	switch {
	case f.at == stepSender && r.enhanced == "5.6.7":
		// It offers SMTPUTF8 and refuses this address all the same.
	case f.at == stepAuth || r.code == 535 || r.enhanced == "5.7.8":
		return hold("the credentials", "check username and password_file")
	case r.code == 530 || r.enhanced == "5.7.57":
		return hold("us as long as no one logs in", "set username and password_file, and tls as it wants it")
	case f.at < stepSender:
		return hold(f.at.what(), "check host, port and tls, and whether the server takes mail from this host")
	case f.at == stepSender || r.enhanced == "5.7.60" || r.enhanced == "5.2.252":
		return hold("the sender", "check from, and that username may send as it")
	case f.at == stepRecipient && r.deniesRelay() && c.relay.denied(l.key):
		return hold("to take mail for others from us", "check username, or have the server relay for this host")
	}
	detail := "the mail server refused " + f.at.what() // results.csv has the code before it
	if meaning := r.meaning(); meaning != "" {
		detail += ": " + meaning
	}
	return send.Result{Verdict: send.VerdictPermanent, Code: r.String(), Detail: detail}
}

// relay tells a server that never relays for us, which would fail every message,
// from one that won't for one contact's domain.
type relay struct {
	mu    sync.Mutex // guards what follows
	known bool       // some recipient was taken
	last  string     // key of the message that was refused last
}

// works notes that a recipient was taken.
func (r *relay) works() {
	r.mu.Lock()
	r.known = true
	r.mu.Unlock()
}

// denied reports whether the refusal of the message with that key speaks of us. The same
// message again speaks of itself, lest one contact hold all others up for ever.
func (r *relay) denied(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	again := r.last == key
	r.last = key
	return !r.known && !again
}

// silence is the verdict where there was no reply.
func (c *Channel) silence(ctx context.Context, f *failure) send.Result {
	var (
		certificate *tls.CertificateVerificationError
		plain       tls.RecordHeaderError
	)
	hold := func(detail string) send.Result {
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: detail}
	}
	switch {
	case f.at == stepEnd:
		return send.Result{Verdict: send.VerdictUnknown, Detail: "the message was handed over, but no answer came: " + c.cause(ctx, f.err)}
	case errors.Is(f.err, errNoStartTLS):
		return hold(`the mail server offers no STARTTLS, and nothing goes in the clear; check port, or set tls to "tls" or, within a trusted network, "none"`)
	case errors.Is(f.err, errNoAuth):
		return hold("the mail server offers no way to log in; check port and tls, or take username away")
	case errors.Is(f.err, errNoMechanism):
		return hold("the mail server offers no way to log in that is known here (PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5)")
	case errors.As(f.err, &certificate):
		return hold("the mail server's certificate is not good: " + clip(certificate.Err.Error()) + "; have it mended, or its authority trusted on this host")
	case errors.As(f.err, &plain):
		return hold(`the mail server doesn't speak TLS on this port; check port, and whether tls should be "starttls"`)
	case f.at <= stepStartTLS && strings.Contains(f.err.Error(), "tls: "): // an alert has no type of its own
		return hold("the mail server and we can't agree on TLS; it must know TLS 1.2")
	case f.at == stepAuth && !network(f.err) && ctx.Err() == nil:
		return hold("logging in to the mail server failed midway; check username and password_file, and that the server is the right one")
	}
	return send.Result{Verdict: send.VerdictRetry, Detail: fmt.Sprintf("%s failed: %s", f.at.doing(), c.cause(ctx, f.err))}
}

// network reports whether err comes from the connection, or from a peer that talks nonsense.
func network(err error) bool {
	var n net.Error
	var p textproto.ProtocolError
	return errors.As(err, &n) || errors.As(err, &p) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// cause words what broke a connection, without anything that the server wrote.
func (c *Channel) cause(ctx context.Context, err error) string {
	var dns *net.DNSError
	var p textproto.ProtocolError
	var n net.Error
	switch {
	case ctx.Err() != nil:
		return c.ended(ctx)
	case errors.As(err, &dns):
		return "the host's name can't be looked up"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &p):
		return "the answer was no SMTP"
	case errors.Is(err, errTalks):
		return "the answer has no end"
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout():
		return fmt.Sprintf("nothing within %v", c.timeout)
	}
	return "the connection was closed"
}

// ended says why the context did.
func (c *Channel) ended(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("nothing within %v", c.timeout)
	}
	return "the daemon stopped"
}

// what names what the server was asked for.
func (s step) what() string {
	switch s {
	case stepStartTLS:
		return "STARTTLS"
	case stepAuth:
		return "the credentials"
	case stepSender:
		return "the sender"
	case stepRecipient:
		return "the recipient"
	case stepData, stepContent, stepEnd:
		return "the message"
	}
	return "the connection"
}

// doing names what was being done.
func (s step) doing() string {
	switch s {
	case stepConnect:
		return "connecting to the mail server"
	case stepTLS, stepStartTLS:
		return "securing the connection to the mail server"
	case stepGreeting:
		return "greeting the mail server"
	case stepAuth:
		return "logging in to the mail server"
	}
	return "handing the message over"
}
