// Package whatsapp is the channel that sends through Meta's WhatsApp Cloud API: free
// text and files and approved templates, one POST per message, and the handler of Meta's
// webhooks (NewHooks). Files are uploaded before the first message (Prepare).
//
// A rendered content is a part of the request: Meta's "type" and the object, such as "text" or
// "template", that it names. Send adds the recipient in front, so the content that intake checked is sent
// byte for byte.
//
// The API has no idempotency key, so a message is sent again only if Meta certainly
// didn't accept it: nothing of the request was written, or Meta answered with a code
// that says so. To know that, the driver speaks only HTTP/1.1, one message per
// connection at a time. It follows no redirect: the other host would get the token.
//
// How it fails: by Meta's code, whatever the HTTP status (see meaning). Without a
// readable response the outcome is unknown. A failure that every message would have
// (token, permission, payment, a redirect) holds the channel; a template that is
// invalid or paused holds the sending. A Detail contains no contact, cell or token.
package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/httppost"
)

const defaultVersion = "v23.0"

// Options configure a WhatsApp channel (docs/contract.md 11).
type Options struct {
	BaseURL       string
	Version       string // such as v23.0
	PhoneNumberID string // the id of the sending number, digits; required
	Token         string // the access token; "" on a hub whose workers alone have it, with ReadToken

	// ReadToken reads the token again. It is called when Meta refuses the one in use, so
	// that a replaced token is used without a reload; nil: it never changes.
	// Its error must not contain the token.
	ReadToken func() (string, error)

	Timeout     time.Duration   // of one request and its response
	Concurrency int             // connections kept for reuse; 0: 1
	Tracer      send.WireTracer // gets each request and response; nil: none
	// Quota counts the different contacts of a moving 24 hours (daily_contacts); nil: no limit. Meta's limit is
	// per business portfolio and counts messages outside of a conversation that the contact began, so every
	// template message is counted and free text isn't. After an error the message isn't sent.
	Quota config.ContactCounter
	// BusinessAccountID is the id of the account whose templates are read; "": none are.
	BusinessAccountID string
	TemplatesRefresh  time.Duration  // age at which they are read again; 0: 10m
	Records           config.Records // keeps a copy of them; nil: they are read after each start

	Files config.MediaFiles // the files that items name; nil: items can't name any

	// Refused returns the counter of the contacts that Meta refused a template today (131049), so that a
	// restart or a reload doesn't try them again; nil: only the driver remembers them. After an error of a
	// counter the message is sent.
	Refused func(template string) config.ContactCounter
}

// Channel is the driver. It implements send.Channel.
type Channel struct {
	client    *httppost.Client
	tokens    *tokens
	quota     config.ContactCounter
	contacts  *contactLimiter
	templates *templateCache // nil: there is no business_account_id
	refused   *refusals
	uploads   *uploads
}

// New returns the channel of options that fit their keys. It returns an error for a token that can't work; the
// error doesn't contain it. It does no I/O and starts nothing.
func New(o Options) (*Channel, error) {
	u, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("read base_url: %w", err)
	}
	if o.Token != "" || o.ReadToken == nil { // else only the workers may have it
		if err := checkToken(o.Token); err != nil {
			return nil, err
		}
	}
	if u.Path == "" {
		u.Path = "/" // JoinPath would make a relative path
	}
	base := u.JoinPath(o.Version)
	t := &tokens{current: o.Token, read: o.ReadToken}
	return &Channel{
		templates: newTemplateCache(o, newGraph(base, t, graphTimeout)),
		client: httppost.New(httppost.Options{URL: base.JoinPath(o.PhoneNumberID, "messages"), Timeout: o.Timeout,
			Header:      http.Header{"Content-Type": {"application/json"}, "User-Agent": {"campaignd"}},
			Connections: o.Concurrency, Tracer: o.Tracer}),
		tokens: t, quota: o.Quota,
		contacts: newContactLimiter(), refused: newRefusals(o.Refused),
		uploads: &uploads{graph: newGraph(base, t, uploadTimeout), number: o.PhoneNumberID, files: o.Files, records: o.Records},
	}, nil
}

// Compile implements send.Channel. An item is {"body": …}, {"text": {"body", "preview_url"}},
// {"template": {"name", "language", "components"}}, or one of image, video and document with
// {"file", "link" or "id", "caption"}, with keys in Meta's spelling or in camel
// case. The error lists every problem.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	// Compiling the original item first gives errors with the places in it.
	if _, err := campaign.Compile(item, names, nil); err != nil {
		return nil, err
	}
	canonical, err := normalize(item)
	if err != nil {
		return nil, err
	}
	return campaign.Compile(canonical, names, nil)
}

// CheckMessage implements send.Channel.
func (c *Channel) CheckMessage(to, content []byte) error {
	if err := c.CheckContact(to); err != nil {
		return err
	}
	return checkContent(content)
}

// CheckContact implements send.LengthChecker.
func (c *Channel) CheckContact(to []byte) error {
	if _, err := newRecipient(to); err != nil {
		return fmt.Errorf("contactCode: %w", err)
	}
	return nil
}

// AcceptsUpTo implements send.LengthChecker: a free text that isn't empty without its values can only be too long.
func (c *Channel) AcceptsUpTo(t *campaign.Template) int {
	if shortest := t.Shortest(); !bytes.HasPrefix(shortest, []byte(textStart)) || checkContent(shortest) != nil {
		return 0
	}
	return maxBody // no character has less than a byte
}

// Batch implements send.Channel: one message per request.
func (c *Channel) Batch() int { return 1 }

// Send implements send.Channel.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	for i, m := range msgs {
		results[i] = c.sendOne(ctx, m)
	}
}

// Receiver implements send.Receiver.
func (c *Channel) Receiver() string { return c.client.Host() }

// Close implements send.Channel.
func (c *Channel) Close() error {
	c.client.Close()
	return nil
}
