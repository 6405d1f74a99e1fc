package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

// sendingPage is what stays of a sending's page while it moves.
type sendingPage struct {
	ID      campaign.ID
	Name    string
	Flash   string // what a button just did
	Dialogs []dialog
}

// detailPart is what moves.
type detailPart struct {
	row
	Reference string
	Actions   []string // verbs that its state allows
	Legend    []stretch
	Items     []item
	Rows      []item
	Problems  []campaign.Problem
	Errors    string // count of problems and how many of them are shown
	Warnings  []campaign.Problem
	Held      []notice
	LastError *control.MessageError
	LastAt    moment
	Folder    string
	Slices    sliceChart
	Pace      paceChart
	Audit     []auditRow
	Hint      string
}

// item is a name and what is there.
type item struct {
	Label string
	Text  string
	At    moment // instead of Text
	Code  bool   // Text is something to be copied
}

type auditRow struct {
	At     moment
	Who    string
	Action string
	Detail string
}

// sending is one sending's page. Its address may shorten the id.
func (d *Dashboard) sending(r *http.Request, l look) (*view, error) {
	ctx := r.Context()
	one, err := d.details(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var pace control.Throughput
	if !one.StartedAt.IsZero() {
		pace, err = remember(&d.memory, "pace "+string(one.ID), freshPace, func() (control.Throughput, error) { return d.service.Throughput(ctx, one.ID) })
		if err != nil {
			return nil, err
		}
	}
	audit, err := remember(&d.memory, "audit "+string(one.ID), fresh, func() ([]control.AuditEntry, error) {
		return d.service.Audit(ctx, control.AuditFilter{Sending: one.ID, Limit: 50})
	})
	if err != nil {
		return nil, err
	}
	detail := detailOf(one, pace, audit, l)
	v := &view{Title: one.Name, Nav: "/", Body: "sending", Data: sendingPage{ID: one.ID, Name: one.Name,
		Flash: flash(r, one.State), Dialogs: dialogs(one)}}
	for _, name := range []string{"top", "charts", "facts", "problems", "trail"} {
		p, err := d.part(name, "sending-"+name, detail)
		if err != nil {
			return nil, err
		}
		v.Regions = append(v.Regions, region{name, []part{p}})
	}
	return v, nil
}

func (d *Dashboard) details(ctx context.Context, text string) (control.Details, error) {
	return remember(&d.memory, "sending "+text, fresh, func() (control.Details, error) {
		id, err := d.service.Resolve(ctx, text)
		if err != nil {
			return control.Details{}, err
		}
		return d.service.Sending(ctx, id)
	})
}

func detailOf(s control.Details, pace control.Throughput, audit []control.AuditEntry, l look) detailPart {
	p := detailPart{row: rowOf(s.Sending, l), Reference: s.Reference, Legend: legend(s.Messages), Problems: s.Errors, Warnings: s.Warnings, LastError: s.LastError,
		Folder: s.Folder, Slices: slicesOf(s, l), Pace: paceOf(pace, l), Hint: hint(s), Items: itemsOf(s, l)}
	for _, verb := range verbs() {
		if allowed(verb, s.State) {
			p.Actions = append(p.Actions, verb)
		}
	}
	if s.LastError != nil {
		p.LastAt = l.moment(s.LastError.At)
	}
	if s.ErrorCount > 0 {
		p.Errors = of(s.ErrorCount, "problem")
		if s.ErrorCount > len(s.Errors) {
			p.Errors += fmt.Sprintf(", the first %d of them", len(s.Errors))
		}
	}
	n := s.Recipients
	p.Rows = []item{{Label: "rows in the CSV", Text: count(n.Total)}, {Label: "accepted", Text: count(n.Accepted)},
		{Label: "rejected", Text: count(n.Rejected)}, {Label: "duplicates", Text: count(n.Duplicate)}}
	for _, h := range s.Held {
		p.Held = append(p.Held, notice{Text: fmt.Sprintf("It waits for channel %s, which is held. %s", h.ChannelType, sentence(h.Reason)), Link: "/channels", More: "Channels"})
	}
	for _, a := range audit {
		p.Audit = append(p.Audit, auditRow{l.moment(a.At), a.Who, a.Action, a.Detail})
	}
	return p
}

// itemsOf lists what is known; what isn't is left out.
func itemsOf(s control.Details, l look) []item {
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
		text("took", span(s.FinishedAt.Sub(s.StartedAt)))
	}
	text("reference", s.Reference)
	text("channels", strings.Join(s.Channels, ", "))
	switch {
	case s.Sliced:
		text("slicing", string(s.Condition))
	case !s.AcceptedAt.IsZero():
		text("slicing", "not sliced: all is due at once")
	}
	text("inbox", s.Inbox)
	if s.CSV.Bytes > 0 {
		text("CSV", fmt.Sprintf("%s, %s, %s", size(s.CSV.Bytes), s.CSV.Encoding, delimiter(s.CSV.Delimiter)))
	}
	return list
}

func delimiter(d string) string {
	if name, ok := map[string]string{",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[d]; ok {
		return name
	}
	return d
}

// hint says where contacts can be read, for a sending of that state.
func hint(s control.Details) string {
	switch {
	case s.State == campaign.StateChecking:
		return ""
	case s.State == campaign.StateRejected:
		return "report.txt says what to mend; the files lie there as they came."
	case s.DryRun:
		return "report.json shows the first messages as they would be sent."
	case s.State.Final():
		return "Contacts are shown there alone: results.csv says what became of each, rejected.csv what to mend."
	default:
		return "Contacts are shown there alone: results.csv will say what became of each."
	}
}

// verbs are the changes that a page offers, in the order of its buttons.
func verbs() []string { return []string{"pause", "resume", "cancel"} }

// allowed reports whether a state allows a change.
func allowed(verb string, state campaign.State) bool {
	switch verb {
	case "pause":
		return state.Active()
	case "resume":
		return state == campaign.StatePaused || state == campaign.StateHeld
	default:
		return state != campaign.StateChecking && !state.Final() && slices.Contains(verbs(), verb)
	}
}
