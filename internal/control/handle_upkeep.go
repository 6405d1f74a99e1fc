package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"campaignd/internal/api"
)

func (s *Server) getSuppressions(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	application := p.number("application")
	if p.err != nil {
		return p.err
	}
	return stream(w, typeJSON, func(w io.Writer) error {
		between := "["
		err := s.service.OptOuts(r.Context(), application, func(one api.OptOut) error {
			data, err := json.Marshal(one)
			if err != nil {
				return err
			}
			_, err = w.Write(append([]byte(between), data...))
			between = ",\n"
			return err
		})
		if err != nil {
			return err
		}
		if between == "[" {
			_, err = io.WriteString(w, "[]\n")
		} else {
			_, err = io.WriteString(w, "]\n")
		}
		return err
	})
}

// suppress turns adding or removing opt-outs into an action.
func (s *Server) suppress(do func(context.Context, []api.OptOut, string) (int, error)) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		var list []api.OptOut
		if err := readJSON(w, r, &list); err != nil {
			return err
		}
		if len(list) == 0 {
			return api.Invalidf("the list of opt-outs is empty")
		}
		for i, one := range list {
			if one.ContactCode == "" {
				return api.Invalidf("opt-out %d has no contactCode", i+1)
			}
		}
		n, err := do(r.Context(), list, who(r))
		return s.reply(w, counted{n}, err)
	}
}

// forgetRequest names the contact in the body: addresses end up in logs.
type forgetRequest struct {
	ContactCode string `json:"contactCode"`
}

func (s *Server) postForget(w http.ResponseWriter, r *http.Request) error {
	var request forgetRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	if strings.TrimSpace(request.ContactCode) == "" {
		return api.Invalidf("contactCode is empty: name the contact to forget")
	}
	forgotten, err := s.service.Forget(r.Context(), request.ContactCode, who(r))
	return s.reply(w, forgotten, err)
}

func (s *Server) postImport(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	application := p.number("application")
	if p.err != nil {
		return p.err
	}
	if err := wantType(r, typeCSV); err != nil {
		return err
	}
	body := &piecewiseReader{r: http.MaxBytesReader(w, r.Body, maxImport), control: http.NewResponseController(w)}
	imported, err := s.service.ImportOptOuts(r.Context(), application, body, who(r))
	return s.reply(w, imported, err)
}

func (s *Server) getAudit(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	f := api.AuditFilter{Since: p.instant("since"), Limit: int(p.number("limit"))}
	text, given := p.text("sending")
	if p.err != nil {
		return p.err
	}
	if given {
		id, err := s.service.Resolve(r.Context(), "", text)
		if err != nil {
			return err
		}
		f.Sending = id
	}
	entries, err := s.service.Audit(r.Context(), f)
	return s.reply(w, nonNil(entries), err)
}

func (s *Server) getDoctor(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	deep := p.flag("deep")
	if p.err != nil {
		return p.err
	}
	findings, err := s.service.Doctor(r.Context(), deep)
	return s.reply(w, nonNil(findings), err)
}

func (s *Server) getBackup(w http.ResponseWriter, r *http.Request) error {
	digest := sha256.New()
	w.Header().Set("Trailer", digestTrailer)
	err := stream(w, "application/octet-stream", func(out io.Writer) error {
		return s.service.Backup(r.Context(), io.MultiWriter(out, digest))
	})
	if err != nil {
		w.Header().Del("Trailer")
		return err
	}
	w.Header().Set(digestTrailer, hex.EncodeToString(digest.Sum(nil)))
	return nil
}

func (s *Server) postCompact(w http.ResponseWriter, r *http.Request) error {
	done, err := s.service.Compact(r.Context(), who(r))
	return s.reply(w, done, err)
}

func (s *Server) postReload(w http.ResponseWriter, r *http.Request) error {
	return s.reply(w, struct{}{}, s.service.Reload(r.Context(), who(r)))
}

// postSendTest answers only over the socket: access to HTTP doesn't imply the right to send to anybody.
func (s *Server) postSendTest(w http.ResponseWriter, r *http.Request) error {
	if !overSocket(r) {
		return &api.Error{Code: api.CodeForbidden, Message: "test messages can be sent only over the control socket: use \"campaignd send-test\""}
	}
	var m api.TestMessage
	if err := readJSON(w, r, &m); err != nil {
		return err
	}
	if m.ApplicationID == 0 || m.ChannelType == "" || m.CampaignID == 0 || m.ContactCode == "" || m.Message == 0 {
		return api.Invalidf("applicationId, channelType, campaignId, contactCode and message are required")
	}
	result, err := s.service.SendTest(r.Context(), m, who(r))
	return s.reply(w, result, err)
}

func (s *Server) getTemplates(w http.ResponseWriter, r *http.Request) error {
	p := queryOf(r)
	application := p.number("application")
	channel, _ := p.text("channel")
	if p.err != nil {
		return p.err
	}
	list, err := s.service.Templates(r.Context(), application, channel)
	return s.reply(w, nonNil(list), err)
}
