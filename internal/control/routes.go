package control

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
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
	pattern string   // method and path, a pattern of http.ServeMux
	query   []string // names of its parameters
	do      action
}

// forPartners returns the patterns of the operations that a partner's token may use, for sendings
// of its own inbox.
func forPartners() []string {
	return []string{"GET /v1/sendings", "GET /v1/sendings/{id}", "GET /v1/sendings/{id}/results", "POST /v1/sendings/{id}/pause",
		"POST /v1/sendings/{id}/resume", "POST /v1/sendings/{id}/cancel", "POST /v1/applications/{applicationId}/campaigns/{campaignId}/send/csv"}
}

// routes returns all operations of the API. A test compares openapi.json with them.
func (s *Server) routes() []route {
	return []route{
		{"GET /v1/status", nil, s.getStatus},
		{"GET /v1/sendings", []string{"state", "application", "name", "since", "offset", "limit"}, s.getSendings},
		{"GET /v1/sendings/{id}", nil, s.getSending},
		{"POST /v1/sendings/{id}/pause", nil, s.change(s.service.Pause)},
		{"POST /v1/sendings/{id}/resume", nil, s.change(s.service.Resume)},
		{"POST /v1/sendings/{id}/cancel", nil, s.change(s.service.Cancel)},
		{"POST /v1/sendings/{id}/resend", nil, s.postResend},
		{"POST /v1/sendings/{id}/reschedule", nil, s.postReschedule},
		{"GET /v1/sendings/{id}/results", []string{"outcome", "plain"}, s.getResults},
		{"POST /v1/applications/{applicationId}/campaigns/{campaignId}/send/csv", nil, s.postUpload},
		{"POST /v1/resume", nil, s.postResumeAll},
		{"POST /v1/channels/resume", nil, s.postResumeChannel},
		{"GET /v1/timeline", []string{"application", "limit"}, s.getTimeline},
		{"GET /v1/reserved", []string{"application", "from", "until"}, s.getReserved},
		{"GET /v1/earlier", []string{"application", "digest"}, s.getEarlier},
		{"GET /v1/suppressions", []string{"application"}, s.getSuppressions},
		{"POST /v1/suppressions", nil, s.suppress(s.service.AddOptOuts)},
		{"POST /v1/suppressions/remove", nil, s.suppress(s.service.RemoveOptOuts)},
		{"POST /v1/forget", nil, s.postForget},
		{"POST /v1/suppressions/import", []string{"application"}, s.postImport},
		{"GET /v1/audit", []string{"since", "sending", "limit"}, s.getAudit},
		{"GET /v1/doctor", []string{"deep"}, s.getDoctor},
		{"GET /v1/templates", []string{"application", "channel"}, s.getTemplates},
		{"GET /v1/backup", nil, s.getBackup},
		{"POST /v1/compact", nil, s.postCompact},
		{"POST /v1/handover", nil, s.postHandover},
		{"POST /v1/reload", nil, s.postReload},
		{"POST /v1/send-test", nil, s.postSendTest},
		{"POST /v1/login-code", nil, s.postLoginCode},
	}
}

// checked refuses a malformed query and unknown parameters: a misspelled filter
// must not select everything.
func (one route) checked(w http.ResponseWriter, r *http.Request) error {
	if partnerOf(r) != "" && !slices.Contains(forPartners(), one.pattern) {
		return noSuchPath(r)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return api.Invalidf("the query is malformed: %v", err)
	}
	for name := range query {
		if !slices.Contains(one.query, name) {
			return api.Invalidf("unknown parameter %q; known are %q", name, one.query)
		}
	}
	return one.do(w, r)
}

// api returns the JSON API, the same over the socket and over HTTP.
func (s *Server) api() *http.ServeMux {
	mux := http.NewServeMux()
	for _, one := range s.routes() {
		mux.HandleFunc(one.pattern, s.answer(s.unlessBarred(one.checked)))
	}
	mux.HandleFunc(pathAPI, s.answer(s.unknown(mux)))
	return mux
}

// unlessBarred refuses changes while they couldn't be recorded: they would wait, and nobody would know for what.
func (s *Server) unlessBarred(do action) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.opts.Bars != nil && r.Method != http.MethodGet {
			if why := s.opts.Bars(); why != "" {
				return api.Unavailablef("nothing can be recorded now: %s", why)
			}
		}
		return do(w, r)
	}
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
		if partnerOf(r) != "" {
			return noSuchPath(r)
		}
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
			return &api.Error{Code: api.CodeMethod, Message: fmt.Sprintf("%s doesn't support %s, use %s", r.URL.Path, r.Method, others[0])}
		}
		return noSuchPath(r)
	}
}

