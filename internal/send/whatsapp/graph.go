package whatsapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// graphTimeout limits one call that isn't a message.
	graphTimeout = 20 * time.Second
	// graphLimit is the longest answer, in bytes.
	graphLimit = 8 << 20
	// templatePages limits the pages of templates: an account may have 6,000.
	templatePages = 100
	templatePage  = "200"
)

// graph calls those parts of Meta's API that don't send messages.
type graph struct {
	base   *url.URL // with the version
	client *http.Client
	tokens *tokens
}

func newGraph(base *url.URL, t *tokens, timeout time.Duration) *graph {
	return &graph{base: base, tokens: t, client: &http.Client{Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}} // the other host would get the token
}

// graphError is an answer that isn't a success. Its text has no token.
type graphError struct {
	text       string
	retryAfter time.Duration // of a rate limit
	token      bool          // Meta refuses the token
	action     action
	status     int // of HTTP
}

func (e *graphError) Error() string { return e.text }

// subject has the words about what a call concerns.
type subject struct {
	object     string // the key that names the object
	permission string // what the token needs
}

// lacks begins the text of an error about a missing permission.
func (s subject) lacks() string { return "the token lacks the permission " + s.permission }

func aboutTemplates() subject { return subject{"business_account_id", "whatsapp_business_management"} }
func aboutMedia() subject     { return subject{"phone_number_id", "whatsapp_business_messaging"} }

// call makes a request and decodes the answer. It reads a refused token again once.
func (g *graph) call(ctx context.Context, about subject, request func() (*http.Request, error), answer any) error {
	for again := true; ; again = false {
		token := g.tokens.get()
		if token == "" {
			return errNoToken
		}
		err := g.try(ctx, about, request, token, answer)
		var refused *graphError
		if !errors.As(err, &refused) || !refused.token || !again {
			return err
		}
		if another, renewErr := g.tokens.rejected(token); !another {
			return errors.Join(err, renewErr)
		}
	}
}

func (g *graph) try(ctx context.Context, about subject, request func() (*http.Request, error), token string, answer any) error {
	req, err := request()
	if err != nil {
		return err
	}
	req = req.WithContext(ctx)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", "campaignd")
	resp, err := g.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its text has the whole address
			err = u.Err
		}
		return fmt.Errorf("WhatsApp can't be reached: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, graphLimit))
	if err != nil {
		return fmt.Errorf("WhatsApp's answer can't be read: %w", err)
	}
	var r reply
	_ = json.Unmarshal(body, &r) // without an error in it, the status decides
	if r.Error != nil || resp.StatusCode < 200 || resp.StatusCode > 299 {
		return graphRefusal(resp, r.Error, about, time.Now())
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return errors.New("WhatsApp's answer isn't understood: check base_url and version")
	}
	return nil
}

// graphRefusal returns the error of an answer that isn't a success.
func graphRefusal(resp *http.Response, e *replyError, about subject, now time.Time) error {
	code := int64(-1)
	if e != nil && e.Code != nil {
		if n, err := e.Code.Int64(); err == nil {
			code = n
		}
	}
	if code < 0 {
		return &graphError{text: fmt.Sprintf("the answer was HTTP %d without a readable body: check base_url and version", resp.StatusCode),
			token: resp.StatusCode == http.StatusUnauthorized, retryAfter: requestedWait(resp.Header, now), status: resp.StatusCode}
	}
	a, words := meaning(code)
	switch {
	case code == 100 && e.Subcode == noSuchObject || code == 33:
		a, words = holdChannel, "WhatsApp doesn't know "+about.object+", or "+about.lacks()
	case code == 3 || code == 10 || code == 131005 || code >= 200 && code <= 299:
		words = about.lacks() + ": give it to the system user whose token this is"
	}
	return &graphError{text: fmt.Sprintf("%s (code %d)", words, code), token: a == holdToken, retryAfter: requestedWait(resp.Header, now), action: a, status: resp.StatusCode}
}

// templates reads all templates of a business account.
func (g *graph) templates(ctx context.Context, account string) (list []AccountTemplate, err error) {
	query := url.Values{"fields": {"name,language,status,category,parameter_format,components"}, "limit": {templatePage}}
	for range templatePages {
		var page struct {
			Data   []graphTemplate `json:"data"`
			Paging struct {
				Cursors struct {
					After string `json:"after"`
				} `json:"cursors"`
				Next string `json:"next"`
			} `json:"paging"`
		}
		u := g.base.JoinPath(account, "message_templates")
		u.RawQuery = query.Encode()
		if err := g.call(ctx, aboutTemplates(), func() (*http.Request, error) { return http.NewRequest(http.MethodGet, u.String(), nil) }, &page); err != nil {
			return nil, err
		}
		for i := range page.Data {
			list = append(list, page.Data[i].account())
		}
		if page.Paging.Next == "" {
			return list, nil
		}
		after := page.Paging.Cursors.After
		if next, err := url.Parse(page.Paging.Next); err == nil && after == "" {
			after = next.Query().Get("after") // only the cursor: the address may be another host's
		}
		if after == "" || after == query.Get("after") {
			return nil, errors.New("WhatsApp's list of templates doesn't end")
		}
		query.Set("after", after)
	}
	return nil, fmt.Errorf("the account has more than %d pages of templates", templatePages)
}
