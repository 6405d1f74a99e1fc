package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"slices"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

func (s *Server) getStatus(w http.ResponseWriter, r *http.Request) error {
	status, err := s.service.Status(r.Context())
	return s.reply(w, status, err)
}

func (s *Server) getSendings(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	f := api.Filter{States: p.states("state"), Application: p.number("application"), Since: p.instant("since"), Offset: int(p.number("offset")), Limit: int(p.number("limit")), Inbox: partnerOf(r)}
	f.Name, _ = p.text("name")
	if p.err != nil {
		return p.err
	}
	found, err := s.service.Sendings(r.Context(), f)
	return s.reply(w, nonNil(found), err)
}

// nonNil returns list, or an empty list for nil: JSON then has [] instead of null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// resolve finds the sending that the path's {id} names.
func (s *Server) resolve(r *http.Request) (campaign.ID, error) {
	return s.service.Resolve(r.Context(), partnerOf(r), r.PathValue("id"))
}

func (s *Server) getSending(w http.ResponseWriter, r *http.Request) error {
	id, err := s.resolve(r)
	if err != nil {
		return err
	}
	details, err := s.service.Sending(r.Context(), id)
	details.Slices = nonNil(details.Slices)
	if partnerOf(r) != "" {
		details.Folder = "" // a path of this machine
	}
	return s.reply(w, details, err)
}

// change turns pause, resume or cancel into an action.
func (s *Server) change(do func(context.Context, campaign.ID, string) (api.Change, error)) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := s.resolve(r)
		if err != nil {
			return err
		}
		change, err := do(r.Context(), id, who(r))
		return s.reply(w, change, err)
	}
}

func (s *Server) postResumeAll(w http.ResponseWriter, r *http.Request) error {
	changes, err := s.service.ResumeAll(r.Context(), who(r))
	return s.reply(w, nonNil(changes), err)
}

func (s *Server) postResumeChannel(w http.ResponseWriter, r *http.Request) error {
	var body api.ChannelResume
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.ChannelType == "" {
		return api.Invalidf("channelType is required")
	}
	resumed, err := s.service.ResumeChannel(r.Context(), body, who(r))
	return s.reply(w, nonNil(resumed), err)
}

func resendOutcomes() []api.ResendOutcome {
	return []api.ResendOutcome{api.ResendFailed, api.ResendUnknown, api.ResendUndelivered}
}

func (s *Server) postResend(w http.ResponseWriter, r *http.Request) error {
	var body resendRequest
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if len(body.Outcomes) == 0 {
		return api.Invalidf("outcomes is empty: give one or more of %v", resendOutcomes())
	}
	for _, o := range body.Outcomes {
		if !slices.Contains(resendOutcomes(), o) {
			return api.Invalidf("%s messages can't be sent again, only %v", o, resendOutcomes())
		}
	}
	id, err := s.resolve(r)
	if err != nil {
		return err
	}
	resent, err := s.service.Resend(r.Context(), id, body.Outcomes, body.DryRun == nil || *body.DryRun, who(r))
	return s.reply(w, resent, err)
}

func (s *Server) postReschedule(w http.ResponseWriter, r *http.Request) error {
	var body api.NewTime
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body == (api.NewTime{}) {
		return api.Invalidf("one of scheduleAt and delay is required")
	}
	id, err := s.resolve(r)
	if err != nil {
		return err
	}
	moved, err := s.service.Reschedule(r.Context(), id, body, who(r))
	moved.Slices = nonNil(moved.Slices)
	return s.reply(w, moved, err)
}

func (s *Server) getResults(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	f := api.ResultsFilter{Outcomes: p.outcomes("outcome"), Plain: p.flag("plain")}
	if p.err != nil {
		return p.err
	}
	id, err := s.resolve(r)
	if err != nil {
		return err
	}
	return stream(w, typeCSV, func(w io.Writer) error {
		return s.service.Results(r.Context(), id, f, w)
	})
}

func (s *Server) getTimeline(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	application, limit := p.number("application"), int(p.number("limit"))
	if p.err != nil {
		return p.err
	}
	timeline, err := s.service.Timeline(r.Context(), application, limit)
	timeline.Applications = nonNil(timeline.Applications)
	for i := range timeline.Applications {
		a := &timeline.Applications[i]
		a.Slots, a.Sendings = nonNil(a.Slots), nonNil(a.Sendings)
	}
	return s.reply(w, timeline, err)
}

func (s *Server) getReserved(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	application, from, until := p.number("application"), p.instant("from"), p.instant("until")
	if p.err != nil {
		return p.err
	}
	if application == 0 || from.IsZero() || !from.Before(until) {
		return api.Invalidf("application, from and until are required, and from must be before until")
	}
	bookings, err := s.service.Reserved(r.Context(), application, from, until)
	bookings.Slots = nonNil(bookings.Slots)
	return s.reply(w, bookings, err)
}

func (s *Server) getEarlier(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	application := p.number("application")
	digest, _ := p.text("digest")
	if p.err != nil {
		return p.err
	}
	if sum, err := hex.DecodeString(digest); application == 0 || err != nil || len(sum) != sha256.Size {
		return api.Invalidf("application and digest are required; digest is the drop's SHA-256 in hexadecimal")
	}
	earlier, err := s.service.Earlier(r.Context(), application, digest)
	return s.reply(w, earlier, err)
}

func (s *Server) postHandover(w http.ResponseWriter, r *http.Request) error {
	begun, err := s.service.Handover(r.Context(), who(r))
	return s.reply(w, begun, err)
}
