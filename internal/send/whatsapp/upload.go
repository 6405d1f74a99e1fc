package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send"
)

const (
	// uploadTimeout limits one upload of up to 100 MiB.
	uploadTimeout = 10 * time.Minute
	// renewAfter is the age at which an upload is repeated before it is used. Meta forgets one after
	// 30 days; a sending is loaded for at most some 9 days.
	renewAfter = 14 * 24 * time.Hour
	// uploadKept is the age at which an upload is dropped from the record.
	uploadKept = 30 * 24 * time.Hour
	// uploadIsNew is the age up to which the refusal of an upload isn't explained by its age.
	uploadIsNew = time.Hour
)

// uploads are the files that a number has uploaded. The record holds them by SHA-256; channels of the
// same number share it.
type uploads struct {
	graph   *graph
	number  string // phone_number_id
	files   config.MediaFiles
	records config.Records // nil: every sending uploads

	mu   sync.Mutex // guards lost
	lost []string   // ids that Meta has forgotten: messages with them may still be in flight
}

// uploaded is one upload.
type uploaded struct {
	ID string `json:"id"`
	At int64  `json:"at"` // Unix seconds
}

func (u uploaded) age(now time.Time) time.Duration { return now.Sub(time.Unix(u.At, 0)) }

func (u *uploads) recordName() string { return "whatsapp/media/" + u.number }

// Prepare implements send.MediaChannel: it replaces each "file" by the "id" of its upload.
func (c *Channel) Prepare(ctx context.Context, item json.RawMessage, files []campaign.MediaFile) (json.RawMessage, error) {
	m, err := readMessage(item)
	if err != nil {
		return nil, &send.NotPrepared{Reason: err.Error(), Hold: true}
	}
	err = m.eachFile(func(kind string, o map[string]any) error {
		name := o[keyFile].(string)
		for _, one := range files {
			if one.Name != name {
				continue
			}
			id, err := c.uploads.id(ctx, one)
			if err != nil {
				return notPrepared(name, err)
			}
			delete(o, keyFile)
			o["id"] = id
			if _, given := o["filename"]; !given && kind == kindDocument {
				o["filename"] = name // else the phone shows "Untitled"
			}
			return nil
		}
		return &send.NotPrepared{Reason: fmt.Sprintf("the file %q isn't among those that the drop was accepted with", name), Hold: true}
	})
	if err != nil {
		return nil, err
	}
	return encodeMessage(m)
}

// notPrepared returns the error of an upload that failed.
func notPrepared(name string, err error) error {
	out := &send.NotPrepared{Reason: fmt.Sprintf("the file %q can't be uploaded: %v", name, err)}
	refused, ok := errors.AsType[*graphError](err)
	if !ok {
		out.Hold = errors.Is(err, errNoContent)
		return out
	}
	out.RetryAfter = refused.retryAfter
	switch refused.action {
	case throttle, throttleContact, ambiguous, later:
	case unlisted:
		out.Hold = refused.status != http.StatusTooManyRequests && refused.status != http.StatusRequestTimeout && refused.status < 500
	default:
		out.Hold = true
	}
	return out
}

// errNoContent wraps an error about a file that can't be read.
var errNoContent = errors.New("its content can't be read")

// id returns the id of a file's upload. It uploads the file if the number hasn't, or not lately.
func (u *uploads) id(ctx context.Context, m campaign.MediaFile) (string, error) {
	if u.files == nil {
		return "", errNoContent
	}
	unlock, err := u.files.Lock(ctx, u.recordName())
	if err != nil {
		return "", err
	}
	defer unlock()
	known, err := u.load()
	if err != nil {
		return "", err
	}
	if one, ok := known[m.SHA256]; ok && one.age(time.Now()) < renewAfter {
		return one.ID, nil
	}
	id, err := u.upload(ctx, m)
	if err != nil {
		return "", err
	}
	known[m.SHA256] = uploaded{id, time.Now().Unix()}
	return id, u.save(known)
}

