package webhook

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/send"
)

// judge says what an answer means, by its status (RFC 9110, 15; 429: RFC 6585, 4).
func (c *Channel) judge(resp *http.Response, body []byte, now time.Time) send.Result {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return send.Result{Verdict: send.VerdictSent, ProviderID: providerID(resp.Header, body)}
	}
	res := send.Result{Code: strconv.Itoa(code), Detail: answer(code)}
	switch {
	case code >= 300 && code < 400:
		res.Verdict, res.Hold = send.VerdictHold, send.HoldChannel
		res.Detail += ", a redirect" + to(resp) + "; it is not followed: set url to where it leads"
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusProxyAuthRequired:
		res.Verdict, res.Hold = send.VerdictHold, send.HoldChannel
		res.Detail += "; check the channel's headers and secret_file"
	case code == http.StatusTooManyRequests:
		res.Verdict, res.SlowDown = send.VerdictRetry, true
		res.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code >= 500:
		res.Verdict = send.VerdictRetry
		res.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	case code >= 400:
		res.Verdict = send.VerdictPermanent
	default: // 1xx other than 100 to 103 would end here: nothing that an HTTP/1.1 server may end with
		res.Verdict = send.VerdictUnknown
	}
	return res
}

func answer(code int) string {
	text := http.StatusText(code)
	if text == "" {
		return fmt.Sprintf("the receiver answered %d", code)
	}
	return fmt.Sprintf("the receiver answered %d %s", code, text)
}

// to names the host of a redirect: the rest of its address may hold anything.
func to(resp *http.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Host == "" || len(u.Host) > 255 {
		return ""
	}
	return fmt.Sprintf(" to the host %q", u.Host)
}

// retryAfter reads a Retry-After (RFC 9110, 10.2.3): seconds, or a date. 0 if
// there is none, it is past, or it can't be read.
func retryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}

// longestID is the most of a provider's id that is kept.
const longestID = 200

// providerID is the receiver's id for the message: "id" of a JSON answer, a
// string or a number, else the header X-Message-Id, else "".
func providerID(header http.Header, body []byte) string {
	var reply struct {
		ID any `json:"id"`
	}
	if len(body) > 1 && body[0] == '{' {
		dec := json.NewDecoder(strings.NewReader(string(body)))
		dec.UseNumber()
		if dec.Decode(&reply) == nil {
			switch id := reply.ID.(type) {
			case string:
				return printable(id)
			case json.Number:
				return printable(id.String())
			}
		}
	}
	return printable(header.Get("X-Message-Id"))
}

// printable is s if it can be an id, else "".
func printable(s string) string {
	if len(s) > longestID {
		return ""
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return ""
		}
	}
	return s
}

// failure says what an attempt without an answer means.
func (c *Channel) failure(ctx context.Context, f fault) send.Result {
	err := f.err
	if f.written || f.connected && (f.late || ctx.Err() != nil) {
		// Cut off in the middle, how far it got is not known.
		return send.Result{Verdict: send.VerdictUnknown, Detail: "the request was written, but no answer came: " + c.describe(ctx, f, "it is no HTTP")}
	}
	var (
		certificate *tls.CertificateVerificationError
		plain       tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &certificate):
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel,
			Detail: "the receiver's certificate is not good: " + clip(certificate.Err.Error()) + "; have it mended, or its authority trusted on this host"}
	case errors.As(err, &plain):
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel,
			Detail: "the receiver doesn't speak TLS; check the url's https and port"}
	}
	return send.Result{Verdict: send.VerdictRetry, Detail: "the request could not be written: " + c.describe(ctx, f, "no connection")}
}

// describe words an error without what the receiver wrote, and without the URL,
// whose query may hold a secret.
func (c *Channel) describe(ctx context.Context, f fault, other string) string {
	err := f.err
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case f.late:
		return fmt.Sprintf("nothing within %v", c.timeout)
	case ctx.Err() != nil:
		return "the daemon stopped"
	case errors.As(err, &dns):
		return "the host's name can't be looked up"
	case errors.As(err, &op):
		return clip(op.Op + ": " + op.Err.Error())
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	}
	return other
}

// clip cuts words that may come from the receiver.
func clip(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
