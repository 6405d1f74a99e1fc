package httppost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"campaignd/internal/display"
	"campaignd/internal/send"
	"campaignd/internal/send/tlsfault"
)

// Words are the parts of a verdict's text that differ between drivers.
type Words struct {
	Key   string // the configuration key with the address
	NoTLS string // what to do where it doesn't speak TLS
}

// Unanswered returns the verdict on a Post with ctx that got no response.
func (c *Client) Unanswered(ctx context.Context, f Failure, words Words) send.Result {
	if f.Reach == Written && !tlsfault.CertificateRequired(f.Err) {
		return send.Result{Verdict: send.VerdictUnknown, Detail: "the request was written, but no answer came: " + c.describe(ctx, f)}
	}
	if fault := c.fault(f.Err, words); fault != "" {
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: fault}
	}
	if f.Reach == NotReached {
		return send.Result{Verdict: send.VerdictUnreachable, Detail: c.Host() + " can't be reached: " + c.describe(ctx, f)}
	}
	return send.Result{Verdict: send.VerdictRetry, Unwritten: true, Detail: "the request could not be written: " + c.describe(ctx, f)}
}

// fault returns why no request gets through until somebody changes something, and what to do, or "".
func (c *Client) fault(err error, words Words) string {
	proxy, unreadable := c.proxy()
	if unreadable != nil { // its text may contain a password
		return c.proxyKey() + " in this process's environment can't be read; write it as http://host:port"
	}
	if refused, ok := errors.AsType[*proxyRefusal](err); ok {
		return refused.fault(c.Host(), c.proxyKey())
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == proxyConnect {
		return tlsfault.Describe(err, "the proxy "+proxy.Host, c.proxyKey(), "check "+c.proxyKey())
	}
	return tlsfault.Describe(err, c.Host(), words.Key, words.NoTLS)
}

// proxy returns the proxy for the receiver, or nil if there is none.
func (c *Client) proxy() (*url.URL, error) { return c.transport.Proxy(&http.Request{URL: c.url}) }

// proxyKey names the environment variable with the proxy.
func (c *Client) proxyKey() string { return strings.ToUpper(c.url.Scheme) + "_PROXY" }

// proxyConnect is the operation of net/http's errors about the connection to a proxy.
const proxyConnect = "proxyconnect"

// proxyRefusal is a proxy's answer to CONNECT other than 200. Nothing was handed over to the receiver.
type proxyRefusal struct {
	proxy  string // its host
	status int
}

// onProxyConnect is called with a proxy's answer to CONNECT.
func onProxyConnect(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyRefusal{proxy.Host, resp.StatusCode}
}

// Error implements error. The proxy's own text isn't repeated.
func (e *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy %s answered %d %s", e.proxy, e.status, cmp.Or(http.StatusText(e.status), "without a meaning"))
}

// fault returns what to do about a refusal that doesn't end by itself, or "". key is the environment
// variable with the proxy.
func (e *proxyRefusal) fault(receiver, key string) string {
	switch e.status {
	case http.StatusProxyAuthRequired, http.StatusUnauthorized: // tinyproxy answers a wrong password with 401
		return e.Error() + "; check user and password in " + key + " of this process's environment"
	case http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		return e.Error() + "; have it let this host connect to " + receiver + ", or name that host in NO_PROXY"
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return ""
	}
	if e.status >= 500 {
		return ""
	}
	return e.Error() + "; check " + key + ": there may be no proxy at this address"
}

// maxText limits a text about an error, in bytes.
const maxText = 200

// describe describes the error of f, which ended a Post with ctx.
func (c *Client) describe(ctx context.Context, f Failure) string {
	if refused, ok := errors.AsType[*proxyRefusal](f.Err); ok {
		return refused.Error()
	}
	text := c.describeError(ctx, f)
	if proxy, err := c.proxy(); err == nil && proxy != nil && f.Reach == NotReached {
		return "through the proxy " + proxy.Host + ": " + text
	}
	return text
}

// describeError repeats neither the receiver's text nor the URL, whose query may contain a secret.
func (c *Client) describeError(ctx context.Context, f Failure) string {
	err := f.Err
	op, isOp := errors.AsType[*net.OpError](err)
	if isOp && op.Op == proxyConnect {
		err = op.Err
		op, isOp = errors.AsType[*net.OpError](err)
	}
	errno, isErrno := errors.AsType[syscall.Errno](err)
	switch {
	case f.TimedOut:
		return fmt.Sprintf("nothing within %v", c.timeout)
	case ctx.Err() != nil:
		return "the daemon stopped"
	case isNameError(err):
		return "the host's name can't be resolved"
	case isErrno:
		return errno.Error() // such as "connection refused", without the steps that led to it
	case isOp:
		return display.Clip(op.Op+": "+op.Err.Error(), maxText)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	case strings.HasPrefix(err.Error(), "tls: "):
		return display.Clip(err.Error(), maxText)
	}
	return "the answer was not HTTP"
}

func isNameError(err error) bool {
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}
