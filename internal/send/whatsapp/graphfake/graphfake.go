// Package graphfake is a strict fake of the part of Meta's Graph API that sends
// WhatsApp messages and takes their files: for tests, and to try campaignd without an account.
//
// It checks the path, the headers and every member of every body. What Meta would
// refuse, it refuses with Meta's code and records as a fault (Faults). It can give any
// documented answer, be slow, throttle and cut connections (Answers), and it makes
// the signed webhooks that Meta would send (Notification, Sign).
//
// It shares no code with the driver: shared code would share its mistakes. It keeps
// the messages in memory. It checks that a template exists only if Options list the
// templates, and never that a number has WhatsApp.
package graphfake

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options configure a Server.
type Options struct {
	Version       string // "": v23.0
	PhoneNumberID string // "": 106540352242922
	Token         string // "": "secret-token"
	// BusinessAccountID is the account whose templates SetTemplates sets; "": 102290129340398.
	BusinessAccountID string

	// Templates has the number of values in the body of each template, by name and
	// language ("welcome/es"); nil: any template exists.
	Templates map[string]int
	// Rate is the limit of messages per second, beyond it 130429; 0: none.
	Rate int
	// Contact is the burst of messages to one contact, beyond it 131056, one more every 6 s; 0: no limit.
	Contact int
	// Keep is the number of messages that are kept, the first ones; 0: all.
	Keep int
}

// Message is one well-formed request.
type Message struct {
	At      time.Time
	Key     string          // biz_opaque_callback_data
	To      string          // digits; "": sent to UserID
	UserID  string          // business-scoped user id
	Type    string          // "text", "template", "image", "video" or "document"
	Content json.RawMessage // the value of the member that Type names
	Body    []byte          // the whole body
	ID      string          // the id in the answer
}

// Server is the fake, an http.Handler. Its zero value is not ready; use New.
type Server struct {
	opts   Options
	answer func(Message) Answer

	mu       sync.Mutex // guards the fields below
	token    string
	library  library
	media    media
	messages []Message
	count    int
	accepted map[string]int // by key
	faults   []string
	window   map[int64]int // messages by second
	contacts map[string][]time.Time
}

// New returns a server that accepts every well-formed message.
func New(o Options) *Server {
	if o.Version == "" {
		o.Version = "v23.0"
	}
	if o.PhoneNumberID == "" {
		o.PhoneNumberID = "106540352242922"
	}
	if o.BusinessAccountID == "" {
		o.BusinessAccountID = "102290129340398"
	}
	if o.Token == "" {
		o.Token = "secret-token"
	}
	return &Server{opts: o, token: o.Token, accepted: map[string]int{}, window: map[int64]int{}, contacts: map[string][]time.Time{},
		answer: func(Message) Answer { return Answer{} }}
}

// Answers sets the answers to well-formed messages. f is called for each, by many goroutines.
// Answers must be called before the first request.
func (s *Server) Answers(f func(Message) Answer) { s.answer = f }

// SetToken replaces the valid token.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// Messages returns the well-formed messages, in order of arrival.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Count returns the number of well-formed messages.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Accepted returns how often each key was accepted. More than once means sent twice.
func (s *Server) Accepted() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.accepted)
}

// Faults returns the faults of requests, one text each.
func (s *Server) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.faults...)
}

func (s *Server) fault(format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, text)
	return text
}

// bodyLimit is the longest request body, in bytes.
const bodyLimit = 1 << 20

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/"+s.opts.Version+"/"+s.opts.BusinessAccountID+"/message_templates" {
		s.serveTemplates(w, r)
		return
	}
	if r.URL.Path == "/"+s.opts.Version+"/"+s.opts.PhoneNumberID+"/media" {
		s.serveMedia(w, r)
		return
	}
	if !s.checkRequest(w, r) {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil {
		return // the client has closed the connection
	}
	m, code, wrong := read(body)
	if len(body) > bodyLimit {
		code, wrong = 100, "the body is too long"
	}
	if wrong == "" {
		code, wrong = s.checkTemplate(m)
	}
	if wrong != "" {
		s.fault("%s", wrong)
		write(w, Answer{Code: code, Details: wrong}, Message{})
		return
	}
	m.At = time.Now()
	if code, details := s.checkMedia(m); code != 0 {
		write(w, Answer{Code: code, Details: details}, Message{})
		return
	}
	a := s.throttle(m)
	if a.Code == 0 {
		a = s.answer(m)
	}
	m.ID = s.record(m, a)
	if !sleep(r.Context().Done(), a.Delay) {
		return
	}
	if a.Cut != Whole {
		cut(w, a, m)
		return
	}
	write(w, a, m)
}

