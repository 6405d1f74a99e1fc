package control

import (
	"context"
	"net/http"
)

// Pages is what people see in a browser. The server calls it behind its guard,
// for every path that is not its own.
type Pages interface {
	http.Handler

	// Sorry answers a browser whose request was refused. For CodeUnauthorized it
	// sends it to the login page, PathLogin.
	Sorry(w http.ResponseWriter, r *http.Request, err *Error)

	// Close ends answers that would go on for ever. It is called once, when the
	// server stops.
	Close()
}

// The paths of a login. The page is answered by Pages to a GET without a token,
// and so is everything under PathAssets: neither may say anything about the
// daemon's work. A POST with the fields "token" and "next" (a path) logs in, one to
// PathLogout out.
const (
	PathLogin  = "/login"
	PathLogout = "/logout"
	PathAssets = "/assets/"
)

// FormField is the field with Visit.Form that every form of a page needs.
const FormField = "form"

// Visit is what a page may know of who asks for it.
type Visit struct {
	Who   string // the caller's name in the audit trail
	Form  string // secret that another site's page can't know; goes with every form
	Login bool   // there is something to log out of
}

type visitKey struct{}

// VisitOf is the visit of a request that came through the guard.
func VisitOf(ctx context.Context) Visit {
	visit, _ := ctx.Value(visitKey{}).(Visit)
	return visit
}

// postLogin opens a session for the right token.
func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.PostFormValue("next"))
	if s.opts.TokenFile == "" {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	token, err := s.token()
	if err != nil {
		s.log.Error("read token", "err", err)
		return Unavailablef("the daemon can't read its token: its log says why")
	}
	if !same(token, r.PostFormValue("token")) {
		s.log.Warn("login refused", "from", r.RemoteAddr)
		http.Redirect(w, r, LoginPath(next, true), http.StatusSeeOther)
		return nil
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
