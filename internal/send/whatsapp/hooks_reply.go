package whatsapp

import (
	"cmp"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"campaignd/internal/receipts"
)

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
func readReply(raw json.RawMessage, v *hookValue) (receipts.Reply, bool) {
	var m hookMessage
	if json.Unmarshal(raw, &m) != nil || m.ID == "" || len(m.ID) > maxID || m.Type == "system" || !isReplyType(m.Type) {
		return receipts.Reply{}, false
	}
	number := onlyDigits(m.From)
	out := receipts.Reply{Account: v.Metadata.PhoneNumberID, ID: m.ID, Contact: number, UserID: firstUserID(m.FromUserID, m.UserID, m.From, v.userID(number)),
		Type: m.Type, Text: clipText(m.text()), Typed: m.Type == "text", Quoted: m.Context.ID, At: unixTime(m.Timestamp)}
	if m.Type == "reaction" {
		out.Quoted = m.Reaction.MessageID
	}
	if len(out.Quoted) > maxID {
		out.Quoted = ""
	}
	return out, out.Contact != "" || out.UserID != "" || out.Quoted != ""
}

// readMove reads the message of the system that a contact has another number or user id.
func readMove(raw json.RawMessage) (receipts.Move, bool) {
	var m struct {
		From   string `json:"from"`
		UserID string `json:"from_user_id"`
		Type   string `json:"type"`
		System struct {
			WaID           string `json:"wa_id"`
			UserID         string `json:"user_id"`
			PreviousUserID string `json:"previous_user_id"`
		} `json:"system"`
	}
	if json.Unmarshal(raw, &m) != nil || m.Type != "system" {
		return receipts.Move{}, false
	}
	move := receipts.Move{Contact: onlyDigits(m.From), UserID: firstUserID(m.System.PreviousUserID, m.UserID), NewContact: onlyDigits(m.System.WaID), NewUserID: firstUserID(m.System.UserID)}
	return move, move.Contact+move.UserID != "" && move.NewContact+move.NewUserID != ""
}

// isReplyType reports whether text has the form of Meta's types. New ones may come.
func isReplyType(text string) bool {
	return text != "" && len(text) <= 40 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// text returns what the contact wrote or chose.
func (m *hookMessage) text() string {
	switch m.Type {
	case "text":
		return m.Text.Body
	case "button":
		return m.Button.Text
	case "interactive":
		return cmp.Or(m.Interactive.ButtonReply.Title, m.Interactive.ListReply.Title, m.Interactive.FormReply.Body)
	case "reaction":
		return m.Reaction.Emoji
	case "image":
		return m.Image.Caption
	case "video":
		return m.Video.Caption
	case "document":
		return cmp.Or(m.Document.Caption, m.Document.Filename)
	case "location":
		return cmp.Or(m.Location.Name, m.Location.Address)
	}
	return ""
}

func clipText(text string) string {
	if utf8.RuneCountInString(text) > maxReplyText {
		return string([]rune(text)[:maxReplyText])
	}
	return text
}
