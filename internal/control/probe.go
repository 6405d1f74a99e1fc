package control

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	listener, err := net.Listen("tcp", opts.Listen)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", opts.Listen, err)
	}
	at, ok := listener.Addr().(*net.TCPAddr)
	s.loopback = ok && at.IP.IsLoopback()
	if opts.TokenFile != "" || !s.loopback {
		if err := s.prepareToken(); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	mux := http.NewServeMux()
	s.handleHealth(mux, ready)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, api.NotFoundf("there is no %q here, only %s, %s and %s", r.URL.Path, pathHealth, pathReady, pathMetrics))
	})
	limiter := newConnectionLimiter(connectionLimit(s.log), s.trusted, s.log)
	limiter.Listener = listener
	web := s.httpServer(s.guard(mux))
	web.ConnContext = withConn
	s.log.Info("listening", "http", listener.Addr().String())
	group, ctx := errgroup.WithContext(ctx)
	serve(ctx, group, web, limiter)
	return group.Wait()
}
