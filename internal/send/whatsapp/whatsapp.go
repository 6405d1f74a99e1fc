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
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
	"campaignd/internal/send/httppost"
)

// Defaults of Options.
const (
	DefaultBaseURL = "https://graph.facebook.com"
	DefaultVersion = "v23.0"
	defaultTimeout = 30 * time.Second
)

// Options configure a WhatsApp channel (docs/contract.md 11).
type Options struct {
	BaseURL       string // "": DefaultBaseURL
	Version       string // such as v23.0; "": DefaultVersion
	PhoneNumberID string // the id of the sending number, digits; required
	Token         string // the access token; "" on a hub whose workers alone have it, with ReadToken

	// ReadToken reads the token again. It is called when Meta refuses the one in use, so
	// that a replaced token is used without a reload; nil: it never changes.
	// Its error must not contain the token.
	ReadToken func() (string, error)

	Timeout     time.Duration   // of one request and its response; 0: 30s
	Concurrency int             // connections kept for reuse; 0: 1
	Tracer      send.WireTracer // gets each request and response; nil: none
	Quota       Quota           // the portfolio's limit of different contacts; nil: none
	// BusinessAccountID is the id of the account whose templates are read; "": none are.
	BusinessAccountID string
	TemplatesRefresh  time.Duration // age at which they are read again; 0: 10m
	Records           Records       // keeps a copy of them; nil: they are read after each start

	Files Files // the files that items name; nil: items can't name any

	Refusals Refusals // stores refusals for a day (131049); nil: only the driver remembers them
}

// Quota counts different contacts in a moving 24 hours (daily_contacts). Meta's limit is
// per business portfolio and counts messages outside of a conversation that the contact
// began, so every template message is counted and free text isn't. The count must outlive
// the process: without it, messages are sent that Meta refuses.
type Quota interface {
	// Allow reports whether a message may be sent to contact (7 to 15 digits, or a user id) at the instant
	// at. If so, it counts the contact, durably, for 24 hours from at. A counted contact
	// is always allowed. If not, it returns the earliest instant at which another contact
	// will be allowed. contact is valid only during the call. After an error the
	// message isn't sent. Allow is called by many goroutines at once.
	Allow(contact []byte, at time.Time) (ok bool, next time.Time, err error)
}

// Refusals stores the contacts and templates that Meta refused for a day (131049), so that a restart
// or a reload doesn't try them again. contact (7 to 15 digits, or a user id) and template are valid
// only during the call. It is called by many goroutines at once.
type Refusals interface {
	// Refuse records durably that contact must not get template for 24 hours from the instant at.
	Refuse(contact, template []byte, at time.Time) error
	// Refused reports whether a refusal is in force at the instant at. After an error the message is sent.
	Refused(contact, template []byte, at time.Time) (bool, error)
}

// Channel is the driver. It implements send.Channel.
type Channel struct {
	client    *httppost.Client
	tokens    *tokens
	quota     Quota
	contacts  *contactLimiter
	templates *templateCache // nil: there is no business_account_id
	refused   *refusals
	uploads   *uploads
}

// New returns the channel. It returns an error for options that can't work; the error
// contains no token. It does no I/O and starts nothing.
func New(o Options) (*Channel, error) {
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	u, err := url.Parse(o.BaseURL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New(`base_url must be one like "https://graph.facebook.com"`)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("base_url must have no user, no query and no fragment")
	case o.PhoneNumberID == "" || strings.Trim(o.PhoneNumberID, "0123456789") != "":
		return nil, fmt.Errorf("found %q where phone_number_id must be digits", o.PhoneNumberID)
	case strings.ContainsAny(o.Version, "/?# ") || !strings.HasPrefix(o.Version, "v"):
		return nil, fmt.Errorf("found %q where version must be one such as v23.0", o.Version)
	}
	if o.Token != "" || o.ReadToken == nil { // else only the workers may have it
		if err := checkToken(o.Token); err != nil {
			return nil, err
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
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
		contacts: newContactLimiter(), refused: newRefusals(o.Refusals),
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

// Close implements send.Channel.
func (c *Channel) Close() error {
	c.client.Close()
	return nil
}
