package smtp

import (
	"context"
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
	"campaignd/internal/send/tlsfault"
)

// connReusable reports whether the connection can be used again: the server refused within a
// transaction and isn't closing the connection (421).
func (f *failure) connReusable() bool {
	r, ok := f.reply()
	return ok && f.step >= stepSender && !f.truncated && r.code != 421 && (r.code/100 == 4 || r.code/100 == 5)
}

// connExhausted reports whether the server refuses another message on a connection that has
// carried messages: 452 or 503 at MAIL. A new connection may be all it wants.
func (f *failure) connExhausted() bool {
	r, ok := f.reply()
	return ok && f.step == stepSender && (r.code == 452 || r.code == 503)
}

// classify returns the verdict on a failure (docs/contract.md 8).
func (c *Channel) classify(ctx context.Context, e *email, f *failure) send.Result {
	r, ok := f.reply()
	switch {
	case !ok:
		return c.classifyError(ctx, f)
	case r.code/100 == 4 && f.step == stepRecipient && r.deniesRelay() && !r.hasGreylistWords() && c.relays.denied(e.key):
		return f.hold(r, "to relay mail for us", relayRemedy) // Postfix defers it by default: 454 4.7.1
	case r.code/100 == 4:
		res := send.Result{Verdict: f.deferral(r), Code: r.String(), Detail: fmt.Sprintf("the mail server deferred %s: %s", f.step.object(), r.describe())}
		if res.Verdict != send.VerdictRecipientBusy { // else it speaks of the recipient
			res.Said = r.redacted(e.to)
		}
		return res
	case r.code/100 == 5:
		return c.classifyRefusal(e, f, r)
	case f.step < stepSender:
		return send.Result{Verdict: send.VerdictUnreachable, Code: r.String(), Detail: fmt.Sprintf("the mail server answered %d, which is not a valid reply there", r.code)}
	case f.step != stepEnd:
		return send.Result{Verdict: send.VerdictRetry, Unwritten: true, Code: r.String(), Detail: fmt.Sprintf("the mail server answered %d, which is not a valid reply there", r.code)}
	case r.code/100 == 2 && !f.truncated:
		return send.Result{Verdict: send.VerdictSent, ProviderID: e.id}
	}
	return send.Result{Verdict: send.VerdictUnknown, Code: r.String(), Detail: fmt.Sprintf("the message was handed over, and the mail server answered %d, which is not a valid reply there", r.code)}
}

// deferral returns the verdict on a 4yz. Up to MAIL, and where the server closes the connection
// (421), it concerns the connection, unless it is a throttle. After that it concerns this message,
// which is tried again over hours (RFC 5321, 4.5.4.1).
func (f *failure) deferral(r reply) send.Verdict {
	switch {
	case f.step < stepAuth:
		return send.VerdictUnreachable
	case f.step == stepAuth:
		if r.hasThrottleWords() {
			return send.VerdictThrottled
		}
		return send.VerdictUnreachable
	case r.greylists(f.step) || r.aboutRecipient() && f.step > stepSender:
		return send.VerdictRecipientBusy
	case r.throttles():
		return send.VerdictThrottled
	case r.code == 421:
		return send.VerdictUnreachable
	case f.step == stepSender:
		return send.VerdictUnreachable // it takes no message now, whoever gets it
	case f.step > stepRecipient:
		return send.VerdictDeferred
	}
	return send.VerdictRecipientBusy
}

// classifyRefusal returns the verdict on a 5yz: for the channel if it refuses us, for the message if it refuses that.
func (c *Channel) classifyRefusal(e *email, f *failure, r reply) send.Result {
	hold := func(what, remedy string) send.Result { return f.hold(r, what, remedy) }
	switch {
	case f.step == stepSender && r.enhanced == "5.6.7":
		// It offers SMTPUTF8 but refuses this address.
	case r.enhanced == "5.4.5":
		return hold("more messages today", "wait for the next day, or have the server's limit raised")
	case f.step == stepAuth || r.code == 535 || r.enhanced == "5.7.8":
		return hold("the credentials", "check username and password_file, then reload")
	case r.code == 530 || r.enhanced == "5.7.57":
		return hold("us without a login", "set username and password_file, and tls as it requires")
	case f.step < stepSender:
		return hold(f.step.object(), "check host, port and tls, and whether the server takes mail from this host")
	case f.step == stepSender || r.namesSender():
		return hold("the sender", "check from, and that username may send as it")
	case r.namesClient():
		return hold("this host or account", "check whether the server takes mail from this host and for this account")
	case f.step == stepRecipient && r.deniesRelay() && c.relays.denied(e.key):
		return hold("to relay mail for us", relayRemedy)
	}
	detail := "the mail server refused " + f.step.object() // results.csv shows the code before it
	if meaning := r.meaning(); meaning != "" {
		detail += ": " + meaning
	}
	if r.namesRecipient() {
		return send.Result{Verdict: send.VerdictBadRecipient, Code: r.String(), Detail: detail}
	}
	return send.Result{Verdict: send.VerdictPermanent, Code: r.String(), Detail: detail, Said: r.redacted(e.to)}
}

