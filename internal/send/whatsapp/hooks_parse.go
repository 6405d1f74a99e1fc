package whatsapp

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// hookBody is the part of a call that is used. Its lists have raw elements, so that an
// invalid one doesn't affect the others.
type hookBody struct {
	Object string `json:"object"`
	Entry  []struct {
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
	Statuses    []json.RawMessage `json:"statuses"`
	Preferences []json.RawMessage `json:"user_preferences"`
}

type hookStatus struct {
	ID        string          `json:"id"`
	Status    Delivery        `json:"status"`
	Timestamp json.RawMessage `json:"timestamp"`
	Recipient string          `json:"recipient_id"`
	Key       string          `json:"biz_opaque_callback_data"`
	Errors    []hookError     `json:"errors"`
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
	WaID      string          `json:"wa_id"`
	Category  string          `json:"category"`
	Value     string          `json:"value"`
	Timestamp json.RawMessage `json:"timestamp"`
}

// maxID is the longest provider id, in bytes.
const maxID = 512

var errNotWebhook = errors.New("the body isn't a WhatsApp webhook")

// parseHook parses a call's events for the numbers. It returns an error if the body isn't a
// webhook at all.
func parseHook(body []byte, numbers map[string]bool) ([]Status, []Preference, error) {
	var h hookBody
	if json.Unmarshal(body, &h) != nil || h.Object != "whatsapp_business_account" {
		return nil, nil, errNotWebhook
	}
	var statuses []Status
	var preferences []Preference
	for _, entry := range h.Entry {
		for _, change := range entry.Changes {
			var v hookValue
			if json.Unmarshal(change.Value, &v) != nil || !numbers[v.Metadata.PhoneNumberID] {
				continue
			}
			for _, raw := range v.Statuses {
				if s, ok := status(raw, v.Metadata.PhoneNumberID); ok {
					statuses = append(statuses, s)
				}
			}
			for _, raw := range v.Preferences {
				if p, ok := preference(raw, v.Metadata.PhoneNumberID); ok {
					preferences = append(preferences, p)
				}
			}
		}
	}
	return statuses, preferences, nil
}

func status(raw json.RawMessage, number string) (Status, bool) {
	var s hookStatus
	if json.Unmarshal(raw, &s) != nil || !s.Status.known() || s.ID == "" || len(s.ID) > maxID || len(s.Key) > maxKey {
		return Status{}, false
	}
	out := Status{PhoneNumberID: number, ProviderID: s.ID, Key: s.Key, Contact: onlyDigits(s.Recipient), Delivery: s.Status, At: unixTime(s.Timestamp)}
	if s.Status != DeliveryFailed {
		return out, true
	}
	out.Detail = "WhatsApp could not deliver it and gives no reason"
	for i, e := range s.Errors {
		a, words := meaning(e.Code)
		out.OptedOut = out.OptedOut || a == optedOut
		if i > 0 {
			continue
		}
		said := e.Data.Details
		if said == "" {
			said = e.Message
		}
		if said == "" {
			said = e.Title
		}
		v := verdict{metaText: strings.ReplaceAll(said, s.Recipient, "…")}
		if s.Recipient == "" {
			v.metaText = said
		}
		out.Code, out.Detail = strconv.FormatInt(e.Code, 10), words+v.quote("", "", nil)
	}
	return out, true
}

func preference(raw json.RawMessage, number string) (Preference, bool) {
	var p hookPreference
	if json.Unmarshal(raw, &p) != nil || p.Value != "stop" && p.Value != "resume" {
		return Preference{}, false
	}
	contact := onlyDigits(p.WaID)
	// Another category than marketing concerns other messages. A stop counts for all of them.
	if contact == "" || p.Value == "resume" && p.Category != "marketing_messages" {
		return Preference{}, false
	}
	return Preference{PhoneNumberID: number, Contact: contact, Stop: p.Value == "stop", At: unixTime(p.Timestamp)}, true
}

// onlyDigits returns the digits of a phone number, or "" if s isn't one.
func onlyDigits(s string) string {
	var buf [maxDigits]byte
	digits, err := appendDigits(buf[:0], []byte(s))
	if err != nil {
		return ""
	}
	return string(digits)
}

// unixTime parses Unix seconds, a string or a number. It returns the zero time for anything else.
func unixTime(raw json.RawMessage) time.Time {
	seconds, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<33 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
