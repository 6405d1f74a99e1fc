package service

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/intake"
	"campaignd/internal/plan/document"
	"campaignd/internal/source"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

const (
	uploadWait   = 30 * time.Second // for the check, before an upload is answered
	RequestsKept = 24 * time.Hour   // the time that an Idempotency-Key is remembered
	maxField     = 8 << 10          // bytes of a field's value
)

// The parts of an upload that aren't keys of a sidecar.
const (
	partLayout = "layout"
	partFile   = "file"
	partName   = "name"
	partInbox  = "inbox"
)

// uploadStore remembers the uploads that had an Idempotency-Key.
type uploadStore interface {
	Request(key [32]byte) (*store.Request, error)
	AnswerRequest(*store.Request) error
}

// Upload implements control.Uploads.
func (svc *Service) Upload(ctx context.Context, request api.UploadRequest, next func() (*api.UploadPart, error), who string) (api.Uploaded, error) {
	if svc.Stopping.Err() != nil {
		return api.Uploaded{}, api.Unavailablef("the daemon is stopping: try again in a moment")
	}
	u := &upload{svc: svc, config: svc.Config(), request: request, fields: map[string]string{}, digests: map[string][]byte{}}
	uploaded, err := u.run(ctx, next, who)
	svc.Metrics.Upload(uploadResult(ctx, uploaded, err), int64(u.received))
	return uploaded, uploadError(err)
}

// run receives the upload and waits for its check.
func (u *upload) run(ctx context.Context, next func() (*api.UploadPart, error), who string) (none api.Uploaded, err error) {
	if key := u.request.Key; key != "" {
		scope := cmp.Or(u.request.Inbox, "operator")
		u.remembered = &store.Request{Key: sha256.Sum256([]byte(scope + "\x00" + key)), At: u.svc.Now().UTC()}
		unlock, err := u.svc.requests.LockContext(ctx, u.remembered.Key)
		if err != nil {
			return none, err
		}
		defer unlock()
		if u.earlier, err = u.svc.earlierRequest(u.remembered.Key); err != nil {
			return none, err
		}
	}
	defer u.close()
	if err := u.receive(next); err != nil {
		return none, err
	}
	id, err := u.commit(who)
	if err != nil {
		return none, err
	}
	return u.answer(ctx, id)
}

// earlierRequest returns the remembered request with a key. One whose sending was taken back is none.
func (svc *Service) earlierRequest(key [32]byte) (*store.Request, error) {
	r, err := svc.Store.Request(key)
	if err != nil || r == nil || svc.Now().Sub(r.At) >= RequestsKept {
		return nil, err
	}
	s, err := svc.Store.Header(r.Sending)
	if errors.Is(err, store.ErrNotFound) { // removed by retention
		return r, nil
	}
	if err != nil || s.Void() {
		return nil, err
	}
	return r, nil
}

// upload receives one drop.
type upload struct {
	svc     *Service
	config  *config.Config
	request api.UploadRequest
	inbox   *config.Inbox
	app     *config.Application
	staged  *intake.Upload // nil until the inbox is known, and for a request that came before

	remembered *store.Request // nil without Idempotency-Key
	earlier    *store.Request // the same key before, or nil

	fields   map[string]string // values of the fields
	fileName string            // of the CSV, as the client wrote it
	digests  map[string][]byte // of each part
	received byteCount         // of all parts
}

// byteCount counts the bytes that are written to it.
type byteCount int64

// Write implements io.Writer.
func (c *byteCount) Write(p []byte) (int, error) {
	*c += byteCount(len(p))
	return len(p), nil
}

func (u *upload) close() {
	if u.staged == nil {
		return
	}
	if err := u.staged.Close(); err != nil {
		u.svc.Log.Warn("remove an upload", "inbox", u.inbox.Path, "err", err)
	}
}

// sidecarFields returns the sidecar keys that are fields of an upload: all but those in the path.
func sidecarFields() []string {
	return slices.DeleteFunc(document.SidecarKeys(), func(k string) bool { return k == "applicationId" || k == "campaignId" })
}

