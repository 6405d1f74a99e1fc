package send

import (
	"context"
	"encoding/json"
	"time"
)

// ItemChecker is implemented by channels that know more about a campaign's item while a drop is
// checked than the item says: what templates the receiver has, which files exist.
type ItemChecker interface {
	// CheckItem refuses an item that Compile takes and the receiver wouldn't, and returns doubts for
	// the drop's report. It may ask the receiver, for some seconds.
	CheckItem(ctx context.Context, item json.RawMessage) (warnings []string, err error)
}

// Refresher is implemented by channels that keep a copy of what their receiver has.
type Refresher interface {
	// Refresh renews the copy if it is due, and returns when to call again; 0: never.
	Refresh(ctx context.Context) (again time.Duration, err error)
}

// TemplateWatcher is implemented by channels that want to know when their receiver changes a template.
type TemplateWatcher interface {
	// TemplateChanged is called for the templates of every account. status is in the receiver's words.
	TemplateChanged(account, name, language, status string)
}

// Template is a message template that a channel's receiver has.
type Template struct {
	Name       string   `json:"name"`
	Language   string   `json:"language"`
	Status     string   `json:"status"` // in the receiver's words
	Category   string   `json:"category"`
	Parameters []string `json:"parameters"` // "header image", "body name", "button 0 url"
}

// TemplateLister is implemented by channels whose receiver has templates.
type TemplateLister interface {
	// Templates asks the receiver for its templates; ok is false if the channel isn't set up for that.
	Templates(ctx context.Context) (list []Template, ok bool, err error)
}
