package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

// dialog asks before something is changed. The same words stand in a dialog of
// the sending's page and, where no script opens it, on a page of their own.
type dialog struct {
	ID      campaign.ID
	Name    string
	Verb    string
	Title   string
	Text    string
	Button  string
	Danger  bool
	Allowed bool
	State   campaign.State
}

func dialogOf(verb string, s control.Details) dialog {
	left := of(s.Messages.Pending+s.Messages.Retrying, "message")
	one := dialog{ID: s.ID, Name: s.Name, Verb: verb, Allowed: allowed(verb, s.State), State: s.State}
	switch verb {
	case "pause":
		one.Title, one.Button = "Pause this sending?", "Pause it"
		one.Text = "Nothing new goes out until it is resumed. What has not been sent when its slot is over is planned anew then."
	case "resume":
		one.Title, one.Button = "Resume this sending?", "Resume it"
		one.Text = fmt.Sprintf("%s are still to be sent. What missed its slot is planned anew from now on.", left)
	default:
		one.Title, one.Button, one.Danger = "Cancel this sending?", "Cancel it for good", true
		one.Text = fmt.Sprintf("%s will never be sent, and this can't be undone. To stop it for a while, pause it instead.", left)
	}
	return one
}

func dialogs(s control.Details) []dialog {
	var list []dialog
	if s.State.Final() {
		return nil
	}
	for _, verb := range verbs() {
		list = append(list, dialogOf(verb, s))
	}
	return list
}

// confirm is the page of its own.
func (d *Dashboard) confirm(r *http.Request, _ look) (*view, error) {
	verb, err := verbOf(r)
	if err != nil {
		return nil, err
	}
	s, err := d.details(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	one := dialogOf(verb, s)
	if !one.Allowed {
		return nil, control.Conflictf("sending %s is %s and can't be changed so", s.ID, s.State)
	}
	return &view{Title: one.Title, Nav: "/", Body: "confirm", Data: one}, nil
}

func verbOf(r *http.Request) (string, error) {
	for _, verb := range verbs() {
		if r.PathValue("verb") == verb {
			return verb, nil
		}
	}
	return "", control.NotFoundf("there is no page %q", r.URL.Path)
}

// change does what was confirmed and shows the sending again.
func (d *Dashboard) change(w http.ResponseWriter, r *http.Request) {
	verb, err := verbOf(r)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	id := campaign.ID(r.PathValue("id"))
	if !id.Valid() { // a change needs the full id: a shortened one may mean another by now
		d.fail(w, r, control.NotFoundf("%q is no id of a sending", string(id)))
		return
	}
	do := map[string]func(context.Context, campaign.ID, string) (control.Change, error){
		"pause": d.service.Pause, "resume": d.service.Resume, "cancel": d.service.Cancel,
	}[verb]
	change, err := do(r.Context(), id, control.VisitOf(r.Context()).Who)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.memory.forget()
	query := url.Values{"did": {verb}}
	if change.InFlight > 0 {
		query.Set("flight", strconv.FormatUint(change.InFlight, 10))
	}
	http.Redirect(w, r, "/sendings/"+string(id)+"?"+query.Encode(), http.StatusSeeOther)
}

// flash says what a button did, if the sending bears it out: an address can be made up.
func flash(r *http.Request, state campaign.State) string {
	query := r.URL.Query()
	text := ""
	switch did := query.Get("did"); {
	case did == "pause" && state == campaign.StatePaused:
		text = "Paused."
	case did == "resume" && (state.Active() || state == campaign.StateCompleted):
		text = "Resumed."
	case did == "cancel" && state == campaign.StateCanceled:
		text = "Canceled."
	default:
		return ""
	}
	if n, err := strconv.ParseUint(query.Get("flight"), 10, 32); err == nil && n > 0 {
		text += fmt.Sprintf(" %s in flight could not be called back.", of(n, "message"))
	}
	return text
}
