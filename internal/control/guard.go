package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"campaignd/internal/config"
)

// minToken is the shortest token, in characters, that can't be guessed.
const minToken = 16

// listenWeb opens the address for HTTP and returns it with its handler. An
// address that other machines can reach needs a token.
func (s *Server) listenWeb() (http.Handler, net.Listener, error) {
	if s.opts.TokenFile != "" {
		if _, err := s.token(); err != nil {
			return nil, nil, err
		}
	}
	listener, err := net.Listen("tcp", s.opts.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on %q: %w", s.opts.Listen, err)
	}
	// The configured name may resolve to anything; the bound address is certain.
	if at, ok := listener.Addr().(*net.TCPAddr); s.opts.TokenFile == "" && (!ok || !at.IP.IsLoopback()) {
		err := fmt.Errorf("listen on %q: other machines can reach this address: set token_file, or listen on 127.0.0.1", s.opts.Listen)
		return nil, nil, errors.Join(err, listener.Close())
	}
	return s.withHooks(s.guard(s.web())), listener, nil
}

// withHooks lets webhooks bypass the guard: their callers have no token, use any host name
// that a proxy has, and prove their identity with a signature.
func (s *Server) withHooks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, ok := s.opts.Hooks[r.URL.Path]; ok {
			handler.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// token reads the token at every use, so that a changed one is in force immediately.
func (s *Server) token() (string, error) {
	token, err := config.ReadSecret(s.opts.TokenFile, s.opts.Getenv)
	if err != nil {
		return "", fmt.Errorf("read token_file: %w", err)
	}
	if token = strings.TrimSpace(token); len(token) < minToken {
		return "", fmt.Errorf("read token_file: a token needs %d characters or more; `openssl rand -hex 32` makes one", minToken)
	}
	return token, nil
}

// maxForm limits a page's form, in bytes.
const maxForm = 64 << 10

// guard decides which requests HTTP answers:
//
//   - The Host header must name this machine. Another site can point its own name
//     here (DNS rebinding), and its pages could then read the answers; their
//     requests carry that name. Such a page has no token, so with a token the
//     names are checked only if the options list them.
//   - A change must not come from another site's page. Browsers report the origin
//     of a request, and a form of a page also carries Caller.Form.
//   - With a token configured, the request needs it, or the cookie of a session
//     opened with it. The cookie is valid for pages only; the API needs the token
//     itself. /healthz and /readyz answer without it, for load balancers, and then
//     report only yes or no. The login page and its assets need no token either.
func (s *Server) guard(next http.Handler) http.Handler {
	names := s.names()
	checkNames := s.opts.TokenFile == "" || len(s.opts.Hosts) > 0
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if checkNames && !knownHost(r.Host, names) {
			s.fail(w, r, &Error{Code: CodeHost, Message: fmt.Sprintf("%q isn't a name of this server: use its address or localhost", r.Host)})
			return
		}
		if err := cross.Check(r); err != nil {
			s.fail(w, r, &Error{Code: CodeForbidden, Message: "the request comes from another web site"})
			return
		}
		visit, err := s.authenticate(r)
		if err != nil {
			if !s.open(r) {
				header.Set("WWW-Authenticate", `Bearer realm="campaignd"`)
				s.fail(w, r, err)
				return
			}
			visit = Caller{}
		}
		if err := checkForm(w, r, visit); err != nil {
			s.fail(w, r, err)
			return
		}
		ctx := context.WithValue(r.Context(), callerKey{}, visit)
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, whoKey{}, visit.Who)))
	})
}

// names returns the host names of this machine and of the options.
func (s *Server) names() map[string]bool {
	names := map[string]bool{"localhost": true}
	for _, name := range s.opts.Hosts {
		names[strings.ToLower(name)] = true
	}
	if name, err := os.Hostname(); err == nil {
		names[strings.ToLower(name)] = true
	}
	if host, _, err := net.SplitHostPort(s.opts.Listen); err == nil {
		names[strings.ToLower(host)] = true
	}
	return names
}

// open reports whether a request is answered without a token.
func (s *Server) open(r *http.Request) bool {
	switch path := r.URL.Path; {
	case path == pathHealth || path == pathReady:
		return true
	case s.opts.Pages == nil:
		return false
	default:
		return path == PathLogin || strings.HasPrefix(path, PathAssets)
	}
}

// authenticate identifies the caller.
func (s *Server) authenticate(r *http.Request) (Caller, error) {
	if s.opts.TokenFile == "" {
		return Caller{Who: "web:local", Form: s.formSecret}, nil
	}
	if cookie, err := r.Cookie(sessionName); err == nil && s.opts.Pages != nil &&
		r.Header.Get("Authorization") == "" && !isAPI(r) {
		token, err := s.token()
		if err != nil {
			s.log.Error("read token", "err", err)
			return Caller{}, Unavailablef("the daemon can't read its token: its log says why")
		}
		if found, ok := s.sessions.find(cookie.Value, token); ok {
			return Caller{Who: "web:login", Form: found.form, Login: true}, nil
		}
	}
	if err := s.authorized(r); err != nil {
		return Caller{}, err
	}
	return Caller{Who: "web:token"}, nil
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, pathAPI) }

// checkForm compares a form with the secret of the page that it came from. A
// login and a request with the token need none: another site's page can do neither.
func checkForm(w http.ResponseWriter, r *http.Request, visit Caller) error {
	if isAPI(r) || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if visit.Form == "" || r.URL.Path == PathLogin {
		return nil
	}
	if !same(visit.Form, r.PostFormValue(FormField)) {
		return &Error{Code: CodeForbidden, Message: "this page is too old or comes from another server: reload it and try again"}
	}
	return nil
}

// knownHost reports whether a Host header is an IP address, which can't be
// rebound, or one of names.
func knownHost(header string, names map[string]bool) bool {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return names[host] || net.ParseIP(strings.Trim(host, "[]")) != nil
}

// authorized compares the request's token in constant time.
func (s *Server) authorized(r *http.Request) error {
	token, err := s.token()
	if err != nil {
		s.log.Error("read token", "err", err)
		return Unavailablef("the daemon can't read its token: its log says why")
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || !same(token, given) {
		return &Error{Code: CodeUnauthorized, Message: "the token is missing or wrong: send \"Authorization: Bearer TOKEN\""}
	}
	return nil
}

// recovered turns a panic into an error answer, so that it ends only its own request.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch what := recover(); what {
			case nil:
			case http.ErrAbortHandler:
				panic(what) // an aborted stream: net/http closes the connection
			default:
				s.fail(w, r, fmt.Errorf("answer %s %s: panic: %v", r.Method, r.URL.Path, what))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