// checkRequest checks path, method and headers.
func (s *Server) checkRequest(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	token := s.token
	s.mu.Unlock()
	path := "/" + s.opts.Version + "/" + s.opts.PhoneNumberID + "/messages"
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.URL.Path != path || r.URL.RawQuery != "":
		write(w, Answer{Code: 100, Subcode: 33, Details: s.fault("path %q is not %q", r.URL.RequestURI(), path)}, Message{})
	case r.Method != http.MethodPost:
		write(w, Answer{Code: 100, Details: s.fault("method %s is not POST", r.Method)}, Message{})
	case !bearer || len(r.Header.Values("Authorization")) != 1:
		write(w, Answer{Code: 0, Failed: true, Details: s.fault("there is no bearer token")}, Message{})
	case given != token: // not a fault: tokens expire
		write(w, Answer{Code: 190, Details: "Error validating access token"}, Message{})
	case r.Header.Get("Content-Type") != "application/json":
		write(w, Answer{Code: 100, Details: s.fault("content type %q is not application/json", r.Header.Get("Content-Type"))}, Message{})
	case r.ContentLength <= 0:
		write(w, Answer{Code: 100, Details: s.fault("there is no content length")}, Message{})
	default:
		return true
	}
	return false
}

// checkTemplate refuses a template that doesn't exist.
func (s *Server) checkTemplate(m Message) (code int, wrong string) {
	if m.Type != "template" || s.opts.Templates == nil {
		return 0, ""
	}
	var t struct {
		Name       string
		Language   struct{ Code string }
		Components []struct {
			Type       string
			Parameters []json.RawMessage
		}
	}
	if err := json.Unmarshal(m.Content, &t); err != nil {
		return 100, err.Error()
	}
	want, ok := s.opts.Templates[t.Name+"/"+t.Language.Code]
	if !ok {
		return 132001, fmt.Sprintf("template name (%s) does not exist in %s", t.Name, t.Language.Code)
	}
	got := 0
	for _, c := range t.Components {
		if c.Type == "body" {
			got = len(c.Parameters)
		}
	}
	if got != want {
		return 132000, fmt.Sprintf("body: number of localizable_params (%d) does not match the expected number of params (%d)", got, want)
	}
	return 0, ""
}

// throttle returns the answer of a rate limit, or the zero Answer.
func (s *Server) throttle(m Message) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Rate > 0 {
		second := m.At.Unix()
		if s.window[second]++; s.window[second] > s.opts.Rate {
			return Answer{Code: 130429}
		}
		delete(s.window, second-2)
	}
	if s.opts.Contact > 0 {
		recent := s.contacts[m.To+m.UserID]
		for len(recent) > 0 && m.At.Sub(recent[0]) > time.Duration(s.opts.Contact)*6*time.Second {
			recent = recent[1:]
		}
		if len(recent) >= s.opts.Contact {
			return Answer{Code: 131056}
		}
		s.contacts[m.To+m.UserID] = append(recent, m.At)
	}
	return Answer{}
}

// record keeps a message and returns its id.
func (s *Server) record(m Message, a Answer) string {
	sum := sha256.Sum256([]byte(m.Key + m.To + m.UserID))
	m.ID = "wamid." + base64.StdEncoding.EncodeToString(sum[:18])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if s.opts.Keep == 0 || len(s.messages) < s.opts.Keep {
		s.messages = append(s.messages, m)
	}
	if !a.refused() && (a.Cut == Whole || a.Cut == Unanswered || a.Cut == Half || a.Cut == Garbage) {
		s.accepted[m.Key]++
	}
	return m.ID
}

func sleep(gone <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-gone:
		return false
	}
}
