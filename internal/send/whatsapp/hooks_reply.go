package whatsapp

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Reply is a message from a contact to a number.
type Reply struct {
	PhoneNumberID string
	ID            string // Meta's id of the message
	Contact       string // digits, "" if the number is hidden. Not for logs
	UserID        string // business-scoped user id, "" if Meta left it out. Not for logs
	Type          string // Meta's type: text, button, interactive, image, reaction …
	Text          string // what was written or chosen, "" if the type has no text. Not for logs
	Typed         bool   // the contact typed Text, so it can be a stop word
	Quoted        string // Meta's id of the message that it answers, ""
	At            time.Time
}

// maxReplyText is the most characters of a reply that are passed on: Meta's limit of a text.
const maxReplyText = 4096

// hookMessage is a message from a contact. Only the member that type names is there.
type hookMessage struct {
	ID         string          `json:"id"`
	From       string          `json:"from"`
	FromUserID string          `json:"from_user_id"`
	UserID     string          `json:"user_id"`
	Timestamp  json.RawMessage `json:"timestamp"`
	Type       string          `json:"type"`
	Context    struct {
		ID string `json:"id"`
	} `json:"context"`
	Text struct {
		Body string `json:"body"`
	} `json:"text"`
	Button struct {
		Text string `json:"text"`
	} `json:"button"`
	Interactive struct {
		ButtonReply hookChoice `json:"button_reply"`
		ListReply   hookChoice `json:"list_reply"`
		FormReply   struct {
			Body string `json:"body"`
		} `json:"nfm_reply"`
	} `json:"interactive"`
	Reaction struct {
		MessageID string `json:"message_id"`
		Emoji     string `json:"emoji"`
	} `json:"reaction"`
	Image    hookMedia `json:"image"`
	Video    hookMedia `json:"video"`
	Document hookMedia `json:"document"`
	Location struct {
		Name    string `json:"name"`
		Address string `json:"address"`
	} `json:"location"`
}

type hookChoice struct {
	Title string `json:"title"`
}

type hookMedia struct {
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
}

// readReply reads a message. It returns false for one that isn't from a contact, or that can't belong to anything.
func readReply(raw json.RawMessage, v *hookValue) (Reply, bool) {
	var m hookMessage
	if json.Unmarshal(raw, &m) != nil || m.ID == "" || len(m.ID) > maxID || m.Type == "system" || !isReplyType(m.Type) {
		return Reply{}, false
	}
	number := onlyDigits(m.From)
	out := Reply{PhoneNumberID: v.Metadata.PhoneNumberID, ID: m.ID, Contact: number, UserID: firstUserID(m.FromUserID, m.UserID, m.From, v.userID(number)),
		Type: m.Type, Text: clipText(m.text()), Typed: m.Type == "text", Quoted: m.Context.ID, At: unixTime(m.Timestamp)}
	if m.Type == "reaction" {
		out.Quoted = m.Reaction.MessageID
	}
	if len(out.Quoted) > maxID {
		out.Quoted = ""
	}
	return out, out.Contact != "" || out.UserID != "" || out.Quoted != ""
}

// isReplyType reports whether text has the form of Meta's types. New ones may come.
func isReplyType(text string) bool {
	return text != "" && len(text) <= 40 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// text returns what the contact wrote or chose.
func (m *hookMessage) text() string {
	first := func(texts ...string) string {
		for _, text := range texts {
			if text != "" {
				return text
			}
		}
		return ""
	}
	switch m.Type {
	case "text":
		return m.Text.Body
	case "button":
		return m.Button.Text
	case "interactive":
		return first(m.Interactive.ButtonReply.Title, m.Interactive.ListReply.Title, m.Interactive.FormReply.Body)
	case "reaction":
		return m.Reaction.Emoji
	case "image":
		return m.Image.Caption
	case "video":
		return m.Video.Caption
	case "document":
		return first(m.Document.Caption, m.Document.Filename)
	case "location":
		return first(m.Location.Name, m.Location.Address)
	}
	return ""
}

func clipText(text string) string {
	if utf8.RuneCountInString(text) > maxReplyText {
		return string([]rune(text)[:maxReplyText])
	}
	return text
}

// IsStopWord reports whether the contact typed nothing but one of the words, in any case and with any punctuation
// and blanks around them (docs/contract.md 10).
func (r *Reply) IsStopWord(words []string) bool {
	if !r.Typed {
		return false
	}
	typed := bareWords(r.Text)
	for _, word := range words {
		if bare := bareWords(word); bare != "" && bare == typed {
			return true
		}
	}
	return false
}

// bareWords returns a text without case, punctuation, invisible characters and blanks but one between words.
func bareWords(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPunct(r) || unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cf, unicode.Cc, unicode.Variation_Selector):
			return -1
		}
		return r
	}, cases.Fold().String(norm.NFKC.String(text)))
	return strings.Join(strings.Fields(text), " ")
}
