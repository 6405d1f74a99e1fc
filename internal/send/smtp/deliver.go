package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

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
	b := c.buffers.Get().(*bytes.Buffer)
	defer c.buffers.Put(b)
	e, err := c.composer.compose(b, m)
	if errors.Is(err, errUnsigned) {
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: err.Error()}
	}
	if err != nil {
		return send.Result{Verdict: send.VerdictPermanent, Detail: err.Error()}
	}
	return c.deliver(ctx, e)
}

// deliver delivers an email over a kept connection, or a new one. If the server has closed the kept
// connection or takes no more messages on it, a new one is made, once. Nothing of the
// message was sent on the old one, so that isn't a second attempt.
func (c *Channel) deliver(ctx context.Context, e *email) send.Result {
	if cn, ok := c.pool.Get(); ok {
		res, failed := c.deliverOver(ctx, cn, e)
		if failed == nil || !failed.needsNewConn() || ctx.Err() != nil {
			return res
		}
	}
	cn, failed := c.connect(ctx)
	if failed != nil {
		return c.classify(ctx, e, failed)
	}
	res, _ := c.deliverOver(ctx, cn, e)
	return res
}

// deliverOver delivers an email over cn, which it returns to the pool or closes.
func (c *Channel) deliverOver(ctx context.Context, cn *conn, e *email) (send.Result, *failure) {
	unbind := cn.wire.bind(ctx)
	failed := cn.checkAlive(c.timeout)
	var refused *send.Result
	if failed == nil {
		if refused = cn.accepts(e); refused == nil {
			failed = cn.transact(c.composer.from.Address, e, c.relays.recipientAccepted)
		}
	}
	alone := unbind()
	if failed != nil && !failed.connReusable() || !alone {
		cn.abort()
	} else {
		cn.dirty = failed != nil && failed.step != stepEnd
		cn.used = time.Now()
		c.pool.Put(cn)
	}
	switch {
	case refused != nil:
		return *refused, nil
	case failed != nil:
		return c.classify(ctx, e, failed), failed
	}
	return send.Result{Verdict: send.VerdictSent, ProviderID: e.id}, nil
}

// checkAlive sends RSET on a connection that was idle or has an unfinished transaction. A dead
// connection must not use up the attempt's time.
func (cn *conn) checkAlive(timeout time.Duration) *failure {
	if !cn.dirty && (cn.used.IsZero() || time.Since(cn.used) < checkIdleAfter) {
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

// needsNewConn reports whether a failure on a kept connection concerns the connection only: the
// server has closed it (also with 421), or takes no more messages on it.
func (f *failure) needsNewConn() bool {
	if f.step > stepSender {
		return false
	}
	return !f.connReusable() || f.connExhausted()
}

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
