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

// minToken is the least length of a token that is not guessed.
const minToken = 16

// listenWeb opens the address for HTTP and makes what serves it. What reaches
// beyond this machine needs a token.
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
	// The address that was bound says it, whatever name the configuration used.
	if at, ok := listener.Addr().(*net.TCPAddr); s.opts.TokenFile == "" && (!ok || !at.IP.IsLoopback()) {
		err := fmt.Errorf("listen on %q: others can reach it, so it needs a token: set token_file, or listen on 127.0.0.1", s.opts.Listen)
		return nil, nil, errors.Join(err, listener.Close())
	}
	return s.hooked(s.guard(s.web())), listener, nil
}

// hooked passes the paths of webhooks by the guard: their callers have no token, come under
// whatever name a proxy has, and prove by a signature who they are.
func (s *Server) hooked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, ok := s.opts.Hooks[r.URL.Path]; ok {
			handler.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// token is read at every use, so that a changed one counts at once.
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

// maxForm is the most bytes of a page's form.
const maxForm = 64 << 10

// guard lets through what may be asked over HTTP:
//
//   - Under a name of this machine. A page of another site can have its own name
//     point here (DNS rebinding) and then reads answers as its own; such
//     requests carry that name. Where a token is asked for, the page doesn't
//     have it, so names are checked only if the options list them.
//   - From no other site's page, where something is changed. Browsers say where
//     a request comes from; a page's form carries Visit.Form besides.
//   - With the token, if there is one, or the cookie of a session that was opened
//     with it. The cookie opens the pages; the API wants the token itself.
//     /healthz and /readyz answer without, for load balancers, and then say no
//     more than yes or no; so do the login page and what makes it look well.
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
			s.fail(w, r, &Error{Code: CodeHost, Message: fmt.Sprintf("%q is no name of this server: ask it by its address or as localhost", r.Host)})
			return
		}
		if err := cross.Check(r); err != nil {
			s.fail(w, r, &Error{Code: CodeForbidden, Message: "the request comes from another web site"})
			return
		}
		visit, err := s.visit(r)
		if err != nil {
			if !s.open(r) {
				header.Set("WWW-Authenticate", `Bearer realm="campaignd"`)
				s.fail(w, r, err)
				return
			}
			visit = Visit{}
		}
		if err := checkForm(w, r, visit); err != nil {
			s.fail(w, r, err)
			return
		}
		ctx := context.WithValue(r.Context(), visitKey{}, visit)
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, whoKey{}, visit.Who)))
	})
}

// names are those of this machine and of the options.
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

// visit is who asks, or an error where nobody may without a token.
func (s *Server) visit(r *http.Request) (Visit, error) {
	if s.opts.TokenFile == "" {
		return Visit{Who: "web:local", Form: s.formSecret}, nil
	}
	if cookie, err := r.Cookie(sessionName); err == nil && s.opts.Pages != nil &&
		r.Header.Get("Authorization") == "" && !isAPI(r) {
		token, err := s.token()
		if err != nil {
			s.log.Error("read token", "err", err)
			return Visit{}, Unavailablef("the daemon can't read its token: its log says why")
		}
		if found, ok := s.sessions.find(cookie.Value, token); ok {
			return Visit{Who: "web:login", Form: found.form, Login: true}, nil
		}
	}
	if err := s.authorized(r); err != nil {
		return Visit{}, err
	}
	return Visit{Who: "web:token"}, nil
}

func isAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, pathAPI) }

// checkForm holds a page's form to the secret that the page carried. Who logs in
// or sent the token needs none: no page of another site can do that.
func checkForm(w http.ResponseWriter, r *http.Request, visit Visit) error {
	if isAPI(r) || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if visit.Form == "" || r.URL.Path == PathLogin {
		return nil
	}
	if !same(visit.Form, r.PostFormValue(FormField)) {
		return &Error{Code: CodeForbidden, Message: "the page is too old or not from this server: load it again and repeat what you did"}
	}
	return nil
}

// knownHost reports whether a Host header is an IP address, which no site can
// take over, or one of names.
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

// recovered turns a panic into an answer: one broken request ends alone.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch what := recover(); what {
			case nil:
			case http.ErrAbortHandler:
				panic(what) // a cut stream: net/http closes the connection
			default:
				s.fail(w, r, fmt.Errorf("answer %s %s: panic: %v", r.Method, r.URL.Path, what))
			}
		}()
		next.ServeHTTP(w, r)
	})
}
