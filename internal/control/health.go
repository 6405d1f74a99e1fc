package control

import (
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// web is what HTTP serves: the JSON API, and what watches over the daemon.
func (s *Server) web() http.Handler {
	mux := s.api()
	mux.HandleFunc("GET "+pathHealth, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if _, err := io.WriteString(w, "ok\n"); err != nil {
			s.log.Debug("write answer", "err", err)
		}
	})
	mux.HandleFunc("GET "+pathReady, s.getReady)
	if s.opts.Registry != nil {
		mux.Handle("GET "+pathMetrics, promhttp.HandlerFor(s.opts.Registry, promhttp.HandlerOpts{
			ErrorHandling:       promhttp.ContinueOnError, // what can be collected is better than nothing
			MaxRequestsInFlight: 4,
		}))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, NotFoundf("there is no %q here; there are %s, %s, %s and /v1/", r.URL.Path, pathHealth, pathReady, pathMetrics))
	})
	return mux
}

// getReady answers 200 if every check is well, else 503. Callers without a
// token see which checks there are and not what is wrong.
func (s *Server) getReady(w http.ResponseWriter, r *http.Request) {
	checks := some(s.service.Ready(r.Context()))
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
		Ready  bool    `json:"ready"`
		Checks []Check `json:"checks"`
	}{ready, checks})
}
