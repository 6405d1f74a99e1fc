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

// Options say where a Server listens.
type Options struct {
	Socket string      // path of the Unix socket
	Mode   fs.FileMode // of the socket; 0 is 0660
	Group  string      // name or number of the socket's group, "" for the process's own

	Listen    string                   // address for HTTP, "" for none
	TokenFile string                   // what config.ReadSecret reads; HTTP then asks for "Authorization: Bearer TOKEN" or a login
	Hosts     []string                 // names under which HTTP may be asked; see guard
	Getenv    func(string) string      // for a token in the environment; nil: nothing is set
	Registry  *prometheus.Registry     // for /metrics, nil for none
	Hooks     map[string]http.Handler  // by path: what HTTP gives to handlers of their own, which decide who may call
	Pages     Pages                    // what HTTP shows to browsers, nil for none
	Log       *slog.Logger             // nil: nothing is logged
	OnListen  func(socket, web string) // called when both accept connections; web is "" if off
}

// Limits on requests. Work may take its time, and ends when its caller goes away;
// what is limited is how long a caller may take to send or to take a piece.
const (
	maxJSON       = 1 << 20   // bytes of a JSON body
	maxImport     = 256 << 20 // bytes of an imported list
	maxHeader     = 32 << 10
	headerTimeout = 5 * time.Second
	pieceTimeout  = 30 * time.Second // for a small request as a whole, or a piece of a stream
	idleTimeout   = 2 * time.Minute
	endTimeout    = 5 * time.Second // what runs when ctx ends may take this long
)

// Server answers for a Service.
type Server struct {
	service    Service
	opts       Options
	log        *slog.Logger
	sessions   sessions
	formSecret string // Visit.Form where there are no sessions
}

// New makes a server. It opens nothing; Run does.
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

// Run serves until ctx ends, then lets running requests finish for a moment and
// returns nil. It returns an error if the socket is held by another daemon, if
// an address can't be listened on, or if HTTP would be open to the network without a token.
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

// end lets a server's requests finish, and cuts off those that take too long.
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
		// No WriteTimeout: it would count the work too. See piecewiseWriter.
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // broken clients are no news
	}
}

// socketServer serves the JSON API to whoever may open the socket.
func (s *Server) socketServer() *http.Server {
	server := s.httpServer(s.api())
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, whoKey{}, "user:"+peerName(conn))
	}
	return server
}

type whoKey struct{}

// who is the caller's name for the audit trail.
func who(r *http.Request) string {
	name, _ := r.Context().Value(whoKey{}).(string)
	return name
}
