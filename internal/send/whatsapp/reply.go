package whatsapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/send/httppost"
)

// reply is Meta's response: messages or an error.
type reply struct {
	Messages []struct {
		ID     string `json:"id"`
		Status string `json:"message_status"`
	} `json:"messages"`
	Error *replyError `json:"error"`
}

type replyError struct {
	Message   string       `json:"message"`
	Code      *json.Number `json:"code"`
	Subcode   any          `json:"error_subcode"`
	Trace     string       `json:"fbtrace_id"`
	Transient bool         `json:"is_transient"`
	// Data is an object with "details"; of other parts of Graph it can be anything.
	Data any `json:"error_data"`
}

// noSuchObject is the subcode of 100 for an unknown or forbidden phone_number_id. Every
// message would be refused for it.
const noSuchObject = 33.0

// verdict is the result of a response.
type verdict struct {
	send.Result
	action   action
	metaText string // Meta's own text; it may contain contact data until quote has redacted it
	trace    string // the id that Meta's support asks for
}

// classify returns the verdict on a response. attempt counts from 1; now is for a Retry-After with a date.
func classify(status int, header http.Header, body []byte, attempt int, now time.Time) verdict {
	var r reply
	var odd *json.UnmarshalTypeError // a member of an unexpected type is ignored, the rest is read
	if err := json.Unmarshal(body, &r); err != nil && !errors.As(err, &odd) {
		return unreadable(status, header, now)
	}
	if e := r.Error; e != nil {
		code, err := int64(0), error(nil)
		if e.Code == nil {
			return unreadable(status, header, now)
		}
		if code, err = e.Code.Int64(); err != nil {
			return unreadable(status, header, now)
		}
		return refusal(status, header, e, code, attempt, now)
	}
	if status < 200 || status > 299 || len(r.Messages) != 1 || r.Messages[0].ID == "" {
		return unreadable(status, header, now)
	}
	res := send.Result{Verdict: send.VerdictSent, ProviderID: r.Messages[0].ID}
	switch r.Messages[0].Status {
	case "", "accepted":
	case "held_for_quality_assessment":
		res.Detail = "accepted, but WhatsApp holds it until the template's quality is assessed"
	case "paused":
		res.Detail = "accepted, but WhatsApp has paused the template and may not deliver it"
	}
	return verdict{Result: res}
}

// refusal returns the verdict on an error with a code.
func refusal(status int, header http.Header, e *replyError, code int64, attempt int, now time.Time) verdict {
	a, words := meaning(code)
	if code == 100 && e.Subcode == noSuchObject {
		a, words = holdChannel, "WhatsApp doesn't know phone_number_id, or the token may not use it: check both"
	}
	res := send.Result{Code: strconv.FormatInt(code, 10), Detail: words}
	switch a {
	case throttle:
		res.Verdict, res.RetryAfter = send.VerdictThrottled, requestedWait(header, now)
	case throttleContact:
		res.Verdict, res.RetryAfter = send.VerdictRecipientBusy, max(contactWait(attempt), requestedWait(header, now))
	case later:
		res.Verdict, res.RetryAfter = send.VerdictRecipientBusy, max(laterWait, requestedWait(header, now))
	case ambiguous:
		res.Verdict = send.VerdictUnknown
	case holdToken, holdChannel:
		res.Verdict, res.Hold = send.VerdictHold, send.HoldChannel
	case holdSending:
		res.Verdict, res.Hold = send.VerdictHold, send.HoldSending
	case permanent:
		res.Verdict = send.VerdictPermanent
	case badContact, refusedToday, optedOut:
		res.Verdict, res.OptOut = send.VerdictBadRecipient, a == optedOut
	default:
		switch {
		case status == http.StatusTooManyRequests:
			res.Verdict, res.RetryAfter = send.VerdictThrottled, requestedWait(header, now)
		case status == http.StatusUnauthorized:
			a, res.Verdict, res.Hold = holdToken, send.VerdictHold, send.HoldChannel
			res.Detail = "WhatsApp doesn't accept the access token: put a valid one into token_file"
		case e.Transient:
			res.Verdict, res.RetryAfter = send.VerdictRetry, requestedWait(header, now)
		case status >= 400 && status < 500:
			res.Verdict = send.VerdictPermanent
		default:
			res.Verdict = send.VerdictUnknown
		}
	}
	return verdict{res, a, e.text(), e.Trace}
}

// unreadable returns the verdict, by status, on a response that isn't Meta's: it may come from a
// proxy or another server.
func unreadable(status int, header http.Header, now time.Time) verdict {
	res := send.Result{Code: "HTTP " + strconv.Itoa(status), Detail: fmt.Sprintf("the answer was HTTP %d %s without a readable body", status, http.StatusText(status))}
	hold := func(advice string) {
		res.Verdict, res.Hold = send.VerdictHold, send.HoldChannel
		res.Detail += advice
	}
	a := unlisted
	switch {
	case status >= 300 && status < 400:
		res.Detail = fmt.Sprintf("the answer was HTTP %d, a redirect, which is not followed because the other host would get the token", status)
		hold(": check base_url")
	case status == http.StatusUnauthorized:
		a = holdToken
		hold(": check token_file")
	case status == http.StatusForbidden:
		hold(": check the token's permissions, and the proxy if there is one")
	case status == http.StatusProxyAuthRequired:
		hold(": check the proxy at base_url")
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		hold(": check base_url, version and phone_number_id")
	case status == http.StatusTooManyRequests:
		res.Verdict, res.RetryAfter = send.VerdictThrottled, requestedWait(header, now)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		res.Verdict, res.RetryAfter = send.VerdictRetry, requestedWait(header, now)
	case status >= 400 && status < 500:
		res.Verdict = send.VerdictPermanent
	default:
		res.Verdict = send.VerdictUnknown
	}
	return verdict{Result: res, action: a}
}

// laterWait is the wait after a temporary condition of a template (134101, 132069). It isn't the
// recipient's fault, but the same schedule fits: a retry without a limit of attempts.
const laterWait = 10 * time.Minute

// contactWait returns the wait for one contact after an attempt: 4, 16, 64, then 256 s.
func contactWait(attempt int) time.Duration {
	return time.Second << (2 * min(max(attempt, 1), 4))
}

// maxRequestedWait limits the wait that a response can request.
const maxRequestedWait = 24 * time.Hour

// requestedWait returns the wait that a response requests: the longer of Retry-After (RFC 9110, 10.2.3) and
// Meta's estimate in minutes.
func requestedWait(header http.Header, now time.Time) time.Duration {
	wait := httppost.RetryAfter(header, now)
	var usage map[string][]struct {
		Minutes float64 `json:"estimated_time_to_regain_access"`
	}
	if json.Unmarshal([]byte(header.Get("X-Business-Use-Case-Usage")), &usage) == nil {
		for _, of := range usage {
			for _, u := range of {
				minutes := min(max(u.Minutes, 0), maxRequestedWait.Minutes())
				wait = max(wait, time.Duration(minutes*float64(time.Minute)))
			}
		}
	}
	return min(max(wait, 0), maxRequestedWait)
}

// text returns Meta's own text on an error.
func (e *replyError) text() string {
	if data, ok := e.Data.(map[string]any); ok {
		if words, _ := data["details"].(string); words != "" {
			return words
		}
	}
	return e.Message
}
