package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/campaign"
)

const (
	typeJSON      = "application/json"
	typeCSV       = "text/csv"
	digestTrailer = "Campaignd-Sha256"
	pathHealth    = "/healthz"
	pathReady     = "/readyz"
	pathMetrics   = "/metrics"
	pathOpenAPI   = "/openapi.json"
	pathAPI       = "/v1/"
)

// action answers one request. It either writes the answer or returns an error.
type action func(w http.ResponseWriter, r *http.Request) error

// route is one operation of the API.
type route struct {
	pattern string // method and path, a pattern of http.ServeMux
	do      action
}

// routes returns all operations of the API. A test compares openapi.json with them.
func (s *Server) routes() []route {
	return []route{
		{"GET /v1/status", s.getStatus},
		{"GET /v1/sendings", s.getSendings},
		{"GET /v1/sendings/{id}", s.getSending},
		{"POST /v1/sendings/{id}/pause", s.change(s.service.Pause)},
		{"POST /v1/sendings/{id}/resume", s.change(s.service.Resume)},
		{"POST /v1/sendings/{id}/cancel", s.change(s.service.Cancel)},
		{"POST /v1/sendings/{id}/resend", s.postResend},
		{"GET /v1/sendings/{id}/results", s.getResults},
		{"POST /v1/resume", s.postResumeAll},
		{"GET /v1/timeline", s.getTimeline},
		{"GET /v1/reserved", s.getReserved},
		{"GET /v1/earlier", s.getEarlier},
		{"GET /v1/suppressions", s.getSuppressions},
		{"POST /v1/suppressions", s.suppress(s.service.AddOptOuts)},
		{"POST /v1/suppressions/remove", s.suppress(s.service.RemoveOptOuts)},
		{"POST /v1/suppressions/import", s.postImport},
		{"GET /v1/audit", s.getAudit},
		{"GET /v1/doctor", s.getDoctor},
		{"GET /v1/backup", s.getBackup},
		{"POST /v1/compact", s.postCompact},
		{"POST /v1/reload", s.postReload},
		{"POST /v1/send-test", s.postSendTest},
		{"POST /v1/login-code", s.postLoginCode},
	}
}

// api returns the JSON API, the same over the socket and over HTTP.
func (s *Server) api() *http.ServeMux {
	mux := http.NewServeMux()
	for _, one := range s.routes() {
		mux.HandleFunc(one.pattern, s.answer(one.do))
	}
	mux.HandleFunc(pathAPI, s.answer(s.unknown(mux)))
	return mux
}

// answer turns an action into a handler.
func (s *Server) answer(do action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := do(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// unknown answers requests for a path or a method that the API doesn't have. (The
// mux would answer unknown paths in plain text and wouldn't report other methods.)
func (s *Server) unknown(mux *http.ServeMux) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		var others []string
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			other := r.Clone(context.Background())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "" && pattern != pathAPI {
				others = append(others, method)
			}
		}
		if len(others) > 0 {
			w.Header()["Allow"] = others
			return &Error{Code: CodeMethod, Message: fmt.Sprintf("%s doesn't support %s, use %s", r.URL.Path, r.Method, others[0])}
		}
		return NotFoundf("the API has no %q", r.URL.Path)
	}
}

// fail answers with err and logs it if it is the daemon's own.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	answer, ok := errors.AsType[*Error](err)
	switch {
	case ok:
	case r.Context().Err() != nil:
		answer = &Error{Code: CodeUnavailable, Message: "the request was canceled"}
	default:
		if tooLarge, is := errors.AsType[*http.MaxBytesError](err); is {
			answer = &Error{Code: CodeTooLarge, Message: fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit)}
			break
		}
		s.log.Error("answer request", "method", r.Method, "path", r.URL.Path, "err", err)
		answer = &Error{Code: CodeInternal, Message: err.Error()}
	}
	if s.opts.Pages != nil && !isAPI(r) && strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.opts.Pages.WriteError(w, r, answer)
		return
	}
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(answer.Code.Status())
	s.encode(w, map[string]*Error{"error": answer})
}

// reply answers with v.
func (s *Server) reply(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", typeJSON)
	s.encode(w, v)
	return nil
}

// encode writes JSON. It fails only if the caller has disconnected.
func (s *Server) encode(w io.Writer, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Debug("write answer", "err", err)
	}
}

// readJSON decodes a body into v, strictly. It checks the content type because a
// form of another site's page can't set it.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if err := wantType(r, typeJSON); err != nil {
		return err
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxJSON))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("unexpected data after the value")
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return Invalidf("read the request's body: %v", err)
}

func wantType(r *http.Request, want string) error {
	found, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || found != want {
		return Invalidf("the body has Content-Type %q, want %q", r.Header.Get("Content-Type"), want)
	}
	return nil
}

// parameters reads a query and keeps an error. An unknown parameter is an error,
// so that a misspelled filter doesn't select everything.
type parameters struct {
	r   *http.Request
	err error
}

func queryOf(r *http.Request, known ...string) *parameters {
	p := &parameters{r: r}
	for name := range r.URL.Query() {
		if !slices.Contains(known, name) {
			p.err = Invalidf("unknown parameter %q; known are %q", name, known)
		}
	}
	return p
}

func (p *parameters) number(name string) int64 {
	text := p.r.URL.Query().Get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		p.err = Invalidf("%s is %q, want a whole number", name, text)
	}
	return n
}

func (p *parameters) instant(name string) time.Time {
	text := p.r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		p.err = Invalidf("%s is %q, want an instant like 2026-03-14T15:09:26Z", name, text)
	}
	return at
}

func (p *parameters) flag(name string) bool {
	text := p.r.URL.Query().Get(name)
	if text == "" {
		return false
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		p.err = Invalidf("%s is %q, want true or false", name, text)
	}
	return on
}

func (p *parameters) outcomes(name string) []campaign.Outcome {
	list, err := outcomesOf(p.r.URL.Query()[name])
	if err != nil {
		p.err = err
	}
	return list
}

func (p *parameters) states(name string) []campaign.State {
	var list []campaign.State
	for _, text := range p.r.URL.Query()[name] {
		if !slices.Contains(campaign.States, campaign.State(text)) {
			p.err = Invalidf("unknown state %q; known are %v", text, campaign.States)
		}
		list = append(list, campaign.State(text))
	}
	return list
}

func outcomesOf(texts []string) ([]campaign.Outcome, error) {
	var list []campaign.Outcome
	for _, text := range texts {
		o, err := campaign.ParseOutcome(text)
		if err != nil || !o.Final() {
			return nil, Invalidf("unknown outcome %q; known are %v", text, campaign.FinalOutcomes)
		}
		list = append(list, o)
	}
	return list, nil
}
