package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/send/httppost"
)

// classify returns the verdict on a response, by its status (docs/contract.md 8; RFC 9110, 15; 429:
// RFC 6585, 4).
func classify(resp *http.Response, body []byte, now time.Time) send.Result {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return send.Result{Verdict: send.VerdictSent, ProviderID: providerID(resp.Header, body)}
	}
	res := send.Result{Verdict: verdictOn(code), Code: strconv.Itoa(code), Detail: describeStatus(code)}
	switch res.Verdict {
	case send.VerdictHold:
		res.Hold = send.HoldChannel
		res.Detail += remedy(resp)
	case send.VerdictNoEndpoint:
		res.Detail += "; if it refuses every message, check the channel's url"
	case send.VerdictThrottled, send.VerdictRetry:
		res.RetryAfter = httppost.RetryAfter(resp.Header, now)
		res.MaybeDelivered = fromProxy(code)
	}
	return res
}

// verdictOn returns the verdict on a final status other than 2xx.
func verdictOn(code int) send.Verdict {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusUnsupportedMediaType:
		return send.VerdictHold
	case http.StatusNotFound, http.StatusGone:
		return send.VerdictNoEndpoint
	case http.StatusTooManyRequests:
		return send.VerdictThrottled
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return send.VerdictRetry
	}
	switch code / 100 {
	case 3:
		return send.VerdictHold
	case 4:
		return send.VerdictPermanent
	case 5, 6, 7, 8, 9:
		return send.VerdictRetry
	}
	return send.VerdictUnknown // a 1xx is no final response of HTTP/1.1
}

// fromProxy reports whether a status says that a proxy lost or didn't understand the
// application's answer: the application may have accepted the message. 520 and 524 are
// Cloudflare's.
func fromProxy(code int) bool {
	return code == http.StatusBadGateway || code == http.StatusGatewayTimeout || code == 520 || code == 524
}

// remedy says what to do about a status that holds the channel.
func remedy(resp *http.Response) string {
	switch code := resp.StatusCode; {
	case code < 400:
		return ", a redirect" + redirectHost(resp) + ", which is not followed: set url to the new address"
	case code == http.StatusMethodNotAllowed:
		return ": it takes no POST there; check the channel's url"
	case code == http.StatusUnsupportedMediaType:
		return ": it takes no JSON there; check the channel's url and headers"
	case code == http.StatusProxyAuthRequired:
		return ": a proxy on the way wants a login; check HTTP_PROXY in this process's environment, or have the receiver's proxy fixed"
	}
	return "; check the channel's headers and secret_file, then reload"
}

func describeStatus(code int) string {
	text := http.StatusText(code)
	if text == "" {
		return fmt.Sprintf("the receiver answered %d", code)
	}
	return fmt.Sprintf("the receiver answered %d %s", code, text)
}

// redirectHost names the host of a redirect. The rest of the address isn't repeated: it may contain contact data.
func redirectHost(resp *http.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Host == "" || len(u.Host) > 255 {
		return ""
	}
	return fmt.Sprintf(" to the host %q", u.Host)
}

// longestID is the longest provider id that is kept, in bytes.
const longestID = 200

// providerID returns the receiver's id for the message: "id" of a JSON response, a
// string or a number, otherwise the header X-Message-Id, otherwise "".
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

// printable returns s if it can be an id, otherwise "".
func printable(s string) string {
	odd := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }
	if len(s) > longestID || strings.ContainsFunc(s, odd) {
		return ""
	}
	return s
}
