package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// The list has pages of pageSize sendings; the first also has the newest that ended.
const (
	pageSize = 50
	fewEnded = 25
	maxPage  = 10000
)

// listPage is a page of the list.
type listPage struct {
	State string // the only state shown, "" for all
	Name  string // part of the names, "" for all
	Newer string // address of the page before, "" if this is the first
	Older string // address of the next page, "" if this is the last
}

// chip is one choice of the filter.
type chip struct {
	Label   string
	Link    string
	Count   string
	Current bool
}

// row is a sending in the list.
type row struct {
	ID       campaign.ID
	Name     string
	State    campaign.State
	About    string // campaign and application
	Failures bool   // completed, but some messages failed or weren't delivered
	Reason   string
	Waits    *waits
	Bar      bar
	Percent  string
	Facts    []string
	When     fact // its next event, or its end
}

// waits is why a sending doesn't continue.
type waits struct {
	Reason       string
	Since, Until moment
}

// fact is an instant and its meaning.
type fact struct {
	Label string
	At    moment
}

// sendings is the list, with those under way first.
func (d *Dashboard) sendings(r *http.Request, l viewer) (*view, error) {
	ctx := r.Context()
	state := campaign.State(r.URL.Query().Get("state"))
	if state != "" && !slices.Contains(campaign.States, state) {
		return nil, api.NotFoundf("there is no state %q; there are %v", state, campaign.States)
	}
	name := r.URL.Query().Get("name")
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	number = min(max(number, 1), maxPage)
	status, err := d.status(ctx)
	if err != nil {
		return nil, err
	}
	active, ended := statesOf(state)
	under, more, err := d.active(ctx, active, name, (number-1)*pageSize, status)
	if err != nil {
		return nil, err
	}
	filter := api.Filter{States: ended, Name: name, Limit: fewEnded}
	if len(active) == 0 {
		filter.Offset, filter.Limit = (number-1)*pageSize, pageSize+1
	}
	over, err := d.find(ctx, filter)
	if err != nil {
		return nil, err
	}
	if len(active) == 0 && len(over) > pageSize {
		over, more = over[:pageSize], true
	}
	page := listPage{State: string(state), Name: name}
	if number > 1 {
		page.Newer = listLink(state, name, number-1)
	}
	if more {
		page.Older = listLink(state, name, number+1)
	}
	if len(active) > 0 && number > 1 {
		over = nil
	}
	regions := []region{}
	chipList, err := d.part("filter", "filter", chips(status, state))
	if err != nil {
		return nil, err
	}
	regions = append(regions, region{"filter", []part{chipList}})
	for _, group := range []struct {
		name string
		rows []api.Sending
		want bool // is it shown even if empty
		word string
	}{
		{"under", under, len(active) > 0, "Nothing is under way. What is dropped into an inbox shows up here by itself."},
		{"over", over, state.Final(), "None."},
	} {
		one, err := d.list(group.name, "row", len(group.rows), func(i int) (string, any) {
			return "s-" + string(group.rows[i].ID), rowOf(group.rows[i], l)
		})
		if err != nil {
			return nil, err
		}
		if len(group.rows) == 0 && group.want {
			if state != "" {
				group.word = "No sending is " + string(state) + "."
			}
			p, err := d.part("none-"+group.name, "none", map[string]string{"ID": "none-" + group.name, "Text": group.word})
			if err != nil {
				return nil, err
			}
			one.Parts = append(one.Parts, p)
		}
		regions = append(regions, one)
	}
	title := "Sendings"
	if state != "" {
		title = "Sendings: " + string(state)
	}
	return &view{Title: title, Nav: "/", Body: "sendings", Data: page, Regions: regions}, nil
}

// statesOf splits what is to be shown into states that move and states that stand.
func statesOf(only campaign.State) (active, ended []campaign.State) {
	for _, s := range campaign.States {
		switch {
		case only != "" && s != only:
		case s.Final():
			ended = append(ended, s)
		default:
			active = append(active, s)
		}
	}
	return active, ended
}

// rank puts what moves first, then what needs a person, then what waits for its time.
func rank(state campaign.State) int {
	return slices.Index([]campaign.State{campaign.StateChecking, campaign.StateSending, campaign.StateHeld, campaign.StatePaused, campaign.StateScheduled}, state)
}

// whenNext orders those that wait for their time; the others stay newest first.
func whenNext(s api.Sending) time.Time {
	switch {
	case s.State != campaign.StateScheduled:
		return time.Time{}
	case !s.NextSliceAt.IsZero():
		return s.NextSliceAt
	default:
		return s.ScheduledAt
	}
}

