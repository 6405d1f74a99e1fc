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

// get asks the daemon for a T.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (answer T, err error) {
	err = c.do(ctx, http.MethodGet, path, query, nil, &answer)
	return answer, err
}

// post makes the daemon do something and returns its answer. body may be nil.
func post[T any](ctx context.Context, c *Client, path string, body any) (answer T, err error) {
	err = c.do(ctx, http.MethodPost, path, nil, body, &answer)
	return answer, err
}

// Sendings returns the sendings that pass the filter, newest first.
func (c *Client) Sendings(ctx context.Context, f api.Filter) ([]api.Sending, error) {
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
	return get[[]api.Sending](ctx, c, "/v1/sendings", query)
}

// Sending returns everything about one sending.
func (c *Client) Sending(ctx context.Context, text string) (api.Details, error) {
	return get[api.Details](ctx, c, sendingPath(text, ""), nil)
}

// Pause stops a sending until Resume.
func (c *Client) Pause(ctx context.Context, text string) (api.Change, error) {
	return post[api.Change](ctx, c, sendingPath(text, "pause"), nil)
}

// Resume continues a paused or held sending.
func (c *Client) Resume(ctx context.Context, text string) (api.Change, error) {
	return post[api.Change](ctx, c, sendingPath(text, "resume"), nil)
}

// Cancel ends a sending permanently.
func (c *Client) Cancel(ctx context.Context, text string) (api.Change, error) {
	return post[api.Change](ctx, c, sendingPath(text, "cancel"), nil)
}

// ResumeAll resumes every held sending.
func (c *Client) ResumeAll(ctx context.Context) ([]api.Change, error) {
	return post[[]api.Change](ctx, c, "/v1/resume", nil)
}

// ResumeChannel lets a channel that isn't ok try a message immediately.
func (c *Client) ResumeChannel(ctx context.Context, channel api.ChannelResume) ([]api.ResumedChannel, error) {
	return post[[]api.ResumedChannel](ctx, c, "/v1/channels/resume", channel)
}

// Reschedule gives a sending that has not begun another time.
func (c *Client) Reschedule(ctx context.Context, text string, when api.NewTime) (api.Rescheduled, error) {
	return post[api.Rescheduled](ctx, c, sendingPath(text, "reschedule"), when)
}

type resendRequest struct {
	Outcomes []api.ResendOutcome `json:"outcomes"`
	DryRun   *bool               `json:"dryRun,omitempty"` // count the messages only; true if it is absent
}

// Resend plans the messages with one of the outcomes again.
func (c *Client) Resend(ctx context.Context, text string, outcomes []api.ResendOutcome, dryRun bool) (api.Resent, error) {
	return post[api.Resent](ctx, c, sendingPath(text, "resend"), resendRequest{outcomes, &dryRun})
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
func (c *Client) Timeline(ctx context.Context, application int64, limit int) (api.Timeline, error) {
	query := url.Values{}
	setNumber(query, "application", application)
	setNumber(query, "limit", int64(limit))
	return get[api.Timeline](ctx, c, "/v1/timeline", query)
}

// Reserved returns the application's reserved slots that start in [from, until).
func (c *Client) Reserved(ctx context.Context, application int64, from, until time.Time) (api.Reservations, error) {
	query := url.Values{"from": {from.UTC().Format(time.RFC3339Nano)}, "until": {until.UTC().Format(time.RFC3339Nano)}}
	setNumber(query, "application", application)
	return get[api.Reservations](ctx, c, "/v1/reserved", query)
}

// Earlier returns the sending that a drop with this digest would repeat.
func (c *Client) Earlier(ctx context.Context, application int64, digest string) (api.EarlierDrop, error) {
	query := url.Values{"digest": {digest}}
	setNumber(query, "application", application)
	return get[api.EarlierDrop](ctx, c, "/v1/earlier", query)
}

type counted struct {
	Count int `json:"count"`
}

// AddOptOuts adds opt-outs and returns how many were new.
func (c *Client) AddOptOuts(ctx context.Context, list []api.OptOut) (int, error) {
	n, err := post[counted](ctx, c, "/v1/suppressions", list)
	return n.Count, err
}

// RemoveOptOuts removes opt-outs and returns how many it found.
func (c *Client) RemoveOptOuts(ctx context.Context, list []api.OptOut) (int, error) {
	n, err := post[counted](ctx, c, "/v1/suppressions/remove", list)
	return n.Count, err
}

// Forget removes a contact from the store and the folders, and keeps it suppressed.
func (c *Client) Forget(ctx context.Context, contact string) (api.Forgotten, error) {
	return post[api.Forgotten](ctx, c, "/v1/forget", forgetRequest{contact})
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
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return get[api.Status](ctx, c, "/v1/status", nil)
}

// Doctor runs the daemon's own checks; deep also reads the whole store.
func (c *Client) Doctor(ctx context.Context, deep bool) ([]api.Finding, error) {
	return get[[]api.Finding](ctx, c, "/v1/doctor", url.Values{"deep": {strconv.FormatBool(deep)}})
}

// Templates returns the message templates that the channels' receivers have.
func (c *Client) Templates(ctx context.Context, application int64, channel string) ([]api.ChannelTemplates, error) {
	query := url.Values{}
	setNumber(query, "application", application)
	if channel != "" {
		query.Set("channel", channel)
	}
	return get[[]api.ChannelTemplates](ctx, c, "/v1/templates", query)
}

// Audit returns the audit trail, newest first. The sending's id may be shortened.
func (c *Client) Audit(ctx context.Context, since time.Time, sending string, limit int) ([]api.AuditEntry, error) {
	query := url.Values{}
	setInstant(query, "since", since)
	if sending != "" {
		query.Set("sending", sending)
	}
	setNumber(query, "limit", int64(limit))
	return get[[]api.AuditEntry](ctx, c, "/v1/audit", query)
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
func (c *Client) Handover(ctx context.Context) (api.Handover, error) {
	return post[api.Handover](ctx, c, "/v1/handover", nil)
}

// Compact makes the daemon return the store's free space to the disk.
func (c *Client) Compact(ctx context.Context) (api.Compacted, error) {
	return post[api.Compacted](ctx, c, "/v1/compact", nil)
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
func (c *Client) SendTest(ctx context.Context, m api.TestMessage) (api.TestResult, error) {
	return post[api.TestResult](ctx, c, "/v1/send-test", m)
}

// LoginCode returns an address of the dashboard that logs in once.
func (c *Client) LoginCode(ctx context.Context) (api.LoginCode, error) {
	return post[api.LoginCode](ctx, c, "/v1/login-code", nil)
}
