package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Options configure a Server.
type Options struct {
	Socket string // path of the Unix socket, which gets the mode 0660
	Group  string // name or number of the socket's group, "" for the process's group

	Listen         string                   // address for HTTP, "" for none
	TokenFile      string                   // token of HTTP, for config.ReadSecret; "" for StateToken
	StateToken     string                   // path of the token that is created at the first start without TokenFile
	Partners       func() map[string]string // tokens of partners by the path of their inbox; nil: there are none
	MetricsToken   bool                     // /metrics needs the token on loopback too
	TrustedProxies []netip.Prefix           // whose X-Forwarded-For names the caller
	Getenv         func(string) string      // for a token in the environment; nil: an empty environment
	Registry       *prometheus.Registry     // for /metrics, nil for none
	Hooks          map[string]http.Handler  // handlers by path that bypass the guard and authenticate their callers themselves
	Pages          Pages                    // pages for browsers, nil for none
	Bars           func() string            // why nothing can be recorded now, "" if it can; nil: nothing ever prevents it
	Log            *slog.Logger             // nil: no logging
	OnListen       func(socket, web string) // called when both accept connections; web is "" if off
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
	codes      loginCodes
	wrong      *wrongTokens
	loopback   bool   // HTTP listens on loopback; set before serving
	webAddress string // of HTTP, "" if off; set before serving
}

// New returns a server that doesn't listen yet; Run does.
func New(service Service, opts Options) *Server {
	if opts.Getenv == nil {
		opts.Getenv = func(string) string { return "" }
	}
	log := cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	return &Server{service: service, opts: opts, log: log, wrong: newWrongTokens(log)}
}

// Run serves until ctx ends, then gives running requests a moment to finish and
// returns nil. It returns an error if another daemon has the socket, if it can't
// listen on an address, or if HTTP would be open to the network without a token.
func (s *Server) Run(ctx context.Context) error {
	if s.opts.Registry != nil {
		unregister, err := register(s.opts.Registry, newCollector(s.service))
		defer unregister()
		if err != nil {
			return err
		}
	}
	socket, err := s.listenSocket()
	if err != nil {
		return err
	}
	defer socket.remove()
	servers := map[*http.Server]net.Listener{s.socketServer(): limitSocket(socket.listener, s.log)}
	if s.opts.Listen != "" {
		listener, err := s.listenWeb(true)
		if err != nil {
			return errors.Join(err, socket.listener.Close())
		}
		web := s.httpServer(s.withHooks(s.guard(s.web())))
		if s.opts.Pages != nil {
			web.RegisterOnShutdown(s.opts.Pages.Close)
		}
		web.ConnContext = withConn
		servers[web] = listener
		s.webAddress = listener.Addr().String()
		if s.opts.Registry != nil {
			unregister, err := register(s.opts.Registry, s.wrong.counter, listener.open, listener.refused)
			defer unregister()
			if err != nil {
				return errors.Join(err, listener.Close(), socket.listener.Close())
			}
		}
	}

	group, ctx := errgroup.WithContext(ctx)
	for server, listener := range servers {
		serve(ctx, group, server, listener)
	}
	if s.opts.OnListen != nil {
		s.opts.OnListen(s.opts.Socket, s.webAddress)
	}
	return group.Wait()
}

// register registers metrics and returns a function that unregisters them.
func register(registry *prometheus.Registry, metrics ...prometheus.Collector) (unregister func(), err error) {
	var registered []prometheus.Collector
	unregister = func() {
		for _, m := range registered {
			registry.Unregister(m)
		}
	}
	for _, m := range metrics {
		if err := registry.Register(m); err != nil {
			return unregister, fmt.Errorf("register metrics: %w", err)
		}
		registered = append(registered, m)
	}
	return unregister, nil
}

// serve lets a server answer as a part of group until ctx ends.
func serve(ctx context.Context, group *errgroup.Group, server *http.Server, listener net.Listener) {
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
		if limited, ok := conn.(*limitedConn); ok {
			conn = limited.Conn
		}
		return context.WithValue(ctx, whoKey{}, "user:"+peerName(conn))
	}
	return server
}

type whoKey struct{}

// overSocket reports whether a request came over the control socket.
func overSocket(r *http.Request) bool { return strings.HasPrefix(who(r), "user:") }

// who returns the caller's name for the audit trail.
func who(r *http.Request) string {
	name, _ := r.Context().Value(whoKey{}).(string)
	return name
}