const relayRemedy = "check username, or configure the server to relay for this host"

// hold returns the verdict on a reply that refuses us, whatever the message.
func (f *failure) hold(r reply, what, remedy string) send.Result {
	detail := fmt.Sprintf("the mail server refused %s: %s", what, r.describe())
	if said := r.redacted(""); f.step <= stepSender && said != "" {
		detail += fmt.Sprintf(" (it says %q)", said)
	}
	return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: r.String(), Detail: detail + "; " + remedy}
}

// relayMonitor tells a server that never relays for us, which would fail every message,
// from one that refuses a single contact's domain.
type relayMonitor struct {
	mu         sync.Mutex // guards the fields below
	accepted   bool       // a recipient was accepted
	refusedKey string     // key of the message that was refused last
}

// recipientAccepted records that the server has accepted a recipient.
func (r *relayMonitor) recipientAccepted() {
	r.mu.Lock()
	r.accepted = true
	r.mu.Unlock()
}

// denied reports whether the refusal of the message with that key concerns us. The second refusal of
// the same message concerns that message, so one contact can't hold the channel for ever.
func (r *relayMonitor) denied(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	again := r.refusedKey == key
	r.refusedKey = key
	return !r.accepted && !again
}

// classifyError returns the verdict on a failure without a reply.
func (c *Channel) classifyError(ctx context.Context, f *failure) send.Result {
	hold := func(detail string) send.Result {
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: detail}
	}
	switch {
	case f.step == stepEnd:
		return send.Result{Verdict: send.VerdictUnknown, Detail: "the message was handed over, but no answer came: " + c.describeError(ctx, f.err)}
	case errors.Is(f.err, errNoStartTLS):
		return hold(`the mail server offers no STARTTLS, and nothing is sent unencrypted; check port, or set tls to "tls" or, in a trusted network, "none"`)
	case errors.Is(f.err, errNoAuth):
		return hold("the mail server offers no login; check port and tls, or remove username")
	case errors.Is(f.err, errNoMechanism):
		return hold("the mail server offers no supported login (PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5)")
	case f.step < stepSender && c.tlsFault(f.err) != "":
		return hold(c.tlsFault(f.err))
	case f.step == stepAuth && !isNetworkError(f.err) && ctx.Err() == nil:
		return hold("the login to the mail server was interrupted; check host, username and password_file")
	}
	res := send.Result{Verdict: send.VerdictUnreachable, Detail: fmt.Sprintf("%s failed: %s", f.step.activity(c.addr), c.describeError(ctx, f.err))}
	if f.step >= stepSender {
		res.Verdict, res.Unwritten = send.VerdictRetry, true
	}
	return res
}

func (c *Channel) tlsFault(err error) string {
	return tlsfault.Describe(err, c.addr, "host", `check port, and whether tls should be "starttls"`)
}

// isNetworkError reports whether err comes from the connection, or from a peer that doesn't speak SMTP.
func isNetworkError(err error) bool {
	var n net.Error
	var p textproto.ProtocolError
	return errors.As(err, &n) || errors.As(err, &p) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// describeError describes a connection error without repeating what the server wrote.
func (c *Channel) describeError(ctx context.Context, err error) string {
	var dns *net.DNSError
	var p textproto.ProtocolError
	var n net.Error
	switch {
	case ctx.Err() != nil:
		return c.contextReason(ctx)
	case errors.As(err, &dns):
		return "the host's name can't be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &p):
		return "the answer was not SMTP"
	case strings.Contains(err.Error(), "tls: "):
		return clip(err.Error())
	case errors.Is(err, errEndlessReply):
		return "the answer is endless"
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout():
		return fmt.Sprintf("nothing within %v", c.timeout)
	}
	return "the connection was closed"
}

// contextReason describes why ctx ended.
func (c *Channel) contextReason(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("nothing within %v", c.timeout)
	}
	return "the daemon stopped"
}

// object names the thing that the server was asked for in this step.
func (s step) object() string {
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

// activity names the step as an activity with the server.
func (s step) activity(server string) string {
	switch s {
	case stepConnect:
		return "connecting to " + server
	case stepTLS, stepStartTLS:
		return "securing the connection to " + server
	case stepGreeting:
		return "greeting " + server
	case stepAuth:
		return "logging in to " + server
	}
	return "handing the message to " + server
}
