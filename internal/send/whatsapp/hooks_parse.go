package whatsapp

import (
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	contacts "campaignd/internal/contact"

	"campaignd/internal/receipts"
)

// hookBody is the part of a call that is used. Its lists have raw elements, so that an
// invalid one doesn't affect the others.
type hookBody struct {
	Object string `json:"object"`
	Entry  []struct {
		ID      string `json:"id"` // of the business account
		Changes []struct {
			Field string          `json:"field"`
			Value json.RawMessage `json:"value"`
		} `json:"changes"`
	} `json:"entry"`
}

type hookValue struct {
	Metadata struct {
		PhoneNumberID string `json:"phone_number_id"`
	} `json:"metadata"`
	Contacts []struct {
		WaID   string `json:"wa_id"`
		UserID string `json:"user_id"`
	} `json:"contacts"`
	Statuses    []json.RawMessage `json:"statuses"`
	Preferences []json.RawMessage `json:"user_preferences"`
	Messages    []json.RawMessage `json:"messages"`
}

// userID returns the user id of the contact with a phone number, or of the only contact.
func (v *hookValue) userID(number string) string {
	for _, c := range v.Contacts {
		if (c.WaID == number && number != "" || len(v.Contacts) == 1) && contacts.IsUserID([]byte(c.UserID)) {
			return c.UserID
		}
	}
	return ""
}

type hookStatus struct {
	ID              string            `json:"id"`
	Status          receipts.Delivery `json:"status"`
	Timestamp       json.RawMessage   `json:"timestamp"`
	Recipient       string            `json:"recipient_id"`
	UserID          string            `json:"user_id"` // sources differ about the name
	RecipientUserID string            `json:"recipient_user_id"`
	Key             string            `json:"biz_opaque_callback_data"`
	Errors          []hookError       `json:"errors"`
}

type hookError struct {
	Code    int64  `json:"code"`
	Title   string `json:"title"`
	Message string `json:"message"`
	Data    struct {
		Details string `json:"details"`
	} `json:"error_data"`
}

type hookPreference struct {
	WaID     string `json:"wa_id"`
	UserID   string `json:"user_id"`
	Category string `json:"category"`
	Value    string `json:"value"`
}

// maxID is the longest provider id, in bytes.
const maxID = 512

var errNotWebhook = errors.New("the body isn't a WhatsApp webhook")

// parseHook parses a call's events for those that signed it. It returns an error if the body isn't a
// webhook at all.
func parseHook(body []byte, signed signers) (receipts.Events, error) {
	var h hookBody
	if json.Unmarshal(body, &h) != nil || h.Object != "whatsapp_business_account" {
		return receipts.Events{}, errNotWebhook
	}
	var events receipts.Events
	for _, entry := range h.Entry {
		for _, change := range entry.Changes {
			if change.Field == "message_template_status_update" {
				addTemplate(&events, entry.ID, change.Value, signed)
				continue
			}
			var v hookValue
			switch {
			case json.Unmarshal(change.Value, &v) != nil || v.Metadata.PhoneNumberID == "":
				events.Ignore(receipts.IgnoredOther)
			case !signed.numbers[v.Metadata.PhoneNumberID]:
				events.Ignore(receipts.IgnoredOtherNumber)
			default:
				addEvents(&events, &v)
			}
		}
	}
	return events, nil
}

// addTemplate adds a change of a template's status.
func addTemplate(e *receipts.Events, account string, value json.RawMessage, signed signers) {
	var v struct {
		Event    string `json:"event"`
		Name     string `json:"message_template_name"`
		Language string `json:"message_template_language"`
	}
	if account == "" || !signed.accounts[account] || json.Unmarshal(value, &v) != nil || v.Event == "" || v.Name == "" {
		e.Ignore(receipts.IgnoredOther)
		return
	}
	status := strings.ToUpper(v.Event)
	switch status { // events that leave or make it usable
	case "REINSTATED", "UNPAUSED", "UNARCHIVED", "FLAGGED":
		status = statusApproved
	}
	e.Templates = append(e.Templates, receipts.TemplateChange{Account: account, Name: v.Name, Language: strings.ReplaceAll(v.Language, "-", "_"), Status: status})
}

