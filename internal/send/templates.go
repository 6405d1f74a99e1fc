package send

import (
	"context"
	"encoding/json"
	"time"

	"campaignd/internal/campaign"
)

// ItemChecker is implemented by channels that know more about a campaign's item while a drop is
// checked than the item says: what templates the receiver has, which files exist.
type ItemChecker interface {
	// CheckItem refuses an item that Compile takes and the receiver wouldn't, and returns doubts for
	// the drop's report. It may ask the receiver, for some seconds.
	CheckItem(ctx context.Context, item json.RawMessage) (warnings []string, err error)
}

// LengthChecker is implemented by channels that refuse some messages for nothing but their length, so that they need not be rendered to
// be checked.
type LengthChecker interface {
	// AcceptsUpTo returns the length in bytes up to which CheckMessage accepts every message of t, if CheckContact accepts its contact;
	// 0: it has to see each message.
	AcceptsUpTo(t *campaign.Template) int

	// CheckContact refuses a contact as CheckMessage does.
	CheckContact(to []byte) error
}

// MediaChannel is implemented by channels whose items may name files of campaigns_dir, such as an
// image. campaign.MediaFile has what a sending keeps of one.
type MediaChannel interface {
	// Media returns the files that an item names, once each, as they are now. It refuses files that the
	// receiver would refuse, and asks nobody. An item without files has none.
	Media(item json.RawMessage) ([]campaign.MediaFile, error)

	// Prepare returns the item as it is compiled for sending: with what the receiver calls the files.
	// It uploads what the receiver doesn't have, which may take minutes, and ends with ctx. files are
	// what Media returned when the drop was accepted. Until it succeeds no message of the item is
	// sent and no attempt is counted. The error is a *NotPrepared.
	Prepare(ctx context.Context, item json.RawMessage, files []campaign.MediaFile) (json.RawMessage, error)
}

// NotPrepared is the error of an item that can't be sent now.
type NotPrepared struct {
	Reason     string        // for a person: what happened and what to do; no secret
	RetryAfter time.Duration // when to try again; 0: after a while
	Hold       bool          // the receiver refused the account or a file: the sending is held
}

func (e *NotPrepared) Error() string { return e.Reason }

// Admitter is implemented by channels with rules that only one process can apply, such as a limit
// of contacts a day. Where workers send, these are asked before a batch is handed out; a driver that
// sends asks them itself.
type Admitter interface {
	// Admit returns false, with the result, for a message that must not go now. What it counts is
	// counted for the message.
	Admit(m *Message) (Result, bool)
	// Answered tells the channel of the result that a worker got. It may add to the detail.
	Answered(m *Message, res *Result)
}

// Refresher is implemented by channels that keep a copy of what their receiver has.
type Refresher interface {
	// Refresh renews the copy if it is due, and returns when to call again; 0: never.
	Refresh(ctx context.Context) (again time.Duration, err error)
}

// Previewer is implemented by channels that know more of what the recipient sees than a message's
// content says.
type Previewer interface {
	// Preview returns the lines that the recipient of the rendered content sees, or nil if the content
	// says it all. It asks nobody.
	Preview(content []byte) []string
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
