package whatsapp

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
	"campaignd/internal/send/httppost"
)

const (
	// maxKey is the longest biz_opaque_callback_data, in characters.
	maxKey = 512
	// quotaRetry is the wait after an error of the quota.
	quotaRetry = time.Minute
	// codeRefusedToday refuses a template to a contact for a day.
	codeRefusedToday = "131049"
)

// addressed is what the rules about a message need.
type addressed struct {
	to         recipient
	template   []byte
	isTemplate bool
}

// sendOne makes one attempt at a message.
func (c *Channel) sendOne(ctx context.Context, m *send.Message) send.Result {
	var buf [maxDigits]byte
	a, res, may := c.address(buf[:0], m)
	if !may {
		return res
	}
	if res, may := c.admit(m, a.to.text, a.template, a.isTemplate); !may {
		return res
	}
	return c.post(ctx, m, a.to, a.template)
}

// Admit implements send.Admitter.
func (c *Channel) Admit(m *send.Message) (send.Result, bool) {
	var buf [maxDigits]byte
	a, res, may := c.address(buf[:0], m)
	if !may {
		return res, false
	}
	return c.admit(m, a.to.text, a.template, a.isTemplate)
}

// Answered implements send.Admitter.
func (c *Channel) Answered(m *send.Message, res *send.Result) {
	if res.Code != codeRefusedToday {
		return
	}
	var buf [maxDigits]byte
	if a, _, ok := c.address(buf[:0], m); ok {
		c.noteRefused(a.to.text, a.template, res)
	}
}

// noteRefused keeps that a contact doesn't get a template for a day. What can't be stored is said in res.
func (c *Channel) noteRefused(contact, template []byte, res *send.Result) {
	if err := c.refused.add(contact, template, time.Now()); err != nil {
		res.Detail += clip("; this can't be stored and is forgotten at the next restart: "+err.Error(), maxQuoteLen)
	}
}

// address returns false, with the verdict, for a message that can't be sent as it is. buf has
// room for the number.
func (c *Channel) address(buf []byte, m *send.Message) (addressed, send.Result, bool) {
	var a addressed
	var err error
	if a.to, err = parseRecipient(buf, []byte(m.Recipient())); err != nil {
		return a, send.Result{Verdict: send.VerdictPermanent, Detail: err.Error()}, false
	}
	var language []byte
	a.template, language, a.isTemplate = templateOf(m.Content)
	if !a.isTemplate && !bytes.HasPrefix(m.Content, []byte(textStart)) && mediaOf(m.Content) == "" || len(m.Key) > maxKey {
		return a, send.Result{Verdict: send.VerdictPermanent, Detail: errNotAMessage.Error()}, false
	}
	if status := c.templates.status(a.template, language); status != "" {
		return a, send.Result{Verdict: send.VerdictHold, Hold: send.HoldSending,
			Detail: fmt.Sprintf("the template %s (%s) is %s at WhatsApp: see WhatsApp Manager", a.template, language, status)}, false
	}
	return a, send.Result{}, true
}

// templateOf returns name and language of a content's template, or false for free text.
func templateOf(content []byte) (name, language []byte, ok bool) {
	const key = templateStart + `"name":"`
	rest, ok := bytes.CutPrefix(content, []byte(key))
	end := stringEnd(rest)
	if !ok || end < 0 {
		return nil, nil, false
	}
	name = rest[:end]
	if code, ok := bytes.CutPrefix(rest[end:], []byte(languageStart)); ok {
		language = code[:max(stringEnd(code), 0)]
	}
	return name, language, true
}

// admit returns false, with the verdict, for a message that Meta would refuse now.
func (c *Channel) admit(m *send.Message, contact, template []byte, isTemplate bool) (send.Result, bool) {
	now := time.Now()
	if isTemplate && c.refused.active(contact, template, now) {
		return send.Result{Verdict: send.VerdictBadRecipient, Code: codeRefusedToday,
			Detail: "WhatsApp refused this template to the same contact less than 24 hours ago, because it gets much marketing; WhatsApp was not asked again"}, false
	}
	if isTemplate && c.quota != nil {
		switch ok, next, err := c.quota.Allow(contact, now.UTC().Round(0)); {
		case err != nil:
			// The message isn't at fault, so it must not use up its attempts.
			return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, RetryAfter: quotaRetry,
				Detail: clip("the contacts of the last 24 hours can't be counted: "+err.Error(), maxQuoteLen)}, false
		case !ok:
			wait := max(next.Sub(now), time.Second)
			return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, OwnRule: true, RetryAfter: wait,
				Detail: "daily_contacts is reached: the next contact has to wait until an earlier one is 24 hours old"}, false
		}
	}
	if wait := c.contacts.allow(contact, now, m.Attempt <= 1); wait > 0 {
		return send.Result{Verdict: send.VerdictRecipientBusy, RetryAfter: wait,
			Detail: "too many messages to the same contact in a short time: delayed so that WhatsApp doesn't refuse it"}, false
	}
	return send.Result{}, true
}

// request returns the body of a POST: the content with the recipient in front.
func request(m *send.Message, to recipient) []byte {
	b := make([]byte, 0, len(m.Content)+len(m.Key)+len(to.text)+160)
	b = append(b, `{"messaging_product":"whatsapp","recipient_type":"individual","`...)
	field := `to":"`
	if to.userID {
		field = `recipient":"`
	}
	b = append(append(b, field...), to.text...)
	b = append(b, `","biz_opaque_callback_data":"`...)
	b = campaign.AppendJSON(b, []byte(m.Key))
	b = append(b, `",`...)
	return append(b, m.Content[1:]...)
}

// post makes the request, and again with a newer token if there is one: a refused token sends nothing.
func (c *Channel) post(ctx context.Context, m *send.Message, to recipient, template []byte) send.Result {
	body, token := request(m, to), c.tokens.get()
	v := c.postWith(ctx, token, m, body)
	if v.action == holdToken {
		switch another, err := c.tokens.rejected(token); {
		case another:
			v = c.postWith(ctx, c.tokens.get(), m, body)
		case err != nil:
			v.Detail += "; it can't be read again: " + err.Error()
		}
	}
	switch v.action {
	case permanent:
		c.uploadAgain(&v, m.Content)
	case throttleContact:
		c.contacts.block(to.text, time.Now(), v.RetryAfter)
	case refusedToday:
		c.noteRefused(to.text, template, &v.Result)
	}
	return v.Result
}

// postWith makes one request with a token.
func (c *Channel) postWith(ctx context.Context, token string, m *send.Message, body []byte) verdict {
	m.SentAt = time.Now().UTC().Round(0)
	resp, answer, f := c.client.Post(ctx, []httppost.Field{{Name: "Authorization", Value: "Bearer " + token}}, body)
	if f.Err != nil {
		return verdict{Result: c.client.Unanswered(ctx, f, httppost.Words{Key: "base_url", NoTLS: "check base_url"})}
	}
	v := classify(resp.StatusCode, resp.Header, answer, m.Attempt, time.Now())
	if v.metaText != "" || v.trace != "" {
		v.Detail += v.quote(token, m.ContactCode, m.Content)
	}
	return v
}