// receive reads all parts. Files go to the disk as they come.
func (u *upload) receive(next func() (*api.UploadPart, error)) error {
	if u.request.Inbox != "" {
		if err := u.use(u.request.Inbox); err != nil {
			return err
		}
	}
	for {
		part, err := next()
		if errors.Is(err, io.EOF) {
			return u.complete()
		}
		if err != nil {
			return err
		}
		if _, twice := u.digests[part.Name]; twice {
			return fieldError(part.Name, "comes twice")
		}
		digest := sha256.New()
		if err := u.part(part, io.TeeReader(part.Body, io.MultiWriter(digest, &u.received))); err != nil {
			return err
		}
		u.digests[part.Name] = digest.Sum(nil)
	}
}

func (u *upload) part(part *api.UploadPart, body io.Reader) error {
	known := append([]string{partLayout, partFile, partName, partInbox}, sidecarFields()...)
	switch {
	case part.Name == partFile:
		u.fileName = part.FileName
		return u.file(csvEnding(part.FileName), body)
	case part.Name == partLayout:
		return u.file(".layout.json", body)
	case part.Name == "applicationId" || part.Name == "campaignId":
		return fieldError(part.Name, "is in the path of the request and can't be a field")
	case !slices.Contains(known, part.Name):
		return fieldError(part.Name, "is not a known field"+cmp.Or(source.DidYouMean(part.Name, known), "; known are "+strings.Join(known, ", ")))
	}
	value, err := io.ReadAll(io.LimitReader(body, maxField+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", intake.ErrUploadBody, err)
	case len(value) > maxField:
		return &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("the field %q has more than %s", part.Name, display.Amount(maxField, "byte"))}
	case !utf8.Valid(value):
		return fieldError(part.Name, "is not valid UTF-8")
	}
	u.fields[part.Name] = string(value)
	if part.Name == partInbox {
		return u.choose(string(value))
	}
	return nil
}

// choose uses the inbox that an operator names.
func (u *upload) choose(text string) error {
	if u.request.Inbox != "" {
		return fieldError(partInbox, "can't be chosen with this token: it belongs to one inbox")
	}
	if u.inbox != nil {
		return fieldError(partInbox, "must come before the files")
	}
	found := u.config.InboxesNamed(text)
	switch len(found) {
	case 0:
		return fieldError(partInbox, "is not an inbox: give its configured path or the last part of it")
	case 1:
		return u.use(found[0].Path)
	}
	var paths []string
	for _, in := range found {
		paths = append(paths, in.Path)
	}
	return fieldError(partInbox, fmt.Sprintf("fits %d inboxes: %s", len(found), strings.Join(paths, ", ")))
}

// use sets the inbox and checks that it may send for the application and is there: nobody uploads a
// large file only to be told in the end that its inbox is away.
func (u *upload) use(path string) error {
	if u.inbox = u.config.Inbox(path); u.inbox == nil {
		return api.Unavailablef("the inbox is no longer configured")
	}
	if !u.inbox.Allows(u.request.ApplicationID) || u.config.Application(u.request.ApplicationID) == nil {
		return api.NotFoundf("there is no application %d for this inbox", u.request.ApplicationID)
	}
	u.app = u.config.Application(u.request.ApplicationID)
	if u.earlier != nil {
		return nil // the remembered answer needs no inbox
	}
	return u.svc.Inboxes.Present(path)
}

// file writes one of the files.
func (u *upload) file(ending string, body io.Reader) error {
	if u.inbox == nil {
		if len(u.config.Inboxes) > 1 {
			return fieldError(partInbox, "must come first: it names the inbox, by its configured path or the last part of it")
		}
		if err := u.use(u.config.Inboxes[0].Path); err != nil {
			return err
		}
	}
	if u.earlier != nil { // only compared
		if _, err := io.Copy(io.Discard, body); err != nil {
			return fmt.Errorf("%w: %w", intake.ErrUploadBody, err)
		}
		return nil
	}
	if u.staged == nil {
		var err error
		if u.staged, err = u.svc.Intake.NewUpload(u.inbox, u.request.Size); err != nil {
			return err
		}
	}
	most := u.app.MaxFileSize
	if strings.HasSuffix(ending, ".json") {
		most = document.MaxSize
	}
	return u.staged.Add(ending, most, body)
}

