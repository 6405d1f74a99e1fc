package control

import (
	"context"
	_ "embed"
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"campaignd/internal/api"
)

// OpenAPI describes the JSON API (OpenAPI 3.1).
//
//go:embed openapi.json
var OpenAPI string

// web returns the handler of HTTP: the JSON API, health, readiness, metrics and pages.
func (s *Server) web() http.Handler {
	mux := s.api()
	s.handleHealth(mux, func(ctx context.Context) []api.Check { return s.service.Ready(ctx) })
	mux.HandleFunc("GET "+pathOpenAPI, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", typeJSON)
		if _, err := io.WriteString(w, OpenAPI); err != nil {
			s.log.Debug("write answer", "err", err)
		}
	})
	if s.opts.Pages != nil {
		mux.HandleFunc("GET "+PathLogin, s.answer(s.getLogin))
		mux.HandleFunc("POST "+PathLogin, s.answer(s.postLogin))
		mux.HandleFunc("POST "+PathLogout, s.answer(s.postLogout))
		mux.Handle("/", s.opts.Pages)
		return mux
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, api.NotFoundf("there is no %q here, only %s, %s, %s, %s and %s", r.URL.Path, pathHealth, pathReady, pathMetrics, pathOpenAPI, pathAPI))
	})
	return mux
}

// handleHealth adds health, readiness and metrics to mux.
func (s *Server) handleHealth(mux *http.ServeMux, ready func(context.Context) []api.Check) {
	mux.HandleFunc("GET "+pathHealth, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if _, err := io.WriteString(w, "ok\n"); err != nil {
			s.log.Debug("write answer", "err", err)
		}
	})
	mux.HandleFunc("GET "+pathReady, func(w http.ResponseWriter, r *http.Request) { s.answerReady(w, r, ready(r.Context())) })
	if s.opts.Registry != nil {
		mux.Handle("GET "+pathMetrics, promhttp.HandlerFor(s.opts.Registry, promhttp.HandlerOpts{
			ErrorHandling:       promhttp.ContinueOnError, // some metrics are better than none
			MaxRequestsInFlight: 4,
		}))
	}
}

// answerReady answers 200 if every check passed, else 503. Without a token the
// answer names the checks but not their problems.
func (s *Server) answerReady(w http.ResponseWriter, r *http.Request, checks []api.Check) {
	checks = nonNil(checks)
	ready := true
	for i := range checks {
		ready = ready && checks[i].OK
		if who(r) == "" {
			checks[i].Message = ""
		}
	}
	w.Header().Set("Content-Type", typeJSON)
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	s.encode(w, struct {
		Ready  bool        `json:"ready"`
		Checks []api.Check `json:"checks"`
	}{ready, checks})
}
