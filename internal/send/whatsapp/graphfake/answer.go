package graphfake

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Answer is the answer to a message. The zero value accepts it.
type Answer struct {
	Code    int  // of the error, as documented
	Failed  bool // an error, even if Code is 0
	Status  int  // HTTP; 0: the documented one for Code
	Subcode int
	Details string // of the error; "": the documented title

	Transient     bool   // is_transient
	MessageStatus string // of an accepted message; "": "accepted"
	RetryAfter    string // the header
	RegainMinutes int    // estimated_time_to_regain_access

	Delay    time.Duration // before the answer
	Location string        // a redirect, with Status or 307
	Raw      string        // the body, with Status
	Cut      Cut
}

// Cut is the way a connection is cut.
type Cut uint8

// The cuts.
const (
	Whole      Cut = iota
	Reset          // the message is dropped and the connection reset
	Unanswered     // the message is accepted and the connection reset
	Half           // the message is accepted and half of the answer's body sent
	Garbage        // the message is accepted and the answer isn't HTTP
)

func (a Answer) refused() bool {
	return a.Code != 0 || a.Failed || a.Location != "" || a.Raw != "" && a.Status >= 300
}

// Documented is a code from Meta's documentation.
type Documented struct {
	Code   int
	Status int // HTTP; sources differ
	Title  string
}

// Codes returns the codes that the API is known to answer with.
func Codes() []Documented {
	return []Documented{
		{0, 401, "AuthException"}, {1, 400, "API Unknown"}, {2, 503, "API Service"}, {3, 500, "API Method"}, {4, 400, "API Too Many Calls"},
		{33, 400, "Parameter value is not valid"}, {131037, 400, "Display name is not approved"}, {131062, 400, "Business-scoped user id not supported"},
		{132069, 400, "Flow is throttled"}, {134101, 400, "Template is being synced"},
		{10, 403, "Permission Denied"}, {100, 400, "Invalid parameter"}, {190, 401, "Access token has expired"}, {200, 403, "API Permission"},
		{299, 403, "API Permission"}, {368, 403, "Temporarily blocked for policies violations"}, {613, 400, "Calls to this api have exceeded the rate limit"},
		{80007, 400, "Rate limit issues"}, {130429, 400, "Rate limit hit"}, {130472, 400, "User's number is part of an experiment"},
		{130497, 403, "Business account is restricted from messaging users in this country"}, {131000, 500, "Something went wrong"},
		{131005, 403, "Access denied"}, {131008, 400, "Required parameter is missing"}, {131009, 400, "Parameter value is not valid"},
		{131016, 500, "Service unavailable"}, {131021, 400, "Recipient cannot be sender"}, {131026, 400, "Message undeliverable"},
		{131031, 403, "Account has been locked"}, {131042, 400, "Business eligibility payment issue"}, {131045, 500, "Incorrect certificate"},
		{131047, 400, "Re-engagement message"}, {131048, 400, "Spam rate limit hit"}, {131049, 400, "Meta chose not to deliver"},
		{131050, 400, "User has stopped marketing messages"}, {131051, 400, "Unsupported message type"}, {131052, 400, "Media download error"}, {131053, 400, "Media upload error"},
		{131056, 400, "(Business Account, Consumer Account) pair rate limit hit"}, {131057, 500, "Account in maintenance mode"},
		{132000, 400, "Template param count mismatch"}, {132001, 404, "Template does not exist"}, {132005, 400, "Template hydrated text too long"},
		{132007, 400, "Template format character policy violated"}, {132012, 400, "Template parameter format mismatch"},
		{132015, 400, "Template is paused"}, {132016, 400, "Template is disabled"}, {132018, 400, "Template parameter text is not valid"},
		{133004, 503, "Server temporarily unavailable"}, {133010, 400, "Phone number not registered"},
	}
}

func documented(code int) Documented {
	for _, d := range Codes() {
		if d.Code == code {
			return d
		}
	}
	return Documented{code, http.StatusBadRequest, "Unlisted"}
}

// encode returns the status and body of an answer.
func encode(a Answer, m Message) (int, []byte) {
	switch {
	case a.Location != "":
		if a.Status == 0 {
			a.Status = http.StatusTemporaryRedirect
		}
		return a.Status, nil
	case a.Raw != "":
		return a.Status, []byte(a.Raw)
	case a.Code == 0 && !a.Failed:
		status := a.MessageStatus
		if status == "" {
			status = "accepted"
		}
		sent := map[string]any{"id": m.ID}
		if m.Type == "template" {
			sent["message_status"] = status
		}
		b, _ := json.Marshal(map[string]any{
			"messaging_product": "whatsapp", "messages": []any{sent},
			"contacts": []any{contactOf(m)},
		})
		return http.StatusOK, b
	}
	d := documented(a.Code)
	if a.Status == 0 {
		a.Status = d.Status
	}
	if a.Details == "" {
		a.Details = d.Title
	}
	e := map[string]any{
		"message": fmt.Sprintf("(#%d) %s", a.Code, d.Title), "type": "OAuthException", "code": a.Code, "fbtrace_id": "Az8or2yhqkZfEZ-_4Qn_Bam",
		"error_data": map[string]any{"messaging_product": "whatsapp", "details": a.Details},
	}
	if a.Subcode != 0 {
		e["error_subcode"] = a.Subcode
	}
	if a.Transient {
		e["is_transient"] = true
	}
	b, _ := json.Marshal(map[string]any{"error": e})
	return a.Status, b
}

// contactOf returns the contact in an answer.
func contactOf(m Message) map[string]any {
	if m.To == "" {
		return map[string]any{"input": m.UserID, "user_id": m.UserID}
	}
	return map[string]any{"input": m.To, "wa_id": m.To}
}

func write(w http.ResponseWriter, a Answer, m Message) {
	status, body := encode(a, m)
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if a.Location != "" {
		h.Set("Location", a.Location)
	}
	if a.RetryAfter != "" {
		h.Set("Retry-After", a.RetryAfter)
	}
	if a.RegainMinutes > 0 {
		h.Set("X-Business-Use-Case-Usage", fmt.Sprintf(
			`{"102290129340398":[{"type":"whatsapp","call_count":100,"total_cputime":25,"total_time":25,"estimated_time_to_regain_access":%d}]}`, a.RegainMinutes))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have closed the connection
}

// cut cuts a connection as the answer says.
func cut(w http.ResponseWriter, a Answer, m Message) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	status, body := encode(a, m)
	switch a.Cut {
	case Half:
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			status, http.StatusText(status), len(body), body[:len(body)/2])
	case Garbage:
		_, _ = conn.Write([]byte("\x00\x01 this isn't HTTP\r\n\r\n"))
	default:
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // RST in place of FIN
		}
	}
}
