package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// The calls of Client mirror Service. The daemon identifies the caller and
// resolves text to a sending.

// sendingPath returns the escaped path of a sending, so that no text can name another path.
func sendingPath(text, verb string) string {
	path := "/v1/sendings/" + url.PathEscape(text)
	if verb != "" {
		path += "/" + verb
	}
	return path
}

// Sendings returns the sendings that pass the filter, newest first.
func (c *Client) Sendings(ctx context.Context, f api.Filter) (list []api.Sending, err error) {
	query := url.Values{}
	for _, s := range f.States {
		query.Add("state", string(s))
	}
	setNumber(query, "application", f.Application)
	setNumber(query, "offset", int64(f.Offset))
	setNumber(query, "limit", int64(f.Limit))
	if f.Name != "" {
		query.Set("name", f.Name)
	}
	setInstant(query, "since", f.Since)
	err = c.do(ctx, http.MethodGet, "/v1/sendings", query, nil, &list)
	return list, err
}

// Sending returns everything about one sending.
func (c *Client) Sending(ctx context.Context, text string) (d api.Details, err error) {
	err = c.do(ctx, http.MethodGet, sendingPath(text, ""), nil, nil, &d)
	return d, err
}

// Pause stops a sending until Resume.
func (c *Client) Pause(ctx context.Context, text string) (ch api.Change, err error) {
	err = c.do(ctx, http.MethodPost, sendingPath(text, "pause"), nil, nil, &ch)
	return ch, err
}

// Resume continues a paused or held sending.
func (c *Client) Resume(ctx context.Context, text string) (ch api.Change, err error) {
	err = c.do(ctx, http.MethodPost, sendingPath(text, "resume"), nil, nil, &ch)
	return ch, err
}

// Cancel ends a sending permanently.
func (c *Client) Cancel(ctx context.Context, text string) (ch api.Change, err error) {
	err = c.do(ctx, http.MethodPost, sendingPath(text, "cancel"), nil, nil, &ch)
	return ch, err
}

// ResumeAll resumes every held sending.
func (c *Client) ResumeAll(ctx context.Context) (list []api.Change, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/resume", nil, nil, &list)
	return list, err
}

// ResumeChannel lets a channel that isn't ok try a message immediately.
func (c *Client) ResumeChannel(ctx context.Context, channel api.ChannelResume) (list []api.ResumedChannel, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/channels/resume", nil, channel, &list)
	return list, err
}

// Reschedule gives a sending that has not begun another time.
func (c *Client) Reschedule(ctx context.Context, text string, when api.NewTime) (r api.Rescheduled, err error) {
	err = c.do(ctx, http.MethodPost, sendingPath(text, "reschedule"), nil, when, &r)
	return r, err
}

type resendRequest struct {
	Outcomes []api.ResendOutcome `json:"outcomes"`
	DryRun   *bool               `json:"dryRun,omitempty"` // count the messages only; true if it is absent
}

// Resend plans the messages with one of the outcomes again.
func (c *Client) Resend(ctx context.Context, text string, outcomes []api.ResendOutcome, dryRun bool) (r api.Resent, err error) {
	err = c.do(ctx, http.MethodPost, sendingPath(text, "resend"), nil, resendRequest{outcomes, &dryRun}, &r)
	return r, err
}

// Results copies results.csv, or what f selects of it, to w.
func (c *Client) Results(ctx context.Context, text string, f api.ResultsFilter, w io.Writer) error {
	query := url.Values{"outcome": names(f.Outcomes)}
	if f.Plain {
		query.Set("plain", "true")
	}
	return c.do(ctx, http.MethodGet, sendingPath(text, "results"), query, nil, func(resp *http.Response) error {
		if _, err := io.Copy(w, resp.Body); err != nil {
			return fmt.Errorf("copy results: %w", err)
		}
		return nil
	})
}

// Timeline returns the next 48 h of one application, or of all for 0, with at most limit sendings
// of each, or all for 0.
func (c *Client) Timeline(ctx context.Context, application int64, limit int) (t api.Timeline, err error) {
	query := url.Values{}
	setNumber(query, "application", application)
	setNumber(query, "limit", int64(limit))
	err = c.do(ctx, http.MethodGet, "/v1/timeline", query, nil, &t)
	return t, err
}

// Reserved returns the application's reserved slots that start in [from, until).
func (c *Client) Reserved(ctx context.Context, application int64, from, until time.Time) (b api.Reservations, err error) {
	query := url.Values{"from": {from.UTC().Format(time.RFC3339Nano)}, "until": {until.UTC().Format(time.RFC3339Nano)}}
	setNumber(query, "application", application)
	err = c.do(ctx, http.MethodGet, "/v1/reserved", query, nil, &b)
	return b, err
}

// Earlier returns the sending that a drop with this digest would repeat.
func (c *Client) Earlier(ctx context.Context, application int64, digest string) (e api.EarlierDrop, err error) {
	query := url.Values{"digest": {digest}}
	setNumber(query, "application", application)
	err = c.do(ctx, http.MethodGet, "/v1/earlier", query, nil, &e)
	return e, err
}

type counted struct {
	Count int `json:"count"`
}

// AddOptOuts adds opt-outs and returns how many were new.
func (c *Client) AddOptOuts(ctx context.Context, list []api.OptOut) (int, error) {
	var n counted
	err := c.do(ctx, http.MethodPost, "/v1/suppressions", nil, list, &n)
	return n.Count, err
}