// active returns a page of the sendings that haven't ended, those that move or need a person first.
func (d *Dashboard) active(ctx context.Context, states []campaign.State, name string, offset int, s api.Status) ([]api.Sending, bool, error) {
	moving := slices.DeleteFunc(slices.Clone(states), func(s campaign.State) bool { return s == campaign.StateScheduled })
	waiting := slices.DeleteFunc(slices.Clone(states), func(s campaign.State) bool { return s != campaign.StateScheduled })
	first := 0 // number of moving sendings
	for _, state := range moving {
		first += s.Sendings[state]
	}
	if name != "" {
		moving, waiting, first = states, nil, len(s.Sendings)+offset+pageSize // their number isn't known: keep them together
	}
	var list []api.Sending
	if first > 0 { // looking for what isn't there would read every pending sending
		var err error
		if list, err = d.find(ctx, api.Filter{States: moving, Name: name, Offset: offset, Limit: pageSize + 1}); err != nil {
			return nil, false, err
		}
	}
	list = slices.Clone(list) // others use it too
	if len(list) <= pageSize {
		scheduled, err := d.find(ctx, api.Filter{States: waiting, Offset: max(offset-first, 0), Limit: pageSize + 1 - len(list)})
		if err != nil {
			return nil, false, err
		}
		list = append(list, scheduled...)
	}
	more := len(list) > pageSize
	list = list[:min(len(list), pageSize)]
	slices.SortStableFunc(list, func(a, b api.Sending) int {
		return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), whenNext(a).Compare(whenNext(b)))
	})
	return list, more, nil
}

func (d *Dashboard) find(ctx context.Context, f api.Filter) ([]api.Sending, error) {
	if len(f.States) == 0 {
		return nil, nil
	}
	return cached(&d.cache, fmt.Sprintf("list %v %q %d %d", f.States, f.Name, f.Offset, f.Limit), maxAge, func() ([]api.Sending, error) {
		return d.service.Sendings(ctx, f)
	})
}

func listLink(state campaign.State, name string, page int) string {
	query := url.Values{}
	if state != "" {
		query.Set("state", string(state))
	}
	if name != "" {
		query.Set("name", name)
	}
	if page > 1 {
		query.Set("page", strconv.Itoa(page))
	}
	if len(query) == 0 {
		return "/"
	}
	return "/?" + query.Encode()
}

func chips(s api.Status, now campaign.State) []chip {
	all := 0
	for _, n := range s.Sendings {
		all += n
	}
	list := []chip{{"All", "/", display.Number(all), now == ""}}
	for _, state := range campaign.States {
		list = append(list, chip{capital(string(state)), listLink(state, "", 1), display.Number(s.Sendings[state]), now == state})
	}
	return list
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func rowOf(s api.Sending, l viewer) row {
	m := s.Messages
	r := row{ID: s.ID, Name: s.Name, State: s.State, Reason: sentence(s.Reason), Bar: barOf(s), Percent: percent(s.Percent),
		About: fmt.Sprintf("campaign %d, application %d", s.CampaignID, s.ApplicationID)}
	if s.CampaignID == 0 || s.ApplicationID == 0 {
		r.About = "" // rejected before they were known
	}
	r.Failures = s.State == campaign.StateCompleted && m.Planned > 0 && m.Failed+m.Unknown+m.Expired+m.Skipped+s.Undelivered() > 0
	if w := s.WaitsFor; w != nil {
		r.Waits = &waits{strings.TrimSuffix(w.Reason, "."), l.moment(w.Since), l.moment(w.Until)}
		if w.Reason == s.Reason {
			r.Reason = "" // shown with its times
		}
	}
	add := func(format string, args ...any) { r.Facts = append(r.Facts, fmt.Sprintf(format, args...)) }
	if s.State.Final() && m.Sent < m.Planned+s.Undelivered() {
		r.Percent = "" // "100%" would read as if everything had been sent
	}
	switch s.State {
	case campaign.StateChecking:
		add("reading its files")
	case campaign.StateRejected:
		r.Percent = ""
		add("nothing was sent")
	default:
		if s.DryRun {
			add("dry run: nothing is sent")
		} else {
			add("%s of %s sent", display.Number(m.Sent), display.Amount(m.Planned, "message"))
		}
	}
	for _, one := range []struct {
		n    uint64
		word string
	}{{m.Failed, "failed"}, {s.Undelivered(), "not delivered"}, {m.Unknown, "unknown"}, {m.Expired, "expired"}, {m.Canceled, "canceled"}, {m.Retrying, "waiting for a retry"}} {
		if one.n > 0 {
			add("%s %s", display.Number(one.n), one.word)
		}
	}
	if s.Recipients.Rejected > 0 && s.State != campaign.StateRejected {
		add("%s rejected", display.Amount(s.Recipients.Rejected, "row"))
	}
	if s.State == campaign.StateSending && s.Rate > 0 {
		add("%s", rate(s.Rate))
	}
	r.When = whenOf(s, l)
	return r
}

// whenOf returns the instant that matters most about a sending now.
func whenOf(s api.Sending, l viewer) fact {
	switch {
	case !s.FinishedAt.IsZero():
		return fact{"ended", l.moment(s.FinishedAt)}
	case s.State == campaign.StateSending && !s.EstimatedEnd.IsZero():
		return fact{"ends about", l.moment(s.EstimatedEnd)}
	case s.State == campaign.StateScheduled && !s.NextSliceAt.IsZero():
		return fact{"starts", l.moment(s.NextSliceAt)}
	case s.State == campaign.StateScheduled:
		return fact{"starts", l.moment(s.ScheduledAt)}
	default:
		return fact{"received", l.moment(s.ReceivedAt)}
	}
}
