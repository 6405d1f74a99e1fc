package whatsapp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/send"
)

const (
	defaultTemplatesRefresh = 10 * time.Minute
	// fetchRetry is the minimum wait after templates could not be read.
	fetchRetry = 30 * time.Second
)

// templateCache has a copy of the account's templates. Channels of the same account share it through
// the records.
type templateCache struct {
	graph   *graph
	account string
	refresh time.Duration
	records config.Records // nil: there is no store

	fetching sync.Mutex // held while Meta is asked

	mu     sync.Mutex // guards the fields below
	list   []AccountTemplate
	at     time.Time // of the copy; zero: there is none
	stale  bool      // a webhook has reported a change
	failed error     // why the last try failed
	retry  time.Time // no try before

	// unusable has the status of the templates that are listed and not approved.
	unusable atomic.Pointer[map[string]string]
}

// templateID is the key of a template in unusable.
func templateID(name, language string) string { return name + " " + language }

func (c *templateCache) recordName() string { return "whatsapp/templates/" + c.account }

// current returns the templates, and in doubt why they may be older than they should be. known is false if
// there never was a copy.
func (c *templateCache) current(ctx context.Context) (list []AccountTemplate, known bool, doubt string) {
	c.fetching.Lock() // others wait for its result
	defer c.fetching.Unlock()
	now := time.Now()
	c.load()
	c.mu.Lock()
	due := (c.stale || now.Sub(c.at) >= c.refresh) && !now.Before(c.retry)
	c.mu.Unlock()
	if due {
		c.fetch(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil && (c.stale || time.Since(c.at) >= c.refresh) {
		doubt = c.failed.Error()
	}
	return c.list, !c.at.IsZero(), doubt
}

// load takes the record if it is newer than the copy.
func (c *templateCache) load() {
	if c.records == nil {
		return
	}
	value, err := c.records.Record(c.recordName())
	stored, ok := decodeStoredTemplates(value)
	if err != nil || !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := time.Unix(stored.At, 0); at.After(c.at) {
		c.set(stored.Templates, at)
	}
}

// set replaces the copy. c.mu is held.
func (c *templateCache) set(list []AccountTemplate, at time.Time) {
	c.list, c.at, c.stale, c.failed = list, at, false, nil
	unusable := map[string]string{}
	for _, t := range list {
		if t.Status != statusApproved {
			unusable[templateID(t.Name, t.Language)] = t.Status
		}
	}
	c.unusable.Store(&unusable)
}

// fetch asks Meta. c.fetching is held.
func (c *templateCache) fetch(ctx context.Context) {
	list, err := c.graph.templates(ctx, c.account)
	now := time.Now()
	if err != nil {
		wait := fetchRetry
		var refused *graphError
		if errors.As(err, &refused) {
			wait = max(wait, refused.retryAfter)
		}
		c.mu.Lock()
		c.failed, c.retry = err, now.Add(wait)
		c.mu.Unlock()
		return
	}
	slices.SortFunc(list, func(a, b AccountTemplate) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Language, b.Language))
	})
	c.mu.Lock()
	c.set(list, now)
	c.mu.Unlock()
	c.save(list, now)
}

func (c *templateCache) save(list []AccountTemplate, at time.Time) {
	if c.records == nil {
		return
	}
	if value, err := json.Marshal(storedTemplates{at.Unix(), list}); err == nil {
		_ = c.records.PutRecord(c.recordName(), value) // it is only read after a restart, while Meta is away
	}
}

// change applies a webhook's report on a template at once. The next use of the templates reads all again.
func (c *templateCache) change(name, language, status string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stale, c.retry = true, time.Time{}
	before := c.unusable.Load()
	after := map[string]string{}
	if before != nil {
		maps.Copy(after, *before)
	}
	if delete(after, templateID(name, language)); status != statusApproved {
		after[templateID(name, language)] = status
	}
	c.unusable.Store(&after)
}

// status returns the status of a template that is known not to be approved, or "".
func (c *templateCache) status(name, language []byte) string {
	if c == nil {
		return ""
	}
	unusable := c.unusable.Load()
	if unusable == nil || len(*unusable) == 0 {
		return ""
	}
	return (*unusable)[string(name)+" "+string(language)]
}

// newTemplateCache returns nil for a channel without business_account_id.
func newTemplateCache(o Options, g *graph) *templateCache {
	if o.BusinessAccountID == "" {
		return nil
	}
	return &templateCache{graph: g, account: o.BusinessAccountID, refresh: cmp.Or(o.TemplatesRefresh, defaultTemplatesRefresh), records: o.Records}
}

// Refresh implements send.Refresher.
func (c *Channel) Refresh(ctx context.Context) (again time.Duration, err error) {
	if c.templates == nil {
		return 0, nil
	}
	if _, _, doubt := c.templates.current(ctx); doubt != "" {
		return fetchRetry, fmt.Errorf("read the account's templates: %s", doubt)
	}
	return c.templates.refresh, nil
}

// Templates implements send.TemplateLister. It asks Meta, whatever the age of the copy.
func (c *Channel) Templates(ctx context.Context) (list []send.Template, ok bool, err error) {
	if c.templates == nil {
		return nil, false, nil
	}
	all, err := c.templates.graph.templates(ctx, c.templates.account)
	if err != nil {
		return nil, true, err
	}
	for i := range all {
		t := &all[i]
		list = append(list, send.Template{Name: t.Name, Language: t.Language, Status: t.Status, Category: t.Category, Parameters: t.parameters()})
	}
	return list, true, nil
}

// TemplateChanged implements send.TemplateWatcher.
func (c *Channel) TemplateChanged(account, name, language, status string) {
	if c.templates != nil && c.templates.account == account {
		c.templates.change(name, language, status)
	}
}
