package graphfake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strconv"
	"time"
)

// Status is one entry of a status webhook.
type Status struct {
	ID        string
	Status    string // sent, delivered, read or failed
	At        time.Time
	Recipient string // digits; "": left out
	UserID    string // business-scoped user id; "": left out
	Key       string // biz_opaque_callback_data; "": left out
	Code      int    // with failed
}

// Notification returns the body of a webhook with statuses of the number.
func Notification(phoneNumberID string, statuses ...Status) []byte {
	list := []any{}
	for _, s := range statuses {
		one := map[string]any{"id": s.ID, "status": s.Status, "timestamp": strconv.FormatInt(s.At.Unix(), 10)}
		if s.Recipient != "" {
			one["recipient_id"] = s.Recipient
		}
		if s.UserID != "" {
			one["recipient_user_id"] = s.UserID
		}
		if s.Key != "" {
			one["biz_opaque_callback_data"] = s.Key
		}
		if s.Status == "failed" {
			d := documented(s.Code)
			one["errors"] = []any{map[string]any{"code": s.Code, "title": d.Title, "message": d.Title, "error_data": map[string]any{"details": d.Title},
				"href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"}}
		} else {
			one["conversation"] = map[string]any{"id": "c", "origin": map[string]any{"type": "marketing"}}
			one["pricing"] = map[string]any{"billable": true, "pricing_model": "PMP", "category": "marketing"}
		}
		list = append(list, one)
	}
	return envelope("messages", phoneNumberID, "statuses", list)
}

// OptOut returns the body of a webhook in which a contact stops ("stop") or resumes
// ("resume") marketing messages.
func OptOut(phoneNumberID, contact, value string, at time.Time) []byte {
	return envelope("user_preferences", phoneNumberID, "user_preferences", []any{map[string]any{
		"wa_id": contact, "detail": "User requested to " + value + " marketing messages", "category": "marketing_messages", "value": value, "timestamp": at.Unix()}})
}

// OptOutByUserID is OptOut of a contact whose number is hidden.
func OptOutByUserID(phoneNumberID, userID, value string, at time.Time) []byte {
	return envelope("user_preferences", phoneNumberID, "user_preferences", []any{map[string]any{
		"user_id": userID, "category": "marketing_messages", "value": value, "timestamp": at.Unix()}})
}

// Reply is a message from a contact.
type Reply struct {
	ID      string
	From    string // digits; "": hidden
	UserID  string // business-scoped user id; "": left out
	At      time.Time
	Members map[string]any // "type" and the member that it names, "context" ...
}

// Replies returns the body of a webhook with messages to the number.
func Replies(phoneNumberID string, replies ...Reply) []byte {
	list := []any{}
	for _, r := range replies {
		one := map[string]any{"id": r.ID, "timestamp": strconv.FormatInt(r.At.Unix(), 10)}
		if r.From != "" {
			one["from"] = r.From
		}
		if r.UserID != "" {
			one["from_user_id"] = r.UserID
		}
		maps.Copy(one, r.Members)
		list = append(list, one)
	}
	return envelope("messages", phoneNumberID, "messages", list)
}

// TextReply returns a reply of typed text that quotes the message with the id quoted, if any.
func TextReply(id, from, text, quoted string, at time.Time) Reply {
	members := map[string]any{"type": "text", "text": map[string]any{"body": text}}
	if quoted != "" {
		members["context"] = map[string]any{"id": quoted}
	}
	return Reply{ID: id, From: from, At: at, Members: members}
}

func envelope(field, phoneNumberID, key string, list []any) []byte {
	b, _ := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"id": "102290129340398", "changes": []any{map[string]any{
		"field": field, "value": map[string]any{"messaging_product": "whatsapp", key: list,
			"metadata": map[string]any{"display_phone_number": "15550783881", "phone_number_id": phoneNumberID}}}}}}})
	return b
}

// Sign returns the value of X-Hub-Signature-256 for a body.
func Sign(appSecret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
