package control

import (
	"context"
	"net/http"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/api"
)

// RunProbe serves health, readiness and metrics over HTTP at opts.Listen until ctx ends, for a
// process that has no other API there: a worker or a standby. The guard is that of a Server: beyond loopback, metrics
// and the reasons of readiness need the token. It uses Listen, TokenFile, Getenv, MetricsToken,
// TrustedProxies, Registry and Log.
func RunProbe(ctx context.Context, opts Options, ready func(context.Context) []api.Check) error {
	s := New(nil, opts)
	listener, err := s.listenWeb(false)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	s.handleHealth(mux, ready)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, api.NotFoundf("there is no %q here, only %s, %s and %s", r.URL.Path, pathHealth, pathReady, pathMetrics))
	})
	web := s.httpServer(s.guard(mux))
	web.ConnContext = withConn
	s.log.Info("listening", "http", listener.Addr().String())
	group, ctx := errgroup.WithContext(ctx)
	serve(ctx, group, web, listener)
	return group.Wait()
}
