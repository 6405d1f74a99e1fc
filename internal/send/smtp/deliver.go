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

// one attempts a message once.
func (c *Channel) one(ctx context.Context, m *send.Message) send.Result {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return send.Result{Verdict: send.VerdictRetry, Detail: "not begun: " + c.ended(ctx)}
	}
	m.SentAt = time.Now().UTC().Round(0)
	l, err := c.writer.write(m)
	if errors.Is(err, errUnsigned) {
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: err.Error()}
	}
	if err != nil {
		return send.Result{Verdict: send.VerdictPermanent, Detail: err.Error()}
	}
	cn, failed := c.begin(ctx, l)
	if failed != nil {
		return c.judge(ctx, l, failed)
	}
	if refused := cn.takes(l); refused != nil {
		c.pool.put(cn)
		return *refused
	}
	unbind := cn.wire.bind(ctx)
	failed = cn.deliver(l, c.relay.works)
	alone := unbind()
	switch {
	case failed != nil && !failed.keeps() || !alone:
		cn.drop()
	default:
		cn.dirty = failed != nil && failed.at != stepEnd
		c.pool.put(cn)
	}
	if failed != nil {
		return c.judge(ctx, l, failed)
	}
	return send.Result{Verdict: send.VerdictSent, ProviderID: l.id}
}

// begin is a connection on which the server has taken our sender. One that was kept
// may have been closed meanwhile; then a new one is made, once. Nothing of the
// message had been given to the old one, so that is no second attempt.
func (c *Channel) begin(ctx context.Context, l *letter) (*conn, *failure) {
	if cn := c.pool.get(); cn != nil {
		unbind := cn.wire.bind(ctx)
		failed := cn.ready(c.timeout)
		if failed == nil && cn.takes(l) == nil {
			failed = cn.sender(c.writer.from.Address, l)
		}
		alone := unbind()
		switch {
		case failed == nil && alone:
			return cn, nil
		case failed != nil && failed.keeps() && alone:
			cn.dirty = true
			c.pool.put(cn)
			return nil, failed
		}
		cn.drop()
		if ctx.Err() != nil {
			return nil, &failure{at: stepSender, err: context.Cause(ctx)}
		}
	}
	cn, failed := c.connect(ctx)
	if failed != nil {
		return nil, failed
	}
	if cn.takes(l) != nil {
		return cn, nil
	}
	unbind := cn.wire.bind(ctx)
	failed = cn.sender(c.writer.from.Address, l)
	alone := unbind()
	if failed == nil && !alone {
		failed = &failure{at: stepSender, err: context.Cause(ctx)}
	}
	switch {
	case failed == nil:
		return cn, nil
	case failed.keeps() && alone:
		cn.dirty = true
		c.pool.put(cn)
	default:
		cn.drop()
	}
	return nil, failed
}

// ready finds out whether a kept connection can be used, if there is reason to doubt it. RSET ends
// what was left half done, too. A dead one must not use up the attempt's time.
func (cn *conn) ready(timeout time.Duration) *failure {
	if !cn.dirty && time.Since(cn.used) < checkAfter {
		return nil
	}
	cn.wire.within(min(5*time.Second, timeout/4))
	if err := cn.client.Reset(); err != nil {
		return &failure{at: stepConnect, err: errStale}
	}
	cn.wire.within(0)
	cn.dirty = false
	return nil
}

var errStale = errors.New("the server has closed the connection")

// takes refuses a letter that the server said it can't take; nil if it can.
func (cn *conn) takes(l *letter) *send.Result {
	switch {
	case l.utf8 && !cn.utf8:
		return &send.Result{Verdict: send.VerdictPermanent, Code: "5.6.7",
			Detail: "the address has letters beyond ASCII, which the mail server can't take (it offers no SMTPUTF8); its domain can be written in its xn-- form"}
	case cn.size > 0 && int64(len(l.data)) > cn.size:
		return &send.Result{Verdict: send.VerdictPermanent, Code: "5.3.4",
			Detail: fmt.Sprintf("the message has %d bytes as mail; the mail server takes %d", len(l.data), cn.size)}
	}
	return nil
}

// sender opens the transaction.
func (cn *conn) sender(from string, l *letter) *failure {
	cn.client.SkipSMTPUTF8(!l.utf8) // asked for without need, it keeps servers further on from taking the message
	if err := cn.client.Mail("<" + from + ">"); err != nil {
		return &failure{at: stepSender, err: err}
	}
	return nil
}

// deliver is the rest of the transaction. known is called when the server has taken the recipient.
func (cn *conn) deliver(l *letter, known func()) *failure {
	if err := cn.client.Rcpt("<" + l.to + ">"); err != nil {
		return &failure{at: stepRecipient, err: err}
	}
	known()
	body, err := cn.client.Data()
	if err != nil {
		return &failure{at: stepData, err: err}
	}
	if cn.tap != nil {
		cn.tap(false, l.data)
	}
	_, wrote := body.Write(l.data)
	// Even if that failed: the server may have said why before it closed. The end
	// of the data can't go out after a failed write.
	err = body.Close()
	cut := wrote != nil || cn.wire.broken.Load()
	if took, ok := body.(*smtp.DataCloser); ok && cn.tap != nil && err == nil {
		cn.tap(true, []byte("250 "+took.ServerResponse()))
	}
	var reply *textproto.Error
	switch {
	case err == nil && !cut:
		return nil
	case errors.As(err, &reply):
		return &failure{at: stepEnd, err: err, cut: cut}
	case cut:
		if wrote != nil {
			err = wrote
		}
		return &failure{at: stepContent, err: err, cut: true}
	}
	return &failure{at: stepEnd, err: err}
}