// addEvents adds the events of one change.
func addEvents(e *receipts.Events, v *hookValue) {
	for _, raw := range v.Statuses {
		if s, ok := status(raw, v); ok {
			e.Statuses = append(e.Statuses, s)
		} else {
			e.Ignore(receipts.IgnoredStatus)
		}
	}
	for _, raw := range v.Preferences {
		if p, ok := preference(raw, v); ok {
			e.Preferences = append(e.Preferences, p)
		} else {
			e.Ignore(receipts.IgnoredPreference)
		}
	}
	for _, raw := range v.Messages {
		if m, ok := readMove(raw); ok {
			e.Moves = append(e.Moves, m)
		} else if r, ok := readReply(raw, v); ok {
			e.Replies = append(e.Replies, r)
		} else {
			e.Ignore(receipts.IgnoredMessage)
		}
	}
	if len(v.Statuses)+len(v.Preferences)+len(v.Messages) == 0 {
		e.Ignore(receipts.IgnoredOther)
	}
}

// firstUserID returns the first of texts that is a user id, or "".
func firstUserID(texts ...string) string {
	for _, text := range texts {
		if contacts.IsUserID([]byte(text)) {
			return text
		}
	}
	return ""
}

func status(raw json.RawMessage, v *hookValue) (receipts.Status, bool) {
	var s hookStatus
	if json.Unmarshal(raw, &s) != nil || !s.Status.Known() || s.ID == "" || len(s.ID) > maxID || len(s.Key) > maxKey {
		return receipts.Status{}, false
	}
	number := onlyDigits(s.Recipient)
	out := receipts.Status{Account: v.Metadata.PhoneNumberID, ProviderID: s.ID, Key: s.Key, Contact: number,
		UserID: firstUserID(s.RecipientUserID, s.UserID, s.Recipient, v.userID(number)), Delivery: s.Status, At: unixTime(s.Timestamp)}
	if s.Status != receipts.DeliveryFailed {
		return out, true
	}
	out.Detail = "WhatsApp could not deliver it and gives no reason"
	for i, e := range s.Errors {
		a, words := meaning(e.Code)
		out.OptedOut = out.OptedOut || a == optedOut
		if i > 0 {
			continue
		}
		said := cmp.Or(e.Data.Details, e.Message, e.Title)
		for _, contact := range []string{s.Recipient, out.UserID} {
			if contact != "" {
				said = strings.ReplaceAll(said, contact, "…")
			}
		}
		quoted := verdict{metaText: said}
		out.Code, out.Detail = strconv.FormatInt(e.Code, 10), words+quoted.quote("", "", nil)
	}
	return out, true
}

func preference(raw json.RawMessage, v *hookValue) (receipts.Preference, bool) {
	var p hookPreference
	if json.Unmarshal(raw, &p) != nil || p.Value != "stop" && p.Value != "resume" {
		return receipts.Preference{}, false
	}
	contact := onlyDigits(p.WaID)
	userID := firstUserID(p.UserID, p.WaID, v.userID(contact))
	// Another category than marketing concerns other messages. A stop counts for all of them.
	if contact == "" && userID == "" || p.Value == "resume" && p.Category != "marketing_messages" {
		return receipts.Preference{}, false
	}
	return receipts.Preference{Account: v.Metadata.PhoneNumberID, Contact: contact, UserID: userID, Stop: p.Value == "stop"}, true
}

// onlyDigits returns the digits of a phone number, or "" if s isn't one.
func onlyDigits(s string) string {
	var buf [maxDigits]byte
	r, err := parseRecipient(buf[:0], []byte(s))
	if err != nil || r.userID {
		return ""
	}
	return string(r.text)
}

// unixTime parses Unix seconds, a string or a number. It returns the zero time for anything else.
func unixTime(raw json.RawMessage) time.Time {
	seconds, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<33 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
