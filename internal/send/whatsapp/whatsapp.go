// Package whatsapp is the channel that sends through Meta's WhatsApp Cloud API:
// free text and approved templates, one POST a message, and the handler of the
// webhooks by which Meta tells what became of them (NewHooks).
//
// A rendered content is the part of the request that says what is sent: Meta's
// "type" and the "text" or "template" it names. Send puts the addressing around it. So
// what was checked at intake is byte for byte what goes out.
//
// The API has no idempotency key, so a message is never sent again unless it
// surely was not taken: nothing of the request had been handed to the
// network, or Meta answered with a code that says so. It speaks HTTP/1.1 alone,
// one message a connection at a time, so that this can be told; it
// follows no redirect, since the token would go along.
//
// How it fails: by Meta's code, whatever the HTTP status (see meaning); without a
// readable answer the outcome is unknown. What every message would meet
// (token, permission, payment, a redirect) holds the channel, a template that is
// wrong or paused holds the sending. No contact, cell or token is in a Detail.
package whatsapp

import (
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
)

// What is taken where Options say nothing.
const (
	DefaultBaseURL = "https://graph.facebook.com"
	DefaultVersion = "v23.0"
	defaultTimeout = 30 * time.Second
)

// Options are a WhatsApp channel's configuration (SPEC 11).
type Options struct {
	BaseURL       string // "": DefaultBaseURL
	Version       string // such as v23.0; "": DefaultVersion
	PhoneNumberID string // the id, in digits, of the number that sends; required
	Token         string // the access token; required

	// ReadToken reads the token anew. It is called when Meta refuses the one in use,
	// so that a token that was replaced is taken without a reload; nil: it never changes.
	// Its error must not hold the token.
	ReadToken func() (string, error)

	Timeout     time.Duration   // of one request, its answer included; 0: 30s
	Concurrency int             // connections kept for reuse; 0: 1
	Tracer      send.WireTracer // is shown each request and reply; nil: nobody looks
	Quota       Quota           // the portfolio's limit of different contacts; nil: none
	Refusals    Refusals        // who must not get a template again for a day; nil: known as long as the driver lives
}

// Quota counts different contacts over a moving 24 hours (daily_contacts). Meta's limit is
// per business portfolio and counts messages outside of a conversation that the contact
// began, so it is asked before every template message and not for free text.
// It must outlive the driver and the process: a count that
// forgets lets through what Meta then refuses.
type Quota interface {
	// Allow reports whether a message may go to contact (7 to 15 digits) at the
	// instant at. If so, the contact counts, durably, from at for 24 hours more;
	// one that counts already is always allowed. If not, it returns the instant from
	// which another contact will be allowed, as far as can be said now. contact
	// is valid during the call only. An error means: not known, so not allowed.
	// It is called by many goroutines at once.
	Allow(contact []byte, at time.Time) (ok bool, next time.Time, err error)
}

// Refusals keeps who was refused a template for a day (131049), so that a restart or a reload doesn't
// have Meta asked again. contact (7 to 15 digits) and template are valid during the call
// only. It is called by many goroutines at once.
type Refusals interface {
	// Refuse notes durably that contact must not get template for 24 hours from the instant at on.
	Refuse(contact, template []byte, at time.Time) error
	// Refused reports whether that holds at the instant at. An error means: not known.
	Refused(contact, template []byte, at time.Time) (bool, error)
}

// Channel is the driver. It implements send.Channel.
type Channel struct {
	url       *url.URL
	tokens    *tokens
	timeout   time.Duration
	quota     Quota
	pace      *pace
	refused   *refusals
	transport *http.Transport
	tap       send.WireTracer
}

// New makes the channel. It returns an error for options that can't work; the
// error holds no token. It does no I/O and starts nothing.
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
		return nil, errors.New("base_url must hold no user, no query and no fragment")
	case o.PhoneNumberID == "" || strings.Trim(o.PhoneNumberID, "0123456789") != "":
		return nil, fmt.Errorf("found %q where phone_number_id must be digits", o.PhoneNumberID)
	case strings.ContainsAny(o.Version, "/?# ") || !strings.HasPrefix(o.Version, "v"):
		return nil, fmt.Errorf("found %q where version must be one such as v23.0", o.Version)
	}
	if err := checkToken(o.Token); err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &Channel{
		url:    u.JoinPath(o.Version, o.PhoneNumberID, "messages"),
		tokens: &tokens{current: o.Token, read: o.ReadToken}, timeout: o.Timeout, quota: o.Quota,
		pace: newPace(), refused: newRefusals(o.Refusals), transport: newTransport(o.Timeout, max(o.Concurrency, 1)), tap: o.Tracer,
	}, nil
}

// Compile implements send.Channel: {"body": …}, {"text": {"body", "preview_url"}}
// or {"template": {"name", "language", "components"}}, each key in Meta's spelling or in camel
// case. All that is wrong is in the error.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	// The item as it was written goes first, so that a variable's place is named as it was written.
	if _, err := campaign.Compile(item, names, nil); err != nil {
		return nil, err
	}
	canonical, err := form(item)
	if err != nil {
		return nil, err
	}
	return campaign.Compile(canonical, names, nil)
}

// CheckMessage implements send.Channel.
func (c *Channel) CheckMessage(contactCode, content []byte) error {
	var buf [maxDigits]byte
	if _, err := appendDigits(buf[:0], contactCode); err != nil {
		return fmt.Errorf("contactCode %w", err)
	}
	return checkContent(content)
}

// Batch implements send.Channel: a request each.
func (c *Channel) Batch() int { return 1 }

// Send implements send.Channel.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	for i, m := range msgs {
		results[i] = c.one(ctx, m)
	}
}

// Close implements send.Channel.
func (c *Channel) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}
