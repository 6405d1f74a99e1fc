package control

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"campaignd/internal/api"
)

const (
	codeLength = 10 * time.Minute
	maxCodes   = 100 // unused at the same time
)

// loginCodes keeps the digests of unused codes with their expiry. The zero
// loginCodes is ready to use.
type loginCodes struct {
	mu   sync.Mutex // guards list
	list map[[sha256.Size]byte]time.Time
}

// create returns a new code, or false if too many are unused.
func (c *loginCodes) create(now time.Time) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil {
		c.list = map[[sha256.Size]byte]time.Time{}
	}
	maps.DeleteFunc(c.list, func(_ [sha256.Size]byte, until time.Time) bool { return now.After(until) })
	if len(c.list) >= maxCodes {
		return "", false
	}
	code := strings.ToLower(rand.Text())
	c.list[sha256.Sum256([]byte(code))] = now.Add(codeLength)
	return code, true
}

// use reports whether a code is valid and makes it invalid.
func (c *loginCodes) use(code string, now time.Time) bool {
	key := sha256.Sum256([]byte(code))
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.list[key]
	delete(c.list, key)
	return ok && !now.After(until)
}

// postLoginCode answers only over the socket: whoever may open it may do everything.
func (s *Server) postLoginCode(w http.ResponseWriter, r *http.Request) error {
	if !overSocket(r) {
		return &api.Error{Code: api.CodeForbidden, Message: "login codes are created only over the control socket: use \"campaignd dashboard\""}
	}
	if s.webAddress == "" || s.opts.Pages == nil {
		return api.Conflictf("the dashboard is off: set listen in the configuration and restart the daemon")
	}
	now := time.Now()
	code, ok := s.codes.create(now)
	if !ok {
		return api.Unavailablef("there are %d unused login codes; each expires after %s", maxCodes, codeLength)
	}
	address := url.URL{Scheme: "http", Host: reachable(s.webAddress), Path: PathLogin, RawQuery: "code=" + code}
	return s.reply(w, api.LoginCode{Address: address.String(), ExpiresAt: now.Add(codeLength).UTC().Truncate(time.Second)}, nil)
}

// reachable replaces an address that means every interface with one that a browser can open.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch ip := net.ParseIP(host); {
	case ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// getLogin logs in with a code, or shows the login page.
func (s *Server) getLogin(w http.ResponseWriter, r *http.Request) error {
	code := r.URL.Query().Get("code")
	if code == "" || r.Method != http.MethodGet {
		s.opts.Pages.ServeHTTP(w, r)
		return nil
	}
	if !s.codes.use(code, time.Now()) {
		s.wrong.refuse(r, s.clientAddress(r))
		http.Redirect(w, r, PathLogin+"?expired=1", http.StatusSeeOther)
		return nil
	}
	return s.startSession(w, r, "/")
}

// postLogin starts a session for the right token.
func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.PostFormValue("next"))
	token, err := s.currentToken()
	if err != nil {
		return err
	}
	if !same(token, r.PostFormValue("token")) {
		s.wrong.refuse(r, s.clientAddress(r))
		http.Redirect(w, r, LoginPath(next, true), http.StatusSeeOther)
		return nil
	}
	return s.startSession(w, r, next)
}

// startSession logs a browser in and redirects it to next.
func (s *Server) startSession(w http.ResponseWriter, r *http.Request, next string) error {
	token, err := s.currentToken()
	if err != nil {
		return err
	}
	http.SetCookie(w, sessionCookie(r, s.sessions.open(token)))
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// postLogout ends the session.
func (s *Server) postLogout(w http.ResponseWriter, r *http.Request) error {
	if cookie, err := r.Cookie(sessionName); err == nil {
		s.sessions.end(cookie.Value)
	}
	gone := sessionCookie(r, "")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	http.Redirect(w, r, PathLogin, http.StatusSeeOther)
	return nil
}
