package whatsapp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

const (
	// bodyLimit is how much of an answer is read: Meta's have a few hundred bytes.
	bodyLimit = 64 << 10
	// maxKey is the most characters that Meta echoes.
	maxKey = 512
	// quotaAgain is when a quota that couldn't be asked is asked again.
	quotaAgain = time.Minute
)

// one attempts one message.
func (c *Channel) one(ctx context.Context, m *send.Message) send.Result {
	var buf [maxDigits]byte
	contact, err := appendDigits(buf[:0], []byte(m.ContactCode))
	if err != nil {
		return send.Result{Verdict: send.VerdictPermanent, Detail: "the contact's number " + err.Error()}
	}
	template, isTemplate := nameOf(m.Content)
	if !isTemplate && !bytes.HasPrefix(m.Content, []byte(textStart)) || len(m.Key) > maxKey {
		return send.Result{Verdict: send.VerdictPermanent, Detail: errNotOurs.Error()}
	}
	if res, may := c.admit(m, contact, template, isTemplate); !may {
		return res
	}
	return c.post(ctx, m, contact, template)
}

// nameOf is the name of the template that a content is made with; false for one
// that is no template.
func nameOf(content []byte) ([]byte, bool) {
	const key = templateStart + `"name":"`
	rest, ok := bytes.CutPrefix(content, []byte(key))
	end := stringEnd(rest)
	if !ok || end < 0 {
		return nil, false
	}
	return rest[:end], true
}

// admit holds back what Meta is known to refuse now.
func (c *Channel) admit(m *send.Message, contact, template []byte, isTemplate bool) (send.Result, bool) {
	now := time.Now()
	if isTemplate && c.refused.active(contact, template, now) {
		return send.Result{Verdict: send.VerdictPermanent, Code: "131049",
			Detail: "WhatsApp refused this template to the same contact less than 24 hours ago, to keep it from too much marketing; it was not asked again"}, false
	}
	if isTemplate && c.quota != nil {
		switch ok, next, err := c.quota.Allow(contact, now.UTC().Round(0)); {
		case err != nil:
			// Nothing of the message is at fault: it must not use up its attempts.
			return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, RetryAfter: quotaAgain,
				Detail: clip("the contacts of the last 24 hours can't be counted: "+err.Error(), longestSaid)}, false
		case !ok:
			wait := max(next.Sub(now), time.Second)
			return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, RetryAfter: wait,
				Detail: fmt.Sprintf("daily_contacts is reached: the next contact can be sent to at %s", next.UTC().Format(time.RFC3339))}, false
		}
	}
	if wait := c.pace.allow(contact, now, m.Attempt <= 1); wait > 0 {
		return send.Result{Verdict: send.VerdictRetry, RetryAfter: wait,
			Detail: "too many messages to the same contact in a short time: held back so that WhatsApp need not refuse it"}, false
	}
	return send.Result{}, true
}

// request is the body of a POST: the content with its address before it.
func request(m *send.Message, contact []byte) []byte {
	b := make([]byte, 0, len(m.Content)+len(m.Key)+160)
	b = append(b, `{"messaging_product":"whatsapp","recipient_type":"individual","to":"`...)
	b = append(b, contact...)
	b = append(b, `","biz_opaque_callback_data":"`...)
	b = campaign.AppendJSON(b, []byte(m.Key))
	b = append(b, `",`...)
	return append(b, m.Content[1:]...)
}

func (c *Channel) post(ctx context.Context, m *send.Message, contact, template []byte) send.Result {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	m.SentAt = time.Now().UTC().Round(0)
	token, t := c.tokens.get(), &trace{}
	req, err := http.NewRequestWithContext(t.in(ctx), http.MethodPost, c.url.String(), bytes.NewReader(request(m, contact)))
	if err != nil {
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: "base_url can't be used: check it"}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "campaignd")
	resp, err := c.tap.RoundTrip(c.transport, req) // not a Client: that would follow redirects
	if err != nil {
		return c.failure(ctx, err, t.written())
	}
	v := judge(resp.StatusCode, resp.Header, read(resp.Body), m.Attempt, time.Now())
	if v.said != "" || v.trace != "" {
		v.Detail += v.quote(token, m.ContactCode, m.Content)
	}
	switch v.act {
	case holdToken:
		c.renew(&v.Result, token)
	case throttleTo:
		c.pace.block(contact, time.Now(), v.RetryAfter)
	case notToday:
		if err := c.refused.add(contact, template, time.Now()); err != nil {
			v.Detail += clip("; this is forgotten at the next restart: "+err.Error(), longestSaid)
		}
	}
	return v.Result
}

// renew turns the refusal of an old token into a retry with the new one.
func (c *Channel) renew(res *send.Result, used string) {
	another, err := c.tokens.rejected(used)
	switch {
	case another:
		res.Verdict, res.Hold = send.VerdictRetry, 0
		res.RetryAfter = time.Millisecond
		res.Detail = "the access token was replaced meanwhile: trying with the new one"
	case err != nil:
		res.Detail += "; it can't be read again: " + err.Error()
	}
}

// read reads an answer's body and closes it; nil if it is cut off or too long.
func read(body io.ReadCloser) []byte {
	b, err := io.ReadAll(io.LimitReader(body, bodyLimit+1))
	_ = body.Close() // what was said is known; nothing hangs on it
	if err != nil || len(b) > bodyLimit {
		return nil
	}
	return b
}
