package smtp

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"campaignd/internal/send"
)

// sendOne makes one attempt at a message.
func (c *Channel) sendOne(ctx context.Context, m *send.Message) send.Result {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.permits <- struct{}{}:
		defer func() { <-c.permits }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return send.Result{Verdict: send.VerdictUnreachable, Detail: "not started: " + c.contextReason(ctx)}
	}
	m.SentAt = time.Now().UTC().Round(0)
	e, err := c.composer.compose(m)
	if errors.Is(err, errUnsigned) {
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: err.Error()}
	}
	if err != nil {
		return send.Result{Verdict: send.VerdictPermanent, Detail: err.Error()}
	}
	cn, failed := c.startTransaction(ctx, e)
	if failed != nil {
		return c.classify(ctx, e, failed)
	}
	if refused := cn.accepts(e); refused != nil {
		c.pool.put(cn)
		return *refused
	}
	unbind := cn.wire.bind(ctx)
	failed = cn.deliver(e, c.relays.recipientAccepted)
	alone := unbind()
	switch {
	case failed != nil && !failed.connReusable() || !alone:
		cn.abort()
	default:
		cn.dirty = failed != nil && failed.step != stepEnd
		c.pool.put(cn)
	}
	if failed != nil {
		return c.classify(ctx, e, failed)
	}
	return send.Result{Verdict: send.VerdictSent, ProviderID: e.id}
}

// startTransaction returns a connection on which the server has accepted our sender. If the
// server has closed a kept connection or takes no more messages on it, a new one is made,
// once. Nothing of the message was sent on the old one, so that isn't a second attempt.
func (c *Channel) startTransaction(ctx context.Context, e *email) (*conn, *failure) {
	if cn := c.pool.get(); cn != nil {
		unbind := cn.wire.bind(ctx)
		failed := cn.checkAlive(c.timeout)
		if failed == nil && cn.accepts(e) == nil {
			failed = cn.mailFrom(c.composer.from.Address, e)
		}
		alone := unbind()
		switch {
		case failed == nil && alone:
			return cn, nil
		case failed != nil && failed.connReusable() && !failed.connExhausted() && alone:
			cn.dirty = true
			c.pool.put(cn)
			return nil, failed
		}
		cn.abort()
		if ctx.Err() != nil {
			return nil, &failure{step: stepSender, err: context.Cause(ctx)}
		}
	}
	cn, failed := c.connect(ctx)
	if failed != nil {
		return nil, failed
	}
	if cn.accepts(e) != nil {
		return cn, nil
	}
	unbind := cn.wire.bind(ctx)
	failed = cn.mailFrom(c.composer.from.Address, e)
	alone := unbind()
	if failed == nil && !alone {
		failed = &failure{step: stepSender, err: context.Cause(ctx)}
	}
	switch {
	case failed == nil:
		return cn, nil
	case failed.connReusable() && alone:
		cn.dirty = true
		c.pool.put(cn)
	default:
		cn.abort()
	}
	return nil, failed
}

// checkAlive sends RSET on a connection that was idle or has an unfinished transaction. A dead
// connection must not use up the attempt's time.
func (cn *conn) checkAlive(timeout time.Duration) *failure {
	if !cn.dirty && time.Since(cn.used) < checkIdleAfter {
		return nil
	}
	cn.wire.setTimeout(min(5*time.Second, timeout/4))
	if err := cn.client.Reset(); err != nil {
		return &failure{step: stepConnect, err: errStale}
	}
	cn.wire.setTimeout(0)
	cn.dirty = false
	return nil
}

var errStale = errors.New("the server has closed the connection")

// accepts returns nil, or the verdict on an email that the server announced it can't accept.
func (cn *conn) accepts(e *email) *send.Result {
	switch {
	case e.utf8 && !cn.utf8:
		return &send.Result{Verdict: send.VerdictPermanent, Code: "5.6.7",
			Detail: "the address has non-ASCII letters, which the mail server can't take (it offers no SMTPUTF8); the domain can be written in its xn-- form"}
	case cn.size > 0 && int64(len(e.data)) > cn.size:
		return &send.Result{Verdict: send.VerdictPermanent, Code: "5.3.4",
			Detail: fmt.Sprintf("the message has %d bytes as mail; the mail server takes at most %d", len(e.data), cn.size)}
	}
	return nil
}

// mailFrom starts the transaction.
func (cn *conn) mailFrom(from string, e *email) *failure {
	cn.client.SkipSMTPUTF8(!e.utf8) // requested without need, it makes later servers refuse the message
	if err := cn.client.Mail("<" + from + ">"); err != nil {
		return &failure{step: stepSender, err: err}
	}
	return nil
}

// deliver does the rest of the transaction. It calls known when the server has accepted the recipient.
func (cn *conn) deliver(e *email, known func()) *failure {
	if err := cn.client.Rcpt("<" + e.to + ">"); err != nil {
		return &failure{step: stepRecipient, err: err}
	}
	known()
	body, err := cn.client.Data()
	if err != nil {
		return &failure{step: stepData, err: err}
	}
	if cn.tracer != nil {
		cn.tracer(false, e.data)
	}
	_, wrote := body.Write(e.data)
	// Close is called after a failed write too: the server may have replied before it closed. The end
	// of the data can't be sent after a failed write.
	err = body.Close()
	cut := wrote != nil || cn.wire.broken.Load()
	if took, ok := body.(*smtp.DataCloser); ok && cn.tracer != nil && err == nil {
		cn.tracer(true, []byte("250 "+took.ServerResponse()))
	}
	var reply *textproto.Error
	switch {
	case err == nil && !cut:
		return nil
	case errors.As(err, &reply):
		return &failure{step: stepEnd, err: err, truncated: cut}
	case cut:
		if wrote != nil {
			err = wrote
		}
		return &failure{step: stepContent, err: err, truncated: true}
	}
	return &failure{step: stepEnd, err: err}
}