// complete checks that nothing is missing, and writes the sidecar.
func (u *upload) complete() error {
	if u.digests[partFile] == nil {
		return fieldError(partFile, "is missing")
	}
	if u.digests[partLayout] == nil && u.inbox.Layout == "" && !strings.HasSuffix(csvEnding(u.fileName), ".zip") {
		return fieldError(partLayout, "is missing, and this inbox has no default for it")
	}
	if text, given := u.fields[partName]; given {
		if why := badDropName(text); why != "" {
			return fieldError(partName, why)
		}
	}
	if u.earlier != nil {
		return nil
	}
	sidecar, err := u.sidecar()
	if err != nil {
		return err
	}
	return u.staged.Add(".schedule.json", document.MaxSize, strings.NewReader(sidecar))
}

// badDropName returns why a text can't be a drop's NAME, or "".
func badDropName(text string) string {
	if strings.ContainsAny(text, `/\`) {
		return "contains a slash"
	}
	n := watch.ParseName(text + ".csv")
	switch {
	case n.Kind == watch.KindBadName:
		return "can't be used: " + n.Why
	case n.Kind != watch.KindCSV:
		return "can't be used: files of that name are ignored, or mean something else"
	}
	return ""
}

// drop returns the drop's NAME: the field's, else the CSV's file name without its folder and ending.
func (u *upload) drop() string {
	if text, given := u.fields[partName]; given {
		return text
	}
	name := u.fileName[strings.LastIndexAny(u.fileName, `/\`)+1:]
	if ending := csvEnding(name); len(name) >= len(ending) && strings.EqualFold(name[len(name)-len(ending):], ending) {
		name = name[:len(name)-len(ending)]
	}
	if name == "" || badDropName(name) != "" {
		return "upload"
	}
	return name
}

// csvEnding returns what follows NAME in the name of the CSV, or of the archive or spreadsheet that
// stands for it: .csv where the client's name says nothing.
func csvEnding(fileName string) string {
	lower := strings.ToLower(fileName)
	for _, ending := range []string{".csv.gz", ".csv.zip", ".zip", ".xlsx"} {
		if strings.HasSuffix(lower, ending) {
			return ending
		}
	}
	return ".csv"
}

// sidecar returns the content of NAME.schedule.json. Only the form of the values is decided here;
// the check reads them like those of any sidecar.
func (u *upload) sidecar() (string, error) {
	keys := map[string]any{"applicationId": u.request.ApplicationID, "campaignId": u.request.CampaignID}
	for _, name := range sidecarFields() {
		text, given := u.fields[name]
		if !given {
			continue
		}
		switch name {
		case "rows", "bytes", "dryRun", "resend": // JSON numbers and booleans
			var value any
			if json.Unmarshal([]byte(text), &value) != nil {
				return "", fieldError(name, fmt.Sprintf("is %q, want a whole number, or true or false", clip(text)))
			}
			keys[name] = json.RawMessage(text)
		default:
			keys[name] = text
		}
	}
	text, err := json.MarshalIndent(keys, "", "  ")
	return string(text) + "\n", err
}

// clip shortens a text for a message.
func clip(text string) string { return display.Clip(text, 60) }

// commit makes the drop, or returns the sending of the same request before.
func (u *upload) commit(who string) (campaign.ID, error) {
	if u.remembered != nil {
		u.remembered.Content = u.content()
	}
	if u.earlier != nil {
		if u.earlier.Content != u.remembered.Content {
			return "", &api.Error{Code: api.CodeKeyReused, Message: "this Idempotency-Key was used for an upload with other content: use a new key for each upload"}
		}
		u.remembered = u.earlier
		return u.earlier.Sending, nil
	}
	id, err := u.staged.Commit(u.drop(), u.remembered)
	if err != nil {
		return "", err
	}
	return id, u.svc.Store.Audit(store.AuditEntry{Who: who, Action: "upload", Sending: id})
}

// content returns the digest of everything that was uploaded, whatever the order of the parts.
func (u *upload) content() [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%d\n%q\n", u.request.ApplicationID, u.request.CampaignID, u.drop())
	for _, name := range slices.Sorted(maps.Keys(u.digests)) {
		fmt.Fprintf(h, "%q %x\n", name, u.digests[name])
	}
	return [32]byte(h.Sum(nil))
}