func noSuchPath(r *http.Request) error { return api.NotFoundf("the API has no %q", r.URL.Path) }

// fail answers with err and logs it if it is the daemon's own.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	answer, ok := errors.AsType[*api.Error](err)
	switch {
	case ok:
	case r.Context().Err() != nil:
		answer = &api.Error{Code: api.CodeUnavailable, Message: "the request was canceled"}
	default:
		if tooLarge, is := errors.AsType[*http.MaxBytesError](err); is {
			answer = &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("the body has more than %s", display.Amount(tooLarge.Limit, "byte"))}
			break
		}
		s.log.Error("answer request", "method", r.Method, "path", r.URL.Path, "err", err)
		answer = &api.Error{Code: api.CodeInternal, Message: err.Error()}
	}
	if s.opts.Pages != nil && !isAPI(r) && strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.opts.Pages.WriteError(w, r, answer)
		return
	}
	if isUpload(r) {
		s.writeProblem(w, answer)
		return
	}
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(answer.Code.Status())
	s.encode(w, map[string]*api.Error{"error": answer})
}

// reply answers with v, or returns err.
func (s *Server) reply(w http.ResponseWriter, v any, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeJSON)
	s.encode(w, v)
	return nil
}

// encode writes JSON. It fails only if the caller has disconnected.
func (s *Server) encode(w io.Writer, v any) {
	if err := stdjson.NewEncoder(w).Encode(v); err != nil {
		s.log.Debug("write answer", "err", err)
	}
}

// readJSON decodes a body into v. Unknown and repeated keys are errors. It checks
// the content type because a form of another site's page can't set it.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if err := wantType(r, typeJSON); err != nil {
		return err
	}
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxJSON), v, json.RejectUnknownMembers(true))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); err == nil || tooLarge {
		return err
	}
	return api.Invalidf("read the request's body: %v", err)
}

func wantType(r *http.Request, want string) error {
	found, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || found != want {
		return api.Invalidf("the body has Content-Type %q, want %q", r.Header.Get("Content-Type"), want)
	}
	return nil
}

// parameters reads the checked query of a request and keeps the first error.
type parameters struct {
	query url.Values
	err   error
}

func queryOf(r *http.Request) *parameters { return &parameters{query: r.URL.Query()} }

func (p *parameters) fail(format string, args ...any) {
	if p.err == nil {
		p.err = api.Invalidf(format, args...)
	}
}

// text returns a parameter's value, or false if it is absent.
func (p *parameters) text(name string) (string, bool) {
	values := p.query[name]
	if len(values) > 1 {
		p.fail("%s is given %d times", name, len(values))
	}
	return p.query.Get(name), len(values) > 0
}

// number reads a whole number, 0 if it is absent.
func (p *parameters) number(name string) int64 {
	text, given := p.text(name)
	if !given {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 63) // unlike ParseInt it refuses a plus sign
	switch {
	case errors.Is(err, strconv.ErrRange):
		p.fail("%s is %q, which is too large: the largest number is %d", name, text, n)
	case err != nil:
		p.fail("%s is %q, want a whole number", name, text)
	}
	return int64(n)
}

func (p *parameters) instant(name string) time.Time {
	text, given := p.text(name)
	if !given {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		p.fail("%s is %q, want an instant like 2026-03-14T15:09:26Z", name, text)
	}
	return at
}

func (p *parameters) flag(name string) bool {
	text, given := p.text(name)
	if given && text != "true" && text != "false" {
		p.fail("%s is %q, want true or false", name, text)
	}
	return text == "true"
}

func (p *parameters) outcomes(name string) []campaign.Outcome {
	list, err := outcomesOf(p.query[name])
	if err != nil {
		p.fail("%v", err)
	}
	return list
}

func (p *parameters) states(name string) []campaign.State {
	var list []campaign.State
	for _, text := range p.query[name] {
		if !slices.Contains(campaign.States, campaign.State(text)) {
			p.fail("unknown state %q; known are %v", text, campaign.States)
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
			return nil, api.Invalidf("unknown outcome %q; known are %v", text, campaign.FinalOutcomes)
		}
		list = append(list, o)
	}
	return list, nil
}
