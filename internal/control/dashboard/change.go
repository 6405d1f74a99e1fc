package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

// dialog asks for confirmation of a change. The sending's page has it as a
// dialog; without the script the same text is a page of its own.
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

func dialogOf(verb string, s api.Details) dialog {
	left := display.Amount(s.Messages.Pending+s.Messages.Retrying, "message")
	one := dialog{ID: s.ID, Name: s.Name, Verb: verb, Allowed: allowed(verb, s.State), State: s.State}
	switch verb {
	case "pause":
		one.Title, one.Button = "Pause this sending?", "Pause it"
		one.Text = "Nothing more is sent until you resume it. Messages whose slot ends in the meantime are then planned again."
	case "resume":
		one.Title, one.Button = "Resume this sending?", "Resume it"
		one.Text = fmt.Sprintf("%s are still to be sent. Those that missed their slots are planned again from now on.", left)
	default:
		one.Title, one.Button, one.Danger = "Cancel this sending?", "Cancel it permanently", true
		one.Text = fmt.Sprintf("%s will never be sent, and you can't undo this. To stop it for a while, pause it instead.", left)
	}
	return one
}

func dialogs(s api.Details) []dialog {
	var list []dialog
	if s.State.Final() {
		return nil
	}
	for _, verb := range verbs() {
		list = append(list, dialogOf(verb, s))
	}
	return list
}

// confirm renders a dialog as a page.
func (d *Dashboard) confirm(r *http.Request, _ viewer) (*view, error) {
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
		return nil, api.Conflictf("can't %s sending %s: it is %s", verb, s.ID, s.State)
	}
	return &view{Title: one.Title, Nav: "/", Body: "confirm", Data: one}, nil
}

func verbOf(r *http.Request) (string, error) {
	verb := r.PathValue("verb")
	if !slices.Contains(verbs(), verb) {
		return "", api.NotFoundf("there is no page %q", r.URL.Path)
	}
	return verb, nil
}

// change makes the confirmed change and shows the sending again.
func (d *Dashboard) change(w http.ResponseWriter, r *http.Request) {
	verb, err := verbOf(r)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	id := campaign.ID(r.PathValue("id"))
	if !id.Valid() { // a change needs the full id: a shortened one may name another sending by now
		d.fail(w, r, api.NotFoundf("%q isn't the full id of a sending", string(id)))
		return
	}
	do := map[string]func(context.Context, campaign.ID, string) (api.Change, error){
		"pause": d.service.Pause, "resume": d.service.Resume, "cancel": d.service.Cancel,
	}[verb]
	change, err := do(r.Context(), id, control.CallerOf(r.Context()).Who)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.cache.clear()
	query := url.Values{"did": {verb}}
	if change.InFlight > 0 {
		query.Set("flight", strconv.FormatUint(change.InFlight, 10))
	}
	http.Redirect(w, r, "/sendings/"+string(id)+"?"+query.Encode(), http.StatusSeeOther)
}

// flash confirms what a button did, if the sending agrees: anyone can make up the address.
func flash(r *http.Request, s *api.Sending) string {
	query := r.URL.Query()
	text := ""
	switch did := query.Get("did"); {
	case did == "pause" && s.State == campaign.StatePaused:
		text = "Paused."
	case did == "resume" && (s.State.Active() || s.State == campaign.StateCompleted):
		text = "Resumed."
	case did == "cancel" && s.State == campaign.StateCanceled:
		text = "Canceled."
	case did == "cancel" && s.Messages.Canceled > 0: // the state follows with the answers to what is in flight
		text = "It is being canceled."
	default:
		return ""
	}
	if n, err := strconv.ParseUint(query.Get("flight"), 10, 32); err == nil && n > 0 {
		text += fmt.Sprintf(" %s in flight couldn't be stopped.", display.Amount(n, "message"))
	}
	return text
}
