package control

import (
	"context"
	"net/http"

	"campaignd/internal/api"
)

// Pages renders the pages for browsers. The server calls it behind its guard for
// every path that isn't its own.
type Pages interface {
	http.Handler

	// WriteError answers a browser whose request was refused. For CodeUnauthorized
	// it redirects to the login page, PathLogin.
	WriteError(w http.ResponseWriter, r *http.Request, err *api.Error)

	// Close ends answers that would never end by themselves. It is called once, when
	// the server stops.
	Close()
}

// The paths of a login. Pages answers a GET of PathLogin, and of everything under
// PathAssets, without a token: neither may reveal anything about the daemon's
// work. A POST to PathLogin with the fields "token" and "next" (a path) logs in; a
// POST to PathLogout logs out.
const (
	PathLogin  = "/login"
	PathLogout = "/logout"
	PathAssets = "/assets/"
)

// FormField is the name of the field with Caller.Form that every form needs.
const FormField = "form"

// Caller describes who sent a request over HTTP.
type Caller struct {
	Who   string // the caller's name in the audit trail
	Form  string // secret that every form of a page must send, unknown to other sites
	Login bool   // has a session that it can log out of
	Inbox string // path of the partner's inbox if the token is a partner's, else ""
}

type callerKey struct{}

// CallerOf returns the caller of a request that passed the guard.
func CallerOf(ctx context.Context) Caller {
	visit, _ := ctx.Value(callerKey{}).(Caller)
	return visit
}
