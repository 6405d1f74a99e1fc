package graphfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Template is a template of the business account.
type Template struct {
	Name       string           `json:"name"`
	Language   string           `json:"language"`
	Status     string           `json:"status"`
	Category   string           `json:"category"`
	Format     string           `json:"parameter_format"` // NAMED or POSITIONAL
	Components []map[string]any `json:"components"`
}

// NewTemplate returns an approved template with a body.
func NewTemplate(name, language, body string) Template {
	return Template{Name: name, Language: language, Status: "APPROVED", Category: "MARKETING", Format: "POSITIONAL",
		Components: []map[string]any{{"type": "BODY", "text": body}}}
}

// library is what the account has besides messages.
type library struct {
	templates []Template
	refusal   *Answer // of every request for templates; nil: they are answered
	page      int     // most templates in an answer; 0: as many as asked for
	requests  int
}

// SetTemplates replaces the account's templates.
func (s *Server) SetTemplates(list ...Template) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.library.templates = list
}

// RefuseTemplates answers every request for templates with a; nil answers them again.
func (s *Server) RefuseTemplates(a *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.library.refusal = a
}

// PageTemplates limits the templates of an answer.
func (s *Server) PageTemplates(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.library.page = most
}

// TemplateRequests returns the number of requests for templates.
func (s *Server) TemplateRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.library.requests
}

// serveTemplates answers a request for the account's templates, page by page.
func (s *Server) serveTemplates(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	l := s.library
	s.library.requests++
	token := s.token
	s.mu.Unlock()
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	q := r.URL.Query()
	limit, err := strconv.Atoi(q.Get("limit"))
	start := 0
	if after := q.Get("after"); after != "" {
		start, err = strconv.Atoi(strings.TrimPrefix(after, "cursor-"))
	}
	switch {
	case given != token:
		write(w, Answer{Code: 190, Details: "Error validating access token"}, Message{})
		return
	case l.refusal != nil:
		write(w, *l.refusal, Message{})
		return
	case r.Method != http.MethodGet || err != nil || limit < 1 || limit > 1000 || start > len(l.templates):
		write(w, Answer{Code: 100, Details: s.fault("the request %s %s for templates is invalid", r.Method, r.URL.RequestURI())}, Message{})
		return
	}
	if l.page > 0 {
		limit = min(limit, l.page)
	}
	end := min(start+limit, len(l.templates))
	paging := map[string]any{"cursors": map[string]any{"before": fmt.Sprintf("cursor-%d", start), "after": fmt.Sprintf("cursor-%d", end)}}
	if end < len(l.templates) {
		paging["next"] = "https://graph.facebook.com" + r.URL.Path + "?after=" + fmt.Sprintf("cursor-%d", end) // not this server: only the cursor counts
	}
	b, _ := json.Marshal(map[string]any{"data": l.templates[start:end], "paging": paging})
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, _ = w.Write(b)
}

// TemplateStatus returns the body of a webhook about a template's status.
func (s *Server) TemplateStatus(event, name, language string) []byte {
	b, _ := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"id": s.opts.BusinessAccountID, "changes": []any{map[string]any{
		"field": "message_template_status_update", "value": map[string]any{"event": event, "message_template_id": 594425479261596,
			"message_template_name": name, "message_template_language": language, "reason": "NONE"}}}}}})
	return b
}
