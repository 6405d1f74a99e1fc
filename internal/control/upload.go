package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

const (
	typeForm    = "multipart/form-data"
	typeProblem = "application/problem+json" // RFC 9457
	uploadPath  = "/send/csv"                // ends the path of an upload
	keyHeader   = "Idempotency-Key"
	maxKey      = 255
	// maxPartHeader limits what is read between two parts, so that their headers can't fill the memory.
	maxPartHeader = 64 << 10
	// uploadAnswer is how long an answer may take after the last byte of an upload.
	uploadAnswer = 2 * time.Minute
	// uploadLinger limits the time in which the rest of a refused upload is read.
	uploadLinger = 30 * time.Second
)

// isUpload reports whether a request is for the endpoint that takes uploads, whose errors are
// problem details.
func isUpload(r *http.Request) bool { return isAPI(r) && strings.HasSuffix(r.URL.Path, uploadPath) }

func (s *Server) postUpload(w http.ResponseWriter, r *http.Request) error {
	request, boundary, err := uploadRequest(r)
	if err != nil {
		return err
	}
	conn := http.NewResponseController(w)
	parts := newPartReader(&piecewiseReader{r: r.Body, control: conn}, boundary)
	next := func() (*api.UploadPart, error) {
		part, err := parts.next()
		if errors.Is(err, io.EOF) {
			// From now on only the answer is awaited.
			err = errors.Join(err, conn.SetReadDeadline(time.Now().Add(uploadAnswer)))
		}
		return part, err
	}
	uploaded, err := s.service.Upload(r.Context(), request, next, who(r))
	if err != nil {
		return s.refuseUpload(w, r, err)
	}
	w.Header().Set("Location", "/v1/sendings/"+string(uploaded.ID))
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(http.StatusAccepted)
	s.encode(w, uploaded)
	return nil
}

// refuseUpload answers with err and then reads the rest of the body for a while: many clients look for
// an answer only after they have sent everything, and a connection closed before would hide it.
func (s *Server) refuseUpload(w http.ResponseWriter, r *http.Request, err error) error {
	conn := http.NewResponseController(w)
	if conn.EnableFullDuplex() != nil {
		return err
	}
	s.fail(w, r, err)
	if conn.Flush() == nil && conn.SetReadDeadline(time.Now().Add(uploadLinger)) == nil {
		_, _ = io.Copy(io.Discard, r.Body) // nobody needs it
	}
	return nil
}

// uploadRequest reads the path and the headers.
func uploadRequest(r *http.Request) (u api.UploadRequest, boundary string, err error) {
	p := &parameters{query: map[string][]string{"applicationId": {r.PathValue("applicationId")}, "campaignId": {r.PathValue("campaignId")}}}
	u = api.UploadRequest{Inbox: partnerOf(r), ApplicationID: p.number("applicationId"), CampaignID: p.number("campaignId"), Key: r.Header.Get(keyHeader), Size: max(r.ContentLength, 0)}
	if p.err != nil {
		return u, "", p.err
	}
	if u.ApplicationID == 0 || u.CampaignID == 0 {
		return u, "", api.Invalidf("the application and the campaign in the path are numbers from 1")
	}
	if keys := r.Header.Values(keyHeader); len(keys) > 1 || len(u.Key) > maxKey || !printable(u.Key) || len(keys) == 1 && u.Key == "" {
		return u, "", api.Invalidf("%s must be one header of 1 to %d visible ASCII characters", keyHeader, maxKey)
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeForm || params["boundary"] == "" {
		return u, "", api.Invalidf("the body has Content-Type %q, want %q with a boundary", r.Header.Get("Content-Type"), typeForm)
	}
	return u, params["boundary"], nil
}

// printable reports whether a text is visible ASCII.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// partReader reads the parts of a body with bounded memory.
type partReader struct {
	limited *limitedReader
	parts   *multipart.Reader
}

func newPartReader(body io.Reader, boundary string) *partReader {
	limited := &limitedReader{r: body}
	return &partReader{limited, multipart.NewReader(limited, boundary)}
}

// next returns the next part, io.EOF after the last boundary.
func (p *partReader) next() (*api.UploadPart, error) {
	p.limited.most = maxPartHeader
	part, err := p.parts.NextRawPart()
	p.limited.most = -1
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case errors.Is(err, errPartHeader):
		return nil, &api.Error{Code: api.CodeTooLarge, Message: errPartHeader.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, api.Invalidf("the body ends before its last boundary: the upload was cut, or the boundary differs from the one in Content-Type")
	case err != nil:
		return nil, api.Invalidf("the body is not a multipart form: %v", err)
	}
	name := part.FormName()
	if name == "" {
		return nil, api.Invalidf("a part has no name: it needs \"Content-Disposition: form-data; name=...\"")
	}
	switch encoding := strings.ToLower(part.Header.Get("Content-Transfer-Encoding")); encoding {
	case "", "7bit", "8bit", "binary":
	default:
		return nil, api.Invalidf("the part %q has Content-Transfer-Encoding %q: send it as it is", name, encoding)
	}
	return &api.UploadPart{Name: name, FileName: part.FileName(), Body: part}, nil
}

// errPartHeader is returned when too much comes before a part.
var errPartHeader = fmt.Errorf("there are more than %s before a part's content: check the boundary", display.Amount(maxPartHeader, "byte"))

// limitedReader fails after a number of bytes, if one is set.
type limitedReader struct {
	r    io.Reader
	most int // -1: no limit
}

// Read implements io.Reader.
func (l *limitedReader) Read(p []byte) (int, error) {
	if l.most == 0 {
		return 0, errPartHeader
	}
	if l.most > 0 && len(p) > l.most {
		p = p[:l.most]
	}
	n, err := l.r.Read(p)
	if l.most > 0 {
		l.most -= n
	}
	return n, err
}

// problemDetails is an error answer as RFC 9457 describes it.
type problemDetails struct {
	Type    string             `json:"type"`
	Title   string             `json:"title"`
	Status  int                `json:"status"`
	Detail  string             `json:"detail"`
	Code    api.Code           `json:"code"`
	Sending campaign.ID        `json:"sending,omitempty"` // the refused drop's sending
	Errors  []campaign.Problem `json:"errors,omitempty"`  // located in the files as they were uploaded
}

// writeProblem answers with problem details.
func (s *Server) writeProblem(w http.ResponseWriter, e *api.Error) {
	status := e.Code.Status()
	if e.Sending != "" {
		w.Header().Set("Location", "/v1/sendings/"+string(e.Sending))
	}
	if e.Code == api.CodeFull {
		w.Header().Set("Retry-After", "60")
	}
	var body bytes.Buffer
	s.encode(&body, problemDetails{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: e.Message, Code: e.Code, Sending: e.Sending, Errors: e.Problems})
	w.Header().Set("Content-Type", typeProblem)
	// With its length, the answer is complete for the client while the rest of its request is read.
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if _, err := w.Write(body.Bytes()); err != nil {
		s.log.Debug("write answer", "err", err)
	}
}
