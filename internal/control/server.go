package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Options configure a Server.
type Options struct {
	Socket string      // path of the Unix socket
	Mode   fs.FileMode // of the socket; 0 means 0660
	Group  string      // name or number of the socket's group, "" for the process's group

	Listen    string                   // address for HTTP, "" for none
	TokenFile string                   // for config.ReadSecret; if set, HTTP needs "Authorization: Bearer TOKEN" or a login
	Hosts     []string                 // further host names that HTTP answers to; see guard
	Getenv    func(string) string      // for a token in the environment; nil: an empty environment
	Registry  *prometheus.Registry     // for /metrics, nil for none
	Hooks     map[string]http.Handler  // handlers by path that bypass the guard and authenticate their callers themselves
	Pages     Pages                    // pages for browsers, nil for none
	Log       *slog.Logger             // nil: no logging
	OnListen  func(socket, web string) // called when both accept connections; web is "" if off
}

// Limits on requests. The work itself has no limit and ends when its caller
// disconnects. Limited is the time in which a caller sends or takes a piece.
const (
	maxJSON       = 1 << 20   // bytes of a JSON body
	maxImport     = 256 << 20 // bytes of an imported list
	maxHeader     = 32 << 10
	headerTimeout = 5 * time.Second
	pieceTimeout  = 30 * time.Second // for a small request as a whole, or a piece of a stream
	idleTimeout   = 2 * time.Minute
	endTimeout    = 5 * time.Second // for requests that run when ctx ends
)

// Server answers for a Service.
type Server struct {
	service    Service
	opts       Options
	log        *slog.Logger
	sessions   sessions
	formSecret string // Caller.Form where there are no sessions
}

// New returns a server that doesn't listen yet; Run does.
func New(service Service, opts Options) *Server {
	if opts.Mode == 0 {
		opts.Mode = 0o660
	}
	if opts.Getenv == nil {
		opts.Getenv = func(string) string { return "" }
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Server{service: service, opts: opts, log: log, formSecret: rand.Text()}
}

// Run serves until ctx ends, then gives running requests a moment to finish and
// returns nil. It returns an error if another daemon has the socket, if it can't
// listen on an address, or if HTTP would be open to the network without a token.
func (s *Server) Run(ctx context.Context) error {
	if s.opts.Registry != nil {
		live := newCollector(s.service)
		if err := s.opts.Registry.Register(live); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
		defer s.opts.Registry.Unregister(live)
	}
	socket, err := s.listenSocket()
	if err != nil {
		return err
	}
	defer socket.remove()
	servers := map[*http.Server]net.Listener{s.socketServer(): socket.listener}
	webAddress := ""
	if s.opts.Listen != "" {
		handler, listener, err := s.listenWeb()
		if err != nil {
			return errors.Join(err, socket.listener.Close())
		}
		web := s.httpServer(handler)
		if s.opts.Pages != nil {
			web.RegisterOnShutdown(s.opts.Pages.Close)
		}
		servers[web] = listener
		webAddress = listener.Addr().String()
	}

	group, ctx := errgroup.WithContext(ctx)
	for server, listener := range servers {
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", listener.Addr(), err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			return end(server)
		})
	}
	if s.opts.OnListen != nil {
		s.opts.OnListen(s.opts.Socket, webAddress)
	}
	return group.Wait()
}

// end waits for a server's requests and aborts those that take too long.
func end(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           inPieces(s.recovered(handler)),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       pieceTimeout,
		// No WriteTimeout: it would include the work. See piecewiseWriter.
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // broken clients are common
	}
}

// socketServer serves the JSON API to everyone with access to the socket.
func (s *Server) socketServer() *http.Server {
	server := s.httpServer(s.api())
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, whoKey{}, "user:"+peerName(conn))
	}
	return server
}

type whoKey struct{}

// who returns the caller's name for the audit trail.
func who(r *http.Request) string {
	name, _ := r.Context().Value(whoKey{}).(string)
	return name
}