// RemoveOptOuts removes opt-outs and returns how many it found.
func (c *Client) RemoveOptOuts(ctx context.Context, list []api.OptOut) (int, error) {
	var n counted
	err := c.do(ctx, http.MethodPost, "/v1/suppressions/remove", nil, list, &n)
	return n.Count, err
}

// Forget removes a contact from the store and the folders, and keeps it suppressed.
func (c *Client) Forget(ctx context.Context, contact string) (done api.Forgotten, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/forget", nil, forgetRequest{contact}, &done)
	return done, err
}

// OptOuts calls yield for every opt-out of the application, or of all for 0.
func (c *Client) OptOuts(ctx context.Context, application int64, yield func(api.OptOut) error) error {
	query := url.Values{}
	setNumber(query, "application", application)
	return c.do(ctx, http.MethodGet, "/v1/suppressions", query, nil, func(resp *http.Response) error {
		dec := json.NewDecoder(resp.Body)
		if _, err := dec.Token(); err != nil {
			return fmt.Errorf("read suppressions: %w", err)
		}
		for dec.More() {
			var s api.OptOut
			if err := dec.Decode(&s); err != nil {
				return fmt.Errorf("read suppressions: %w", err)
			}
			if err := yield(s); err != nil {
				return err
			}
		}
		if _, err := dec.Token(); err != nil {
			return fmt.Errorf("read suppressions: %w", err)
		}
		return nil
	})
}

// ImportOptOuts adds the rows of a CSV (contactCode, optional channelType).
func (c *Client) ImportOptOuts(ctx context.Context, application int64, csv io.Reader) (r api.Imported, err error) {
	query := url.Values{}
	setNumber(query, "application", application)
	// NopCloser: the caller closes its own file.
	err = c.do(ctx, http.MethodPost, "/v1/suppressions/import", query, io.NopCloser(csv), &r)
	return r, err
}

// Status describes the daemon now.
func (c *Client) Status(ctx context.Context) (s api.Status, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/status", nil, nil, &s)
	return s, err
}

// Doctor runs the daemon's own checks; deep also reads the whole store.
func (c *Client) Doctor(ctx context.Context, deep bool) (list []api.Finding, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/doctor", url.Values{"deep": {strconv.FormatBool(deep)}}, nil, &list)
	return list, err
}

// Templates returns the message templates that the channels' receivers have.
func (c *Client) Templates(ctx context.Context, application int64, channel string) (list []api.ChannelTemplates, err error) {
	query := url.Values{}
	setNumber(query, "application", application)
	if channel != "" {
		query.Set("channel", channel)
	}
	err = c.do(ctx, http.MethodGet, "/v1/templates", query, nil, &list)
	return list, err
}

// Audit returns the audit trail, newest first. The sending's id may be shortened.
func (c *Client) Audit(ctx context.Context, since time.Time, sending string, limit int) (list []api.AuditEntry, err error) {
	query := url.Values{}
	setInstant(query, "since", since)
	if sending != "" {
		query.Set("sending", sending)
	}
	setNumber(query, "limit", int64(limit))
	err = c.do(ctx, http.MethodGet, "/v1/audit", query, nil, &list)
	return list, err
}

// Backup writes a consistent copy of the store to w and returns its size. It
// compares the digest of what arrived with the daemon's.
func (c *Client) Backup(ctx context.Context, w io.Writer) (size int64, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/backup", nil, nil, func(resp *http.Response) error {
		digest := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, digest), resp.Body)
		if err != nil {
			return fmt.Errorf("copy backup: %w", err)
		}
		size = n
		if found, want := hex.EncodeToString(digest.Sum(nil)), resp.Trailer.Get(digestTrailer); found != want {
			return fmt.Errorf("copy backup: its SHA-256 is %s, the daemon wrote %s", found, want)
		}
		return nil
	})
	return size, err
}

// Handover ends the daemon in order so that its standby leads.
func (c *Client) Handover(ctx context.Context) (begun api.Handover, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/handover", nil, nil, &begun)
	return begun, err
}

// Compact makes the daemon return the store's free space to the disk.
func (c *Client) Compact(ctx context.Context) (done api.Compacted, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/compact", nil, nil, &done)
	return done, err
}

// Reload makes the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/v1/reload", nil, nil, nil)
}

func setInstant(query url.Values, key string, at time.Time) {
	if !at.IsZero() {
		query.Set(key, at.UTC().Format(time.RFC3339Nano))
	}
}

func setNumber(query url.Values, key string, n int64) {
	if n != 0 {
		query.Set(key, strconv.FormatInt(n, 10))
	}
}

func names(outcomes []campaign.Outcome) []string {
	list := make([]string, len(outcomes))
	for i, o := range outcomes {
		list[i] = o.String()
	}
	return list
}

// SendTest sends one message immediately and returns its request and reply.
func (c *Client) SendTest(ctx context.Context, m api.TestMessage) (r api.TestResult, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/send-test", nil, m, &r)
	return r, err
}

// LoginCode returns an address of the dashboard that logs in once.
func (c *Client) LoginCode(ctx context.Context) (code api.LoginCode, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/login-code", nil, nil, &code)
	return code, err
}
