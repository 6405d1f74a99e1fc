package control

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"campaignd/internal/api"
)

// Standby answers for a process that waits to lead: it has a status and readiness, and everything
// else is to be asked elsewhere.
type Standby interface {
	// Status describes the process. Only Version, PID, StartedAt, Now, ConfigFile and Cluster are set.
	Status() api.Status
	// Ready checks what the process needs to take over.
	Ready(ctx context.Context) []api.Check
	// Elsewhere completes the sentence "this process doesn't lead: …" for every other request.
	Elsewhere() string
}

// RunStandby serves the socket, and health, readiness and metrics at opts.Listen if that is set,
// until ctx ends. See RunProbe for the options.
func RunStandby(ctx context.Context, opts Options, standby Standby) error {
	s := New(nil, opts)
	socket, err := s.listenSocket()
	if err != nil {
		return err
	}
	defer socket.remove()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", s.answer(func(w http.ResponseWriter, _ *http.Request) error {
		return s.reply(w, standby.Status(), nil)
	}))
	mux.HandleFunc("/", s.answer(func(http.ResponseWriter, *http.Request) error {
		return api.Unavailablef("this process doesn't lead: %s", standby.Elsewhere())
	}))
	group, ctx := errgroup.WithContext(ctx)
	serve(ctx, group, s.httpServer(mux), limitSocket(socket.listener, s.log))
	if opts.Listen != "" {
		opts.Registry = prometheus.NewRegistry()
		if err := opts.Registry.Register(newStandbyCollector(standby)); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
		group.Go(func() error { return RunProbe(ctx, opts, standby.Ready) })
	}
	return group.Wait()
}