// load returns the record, without uploads that Meta has forgotten.
func (u *uploads) load() (map[string]uploaded, error) {
	known := map[string]uploaded{}
	if u.records == nil {
		return known, nil
	}
	value, err := u.records.Record(u.recordName())
	if err != nil {
		return nil, err
	}
	if len(value) > 0 && json.Unmarshal(value, &known) != nil {
		return map[string]uploaded{}, nil // they are uploaded again
	}
	now := time.Now()
	for sum, one := range known {
		if one.age(now) >= uploadKept {
			delete(known, sum)
		}
	}
	return known, nil
}

func (u *uploads) save(known map[string]uploaded) error {
	if u.records == nil {
		return nil
	}
	value, err := json.Marshal(known)
	if err != nil {
		return err
	}
	return u.records.PutRecord(u.recordName(), value)
}

// upload uploads a file and returns its id at Meta.
func (u *uploads) upload(ctx context.Context, m campaign.MediaFile) (string, error) {
	file, err := u.files.Content(m)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoContent, err)
	}
	defer file.Close()
	head, tail, contentType, err := uploadForm(m)
	if err != nil {
		return "", err
	}
	address := u.graph.base.JoinPath(u.number, "media").String()
	var answer struct {
		ID string `json:"id"`
	}
	err = u.graph.call(ctx, aboutMedia(), func() (*http.Request, error) {
		body := io.MultiReader(bytes.NewReader(head), io.NewSectionReader(file, 0, m.Size), bytes.NewReader(tail))
		req, err := http.NewRequest(http.MethodPost, address, body)
		if err != nil {
			return nil, err
		}
		req.ContentLength = int64(len(head)) + m.Size + int64(len(tail))
		req.Header.Set("Content-Type", contentType)
		return req, nil
	}, &answer)
	switch {
	case err != nil:
		return "", err
	case answer.ID == "" || len(answer.ID) > maxKey:
		return "", errors.New("WhatsApp's answer has no id: check base_url and version")
	}
	return answer.ID, nil
}

// uploadForm returns what a request has before and after the content, and its content type.
func uploadForm(m campaign.MediaFile) (head, tail []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range [][2]string{{"messaging_product", "whatsapp"}, {"type", m.Type}} {
		if err := w.WriteField(f[0], f[1]); err != nil {
			return nil, nil, "", err
		}
	}
	_, err = w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition("file", m.Name)}, "Content-Type": {m.Type}})
	if err != nil {
		return nil, nil, "", err
	}
	head = bytes.Clone(b.Bytes())
	b.Reset()
	if err := w.Close(); err != nil {
		return nil, nil, "", err
	}
	return head, b.Bytes(), w.FormDataContentType(), nil
}

// uploadAgain turns the refusal of an upload that Meta has lost into a short hold of the sending,
// after which the file is uploaded again.
func (c *Channel) uploadAgain(v *verdict, content []byte) {
	if said := strings.ToLower(v.metaText); !strings.Contains(said, "media") || !c.uploads.forget(content) {
		return
	}
	v.Verdict, v.Hold, v.RetryAfter = send.VerdictHold, send.HoldSending, time.Second
	v.Detail += "; the file is uploaded again"
}

// forget removes the uploads that a content uses from the record. It reports whether one of them was
// old enough to explain a refusal by its age.
func (u *uploads) forget(content []byte) bool {
	if u.files == nil || u.records == nil {
		return false
	}
	u.mu.Lock() // messages in flight are refused side by side
	defer u.mu.Unlock()
	uses := func(id string) bool { return bytes.Contains(content, []byte(`"id":"`+id+`"`)) }
	if slices.ContainsFunc(u.lost, uses) {
		return true
	}
	unlock, err := u.files.Lock(context.Background(), u.recordName())
	if err != nil {
		return false
	}
	defer unlock()
	known, err := u.load()
	if err != nil {
		return false
	}
	found, now := false, time.Now()
	for sum, one := range known {
		if one.age(now) >= uploadIsNew && uses(one.ID) {
			delete(known, sum)
			u.lost = append(u.lost, one.ID)
			found = true
		}
	}
	return found && u.save(known) == nil
}
