package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// sendingPage is the fixed part of a sending's page.
type sendingPage struct {
	ID      campaign.ID
	Name    string
	Flash   string // what a button just did
	Dialogs []dialog
}

// detailPart is the part of a sending's page that is updated.
type detailPart struct {
	row
	Reference  string
	Actions    []string // verbs that its state allows
	Legend     []segment
	Items      []item
	Rows       []item
	Problems   []campaign.Problem
	Errors     string // count of problems and how many of them are shown
	Warnings   []campaign.Problem
	LastError  *api.MessageError
	LastAt     moment
	Folder     string
	Slices     sliceChart
	Throughput throughputChart
	Audit      []auditRow
	Hint       string
}

// item is a label and its value.
type item struct {
	Label string
	Text  string
	At    moment // instead of Text
	Code  bool   // Text is meant to be copied
}

type auditRow struct {
	At     moment
	Who    string
	Action string
	Detail string
}

// sending renders one sending's page. Its address may shorten the id.
func (d *Dashboard) sending(r *http.Request, l viewer) (*view, error) {
	ctx := r.Context()
	one, err := d.details(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var pace api.Throughput
	if !one.StartedAt.IsZero() {
		pace, err = cached(&d.cache, "pace "+string(one.ID), maxThroughputAge, func() (api.Throughput, error) { return d.service.Throughput(ctx, one.ID) })
		if err != nil {
			return nil, err
		}
	}
	audit, err := cached(&d.cache, "audit "+string(one.ID), maxAge, func() ([]api.AuditEntry, error) {
		return d.service.Audit(ctx, api.AuditFilter{Sending: one.ID, Limit: 50})
	})
	if err != nil {
		return nil, err
	}
	detail := detailOf(one, pace, audit, l)
	v := &view{Title: one.Name, Nav: "/", Body: "sending", Data: sendingPage{ID: one.ID, Name: one.Name,
		Flash: flash(r, &one.Sending), Dialogs: dialogs(one)}}
	for _, name := range []string{"top", "charts", "facts", "problems", "trail"} {
		p, err := d.part(name, "sending-"+name, detail)
		if err != nil {
			return nil, err
		}
		v.Regions = append(v.Regions, region{name, []part{p}})
	}
	return v, nil
}

func (d *Dashboard) details(ctx context.Context, text string) (api.Details, error) {
	return cached(&d.cache, "sending "+text, maxAge, func() (api.Details, error) {
		id, err := d.service.Resolve(ctx, "", text)
		if err != nil {
			return api.Details{}, err
		}
		return d.service.Sending(ctx, id)
	})
}

func detailOf(s api.Details, pace api.Throughput, audit []api.AuditEntry, l viewer) detailPart {
	p := detailPart{row: rowOf(s.Sending, l), Reference: s.Reference, Legend: legend(s.Messages), Problems: s.Errors, Warnings: s.Warnings, LastError: s.LastError,
		Folder: s.Folder, Slices: slicesOf(s, l), Throughput: throughputOf(pace, l), Hint: hint(s), Items: itemsOf(s, l)}
	for _, verb := range verbs() {
		if allowed(verb, s.State) {
			p.Actions = append(p.Actions, verb)
		}
	}
	if s.LastError != nil {
		p.LastAt = l.moment(s.LastError.At)
	}
	if s.ErrorCount > 0 {
		p.Errors = display.Amount(s.ErrorCount, "problem")
		if s.ErrorCount > len(s.Errors) {
			p.Errors += fmt.Sprintf(", the first %d of them", len(s.Errors))
		}
	}
	n := s.Recipients
	p.Rows = []item{{Label: "rows in the CSV", Text: display.Number(n.Total)}, {Label: "accepted", Text: display.Number(n.Accepted)},
		{Label: "rejected", Text: display.Number(n.Rejected)}, {Label: "duplicates", Text: display.Number(n.Duplicate)}}
	for _, a := range audit {
		p.Audit = append(p.Audit, auditRow{l.moment(a.At), a.Who, a.Action, a.Detail})
	}
	return p
}

// itemsOf lists the known facts of a sending.
func itemsOf(s api.Details, l viewer) []item {
	var list []item
	text := func(label, text string) {
		if text != "" {
			list = append(list, item{Label: label, Text: text})
		}
	}
	at := func(label string, at time.Time) {
		if !at.IsZero() {
			list = append(list, item{Label: label, At: l.moment(at)})
		}
	}
	at("received", s.ReceivedAt)
	at("scheduled for", s.ScheduledAt)
	at("started", s.StartedAt)
	at("next slice", s.NextSliceAt)
	if s.State == campaign.StateSending {
		at("ends about", s.EstimatedEnd)
	}
	at("ended", s.FinishedAt)
	if !s.StartedAt.IsZero() && !s.FinishedAt.IsZero() {
		text("took", duration(s.FinishedAt.Sub(s.StartedAt)))
	}
	text("reference", s.Reference)
	text("channels", strings.Join(s.Channels, ", "))
	switch {
	case s.Sliced:
		text("slicing", string(s.Condition))
	case !s.AcceptedAt.IsZero():
		text("slicing", "not sliced: everything is due at once")
	}
	text("inbox", s.Inbox)
	if s.CSV.Bytes > 0 {
		text("CSV", fmt.Sprintf("%s, %s, %s", display.Bytes(s.CSV.Bytes), s.CSV.Encoding, delimiter(s.CSV.Delimiter)))
	}
	return list
}

func delimiter(d string) string {
	if name, ok := map[string]string{",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[d]; ok {
		return name
	}
	return d
}

// hint names the files that have the contacts, which pages never show.
func hint(s api.Details) string {
	switch {
	case s.State == campaign.StateChecking:
		return ""
	case s.State == campaign.StateRejected:
		return "report.txt lists what to fix. The original files are there unchanged."
	case s.DryRun:
		return "report.json has the first messages as they would be sent."
	case s.State.Final():
		return "Contacts are only in these files: results.csv has the result of each, rejected.csv the rows to fix."
	default:
		return "Contacts are only in these files: results.csv will have the result of each."
	}
}

// verbs lists the changes that a page offers, in the order of its buttons.
func verbs() []string { return []string{"pause", "resume", "cancel"} }

// allowed reports whether a state allows a change.
func allowed(verb string, state campaign.State) bool {
	switch verb {
	case "pause":
		return state.Active()
	case "resume":
		return state.Stopped()
	default:
		return state != campaign.StateChecking && !state.Final() && slices.Contains(verbs(), verb)
	}
}
