package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"campaignd/internal/api"
)

// listenWeb opens the address for HTTP. An address that other machines can reach needs a
// configured token; on loopback one is made if makeToken says so.
func (s *Server) listenWeb(makeToken bool) (*connectionLimiter, error) {
	listener, err := listenTCP(s.opts.Listen)
	if err != nil {
		return nil, err
	}
	// The configured name may resolve to anything; the bound address is certain.
	at, ok := listener.Addr().(*net.TCPAddr)
	s.loopback = ok && at.IP.IsLoopback()
	if makeToken || s.opts.TokenFile != "" || !s.loopback {
		if err := s.prepareToken(); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	limiter := newConnectionLimiter(connectionLimit(s.log), s.trusted, s.log)
	limiter.Listener = listener
	return limiter, nil
}

// listenTCP opens the address of HTTP. Its error says what to do.
func listenTCP(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	advice := ""
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		advice = ": end the process that has it, or set another listen"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = ": set listen to an address of this machine"
	case errors.Is(err, syscall.EACCES):
		advice = ": set listen to a port from 1024, or let the daemon use lower ones"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno // without the address again
	}
	return nil, fmt.Errorf("listen on %q: %w%s", address, err, advice)
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

// maxForm limits a page's form, in bytes.
const maxForm = 64 << 10

// guard decides which requests HTTP answers:
//
//   - A request needs the token, or the cookie of a session that the token or a
//     login code opened. The cookie is valid for pages only; the API needs the
//     token itself. Exceptions are /healthz and /readyz, which then report only
//     yes or no, the login page with its assets, and on loopback /metrics.
//   - A change must not come from another site's page. Browsers report the origin
//     of a request, and a form of a page also carries Caller.Form.
//   - For /metrics without a token the Host header must name this machine. Another site can point its own name
//     here (DNS rebinding), and its pages could then read the answers.
//
// The connection of a caller without token or session is closed after the answer.
func (s *Server) guard(next http.Handler) http.Handler {
	names := s.names()
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		caller, err := s.authenticate(r)
		if err != nil || !mayStay(r.Context()) {
			header.Set("Connection", "close")
		}
		if err != nil && r.URL.Path == pathMetrics && !knownHost(r.Host, names) {
			s.fail(w, r, &api.Error{Code: api.CodeHost, Message: fmt.Sprintf("%q isn't a name of this server: use its address or localhost", r.Host)})
			return
		}
		if err := cross.Check(r); err != nil {
			s.fail(w, r, &api.Error{Code: api.CodeForbidden, Message: "the request comes from another web site"})
			return
		}
		if err != nil && !s.public(r) {
			header.Set("WWW-Authenticate", `Bearer realm="campaignd"`)
			s.fail(w, r, err)
			return
		}
		if caller.Inbox != "" && !isAPI(r) {
			if !s.public(r) {
				s.fail(w, r, noSuchPath(r))
				return
			}
			caller = Caller{} // learns no more than anybody
		}
		if err := checkForm(w, r, caller); err != nil {
			s.fail(w, r, err)
			return
		}
		ctx := context.WithValue(r.Context(), callerKey{}, caller)
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, whoKey{}, caller.Who)))
	})
}

// names returns the host names of this machine.
func (s *Server) names() map[string]bool {
	names := map[string]bool{"localhost": true}
	if name, err := os.Hostname(); err == nil {
		names[strings.ToLower(name)] = true
	}
	if host, _, err := net.SplitHostPort(s.opts.Listen); err == nil {
		names[strings.ToLower(host)] = true
	}
	return names
}

// public reports whether a request is answered without a token.
func (s *Server) public(r *http.Request) bool {
	switch path := r.URL.Path; {
	case path == pathHealth || path == pathReady:
		return true
	case path == pathMetrics:
		// A proxy on this machine forwards requests of others.
		return s.loopback && !s.opts.MetricsToken && r.Header.Get("X-Forwarded-For") == ""
	case s.opts.Pages == nil:
		return false
	default:
		return path == PathLogin || strings.HasPrefix(path, PathAssets)
	}
}

// authenticate identifies the caller by its token or its session.
func (s *Server) authenticate(r *http.Request) (Caller, error) {
	sent := r.Header.Get("Authorization")
	cookie, err := r.Cookie(sessionName)
	hasSession := err == nil && s.opts.Pages != nil && sent == "" && !isAPI(r)
	if sent == "" && !hasSession {
		return Caller{}, errNoToken()
	}
	token, err := s.currentToken()
	if err != nil {
		return Caller{}, err
	}
	if hasSession {
		if found, ok := s.sessions.find(cookie.Value, token); ok {
			return Caller{Who: "web:login", Form: found.form, Login: true}, nil
		}
		return Caller{}, errNoToken()
	}
	scheme, given, _ := strings.Cut(sent, " ")
	if strings.EqualFold(scheme, "Bearer") {
		if same(token, given) {
			return Caller{Who: "web:token"}, nil
		}
		if inbox := s.partner(given); inbox != "" {
			return Caller{Who: "inbox:" + inbox, Inbox: inbox}, nil
		}
	}
	s.wrong.refuse(r, s.clientAddress(r))
	return Caller{}, errNoToken()
}

// partner returns the inbox that a token belongs to, or "". It compares with every partner's token,
// so that the time tells nothing.
func (s *Server) partner(given string) string {
	found := ""
	if s.opts.Partners == nil {
		return found
	}
	for inbox, token := range s.opts.Partners() {
		if same(token, given) {
			found = inbox
		}
	}
	return found
}

// partnerOf returns the inbox of a partner's request, "" for everybody else's.
func partnerOf(r *http.Request) string { return CallerOf(r.Context()).Inbox }

func errNoToken() error {
	return &api.Error{Code: api.CodeUnauthorized, Message: "the token is missing or wrong: send \"Authorization: Bearer TOKEN\", or log in with \"campaignd dashboard\""}
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, pathAPI) }

// checkForm compares a form with the secret of the page that it came from. A
// login and a request with the token need none: another site's page can do neither.
func checkForm(w http.ResponseWriter, r *http.Request, caller Caller) error {
	if isAPI(r) || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if caller.Form == "" || r.URL.Path == PathLogin {
		return nil
	}
	if !same(caller.Form, r.PostFormValue(FormField)) {
		return &api.Error{Code: api.CodeForbidden, Message: "this page is too old or comes from another server: reload it and try again"}
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
