package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"campaignd/internal/api"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

// notice is a problem that every page shows.
type notice struct {
	ID   string
	Text string
	Link string // page with details
	More string // the link's text
}

func (d *Dashboard) status(ctx context.Context) (api.Status, error) {
	return cached(&d.cache, "status", maxAge, func() (api.Status, error) { return d.service.Status(ctx) })
}

// frame renders what every page has around its content.
func (d *Dashboard) frame(ctx context.Context, l viewer) ([]region, error) {
	s, err := d.status(ctx)
	if err != nil {
		return nil, err
	}
	all := noticesOf(s)
	notices, err := d.list("notices", "notice", len(all), func(i int) (string, any) { return "notice-" + all[i].ID, all[i] })
	if err != nil {
		return nil, err
	}
	foot, err := d.part("foot", "foot", footOf(s, l))
	if err != nil {
		return nil, err
	}
	return []region{notices, {"foot", []part{foot}}}, nil
}

func noticesOf(s api.Status) []notice {
	var list []notice
	if s.Stopping {
		list = append(list, notice{ID: "stopping", Text: "The daemon is stopping: it accepts nothing new and finishes what is in flight."})
	}
	if s.ConfigProblem != "" {
		list = append(list, notice{ID: "config", Text: "The last reload was refused, so the old configuration is in force. " + sentence(s.ConfigProblem)})
	}
	if c := s.Cluster; c != nil && c.Problem != "" {
		list = append(list, notice{ID: "cluster", Text: "Nothing is handed out. " + sentence(c.Problem), Link: "/channels", More: "Workers"})
	}
	if c := s.Cluster; c != nil && c.Replication != nil && c.Replication.Problem != "" {
		list = append(list, notice{ID: "replication", Text: "What this hub writes doesn't reach its standby. " + sentence(c.Replication.Problem)})
	}
	for _, ch := range s.Channels {
		if ch.Reason != "" {
			list = append(list, notice{ID: fmt.Sprintf("channel-%d-%s", ch.ApplicationID, ch.ChannelType),
				Text: fmt.Sprintf("Channel %s of application %d is %s. %s", ch.ChannelType, ch.ApplicationID, stateText(ch.State), sentence(ch.Reason)),
				Link: "/channels", More: "Channels"})
		}
	}
	for i, in := range s.Inboxes {
		if in.Problem != "" {
			list = append(list, notice{ID: fmt.Sprintf("inbox-%d", i), Text: fmt.Sprintf("Inbox %s can't be used. %s", in.Path, sentence(in.Problem)),
				Link: "/inboxes", More: "Inboxes"})
		}
	}
	if s.Store.DiskFree > 0 && s.Store.DiskFree < control.LowSpace {
		list = append(list, notice{ID: "disk", Text: fmt.Sprintf("Only %s are free on the store's file system. New drops wait when it is full.", display.Bytes(s.Store.DiskFree))})
	}
	return list
}

// stateText names a channel's state after "is".
func stateText(state api.ChannelState) string {
	if state == api.ChannelTrouble {
		return "in trouble"
	}
	return string(state)
}

type foot struct {
	Version  string
	Up       moment
	Queue    string
	Next     moment
	Store    string
	DiskFree string
	Zone     string
	Standby  string // "" without [standby]
}

func footOf(s api.Status, l viewer) foot {
	return foot{
		Version: s.Version, Up: l.moment(s.StartedAt), Queue: display.Amount(s.Queue.Pending+s.Queue.Retrying+s.Queue.InFlight, "message"),
		Next: l.moment(s.Queue.NextAt), Store: display.Bytes(s.Store.Bytes), DiskFree: display.Bytes(s.Store.DiskFree),
		Zone: l.zone.String(), Standby: standbyOf(s.Cluster),
	}
}

// standbyOf says who follows this hub, "" without [standby]. A lag below a second is no news.
func standbyOf(c *api.Cluster) string {
	if c == nil || c.Replication == nil {
		return ""
	}
	switch r := c.Replication; {
	case r.Standby == "":
		return "none follows"
	case !r.Ready:
		return r.Standby + " fetches the store"
	case r.Lag >= 1:
		return fmt.Sprintf("%s is %.0f s behind", r.Standby, r.Lag)
	default:
		return r.Standby + " follows"
	}
}

// errorPage shows an error.
type errorPage struct {
	Title   string
	Message string
	Back    string
	Caller  control.Caller
}

func headline(code api.Code) string {
	switch code {
	case api.CodeNotFound:
		return "Not found"
	case api.CodeConflict:
		return "Not possible now"
	case api.CodeForbidden, api.CodeHost, api.CodeUnauthorized:
		return "Not allowed"
	case api.CodeInvalid, api.CodeMethod, api.CodeTooLarge:
		return "Not understood"
	case api.CodeUnavailable:
		return "Not now"
	default:
		return "Something went wrong"
	}
}

// back returns where a person continues after an error.
func back(r *http.Request) string {
	if id := r.PathValue("id"); id != "" && r.PathValue("verb") != "" {
		return "/sendings/" + url.PathEscape(id)
	}
	return "/"
}

// loginPage asks for the token.
type loginPage struct {
	Next    string
	Wrong   bool // a token was refused
	Expired bool // a login code was refused
}

// login shows the login page, or redirects a caller that is already logged in.
func (d *Dashboard) login(w http.ResponseWriter, r *http.Request) {
	if control.CallerOf(r.Context()).Who != "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	query := r.URL.Query()
	d.write(w, http.StatusOK, "login", loginPage{Next: query.Get("next"), Wrong: query.Get("wrong") != "", Expired: query.Get("expired") != ""})
}

// toLogin redirects a browser to the login page. A browser that followed a link
// from another site didn't send its cookie (SameSite=Strict), so it first repeats
// the request from here.
func (d *Dashboard) toLogin(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		d.write(w, http.StatusOK, "again", r.URL.RequestURI())
		return
	}
	http.Redirect(w, r, control.LoginPath(r.URL.RequestURI(), false), http.StatusSeeOther)
}
