package control

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	sessionName   = "campaignd_session"
	sessionLength = 12 * time.Hour
	maxSessions   = 1000 // beyond it, the one that expires first ends
)

// sessions keeps the browsers that have logged in. They are in memory only, so a
// restart ends them; a changed token ends them too. A cookie is stored as its
// digest.
type sessions struct {
	mu   sync.Mutex // guards list
	list map[[sha256.Size]byte]session
}

type session struct {
	token [sha256.Size]byte // digest of the token at the login
	until time.Time
	form  string // see Caller.Form
}

// open starts a session and returns the value of its cookie.
func (s *sessions) open(token string) string {
	value := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = map[[sha256.Size]byte]session{}
	}
	s.prune()
	s.list[sha256.Sum256([]byte(value))] = session{
		token: sha256.Sum256([]byte(token)), until: time.Now().Add(sessionLength), form: rand.Text(),
	}
	return value
}

// prune removes expired sessions, and one more if there are too many.
func (s *sessions) prune() {
	now := time.Now()
	var first [sha256.Size]byte
	for key, one := range s.list {
		if now.After(one.until) {
			delete(s.list, key)
			continue
		}
		if found, ok := s.list[first]; !ok || one.until.Before(found.until) {
			first = key
		}
	}
	if len(s.list) >= maxSessions {
		delete(s.list, first)
	}
}

// find returns the session of a cookie's value if it is valid with the current token.
func (s *sessions) find(value, token string) (session, bool) {
	key := sha256.Sum256([]byte(value))
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.list[key]
	if !ok {
		return session{}, false
	}
	if time.Now().After(found.until) || found.token != sha256.Sum256([]byte(token)) {
		delete(s.list, key)
		return session{}, false
	}
	return found, true
}

func (s *sessions) end(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, sha256.Sum256([]byte(value)))
}

// sessionCookie returns a cookie that scripts and other sites can't read or send.
// It is Secure if the browser uses TLS; trusting the proxy's header can only make it stricter.
func sessionCookie(r *http.Request, value string) *http.Cookie {
	return &http.Cookie{
		Name: sessionName, Value: value, Path: "/", MaxAge: int(sessionLength / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	}
}

// same compares two secrets in constant time, whatever their lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(strings.TrimSpace(b)))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// localPath returns text if it is a path of this server, else "/": a login must
// not redirect to another site ("//evil.example", "/\evil.example").
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(u.Path, "//") || strings.ContainsAny(text, "\\\r\n\t") || strings.HasPrefix(u.Path, PathLogin) {
		return "/"
	}
	return u.RequestURI()
}

// LoginPath returns the address of the login page that continues to next, a path
// of this server. wrong means that a token was refused.
func LoginPath(next string, wrong bool) string {
	query := url.Values{}
	if next = localPath(next); next != "/" {
		query.Set("next", next)
	}
	if wrong {
		query.Set("wrong", "1")
	}
	if len(query) == 0 {
		return PathLogin
	}
	return PathLogin + "?" + query.Encode()
}
