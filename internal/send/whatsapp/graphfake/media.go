package graphfake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
)

// Upload is a file that was uploaded to the number.
type Upload struct {
	ID     string
	Name   string // of the part's file
	Type   string // the field "type"
	SHA256 string // hex
	Size   int64
}

// mediaIDs begins the ids of uploads. Messages may refer to such an id only while the upload is there.
const mediaIDs = "media-"

// media is what was uploaded.
type media struct {
	uploads []Upload
	lost    map[string]bool // ids that are refused
	answer  func(Upload) Answer
}

// AnswerUploads sets the answers to well-formed uploads; nil accepts them.
func (s *Server) AnswerUploads(f func(Upload) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.media.answer = f
}

// Uploads returns the accepted uploads in their order.
func (s *Server) Uploads() []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Upload(nil), s.media.uploads...)
}

// LoseUploads makes the number forget its uploads, as Meta does after 30 days.
func (s *Server) LoseUploads() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.media.lost = map[string]bool{}
	for _, u := range s.media.uploads {
		s.media.lost[u.ID] = true
	}
}

// limit returns the most bytes of a file of a type; 0: Meta takes none of it.
func limit(mediaType string) int64 {
	switch mediaType {
	case "image/jpeg", "image/png":
		return 5 << 20
	case "video/mp4", "video/3gpp":
		return 16 << 20
	case "application/pdf", "text/plain", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation":
		return 100 << 20
	}
	return 0
}

// serveMedia takes an upload.
func (s *Server) serveMedia(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	token, answer := s.token, s.media.answer
	s.mu.Unlock()
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if given != token {
		write(w, Answer{Code: 190, Details: "Error validating access token"}, Message{})
		return
	}
	u, err := readUpload(r)
	if err != nil {
		write(w, Answer{Code: 100, Details: s.fault("upload: %v", err)}, Message{})
		return
	}
	if answer != nil {
		a := answer(u)
		if !sleep(r.Context().Done(), a.Delay) {
			return
		}
		if a.Cut != Whole {
			cut(w, a, Message{})
			return
		}
		if a.refused() {
			write(w, a, Message{})
			return
		}
	}
	s.mu.Lock()
	u.ID = fmt.Sprintf("%s%d", mediaIDs, len(s.media.uploads)+1)
	s.media.uploads = append(s.media.uploads, u)
	s.mu.Unlock()
	b, _ := json.Marshal(map[string]any{"id": u.ID})
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, _ = w.Write(b)
}

// readUpload reads the form of an upload strictly.
func readUpload(r *http.Request) (u Upload, err error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || r.Method != http.MethodPost || r.ContentLength <= 0 {
		return u, fmt.Errorf("is no POST of a form with a content length")
	}
	fields := map[string]string{}
	form := multipart.NewReader(r.Body, params["boundary"])
	partType := ""
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return u, err
		}
		if part.FormName() == "file" {
			h := sha256.New()
			if u.Size, err = io.Copy(h, part); err != nil {
				return u, err
			}
			u.Name, u.SHA256, partType = part.FileName(), hex.EncodeToString(h.Sum(nil)), part.Header.Get("Content-Type")
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, 1000))
		if err != nil {
			return u, err
		}
		fields[part.FormName()] = string(value)
	}
	u.Type = fields["type"]
	switch most := limit(u.Type); {
	case fields["messaging_product"] != "whatsapp" || len(fields) != 2 || u.Name == "":
		return u, fmt.Errorf("has the fields %v and the file %q", fields, u.Name)
	case partType != u.Type || most == 0:
		return u, fmt.Errorf("has the type %q, the file's is %q", u.Type, partType)
	case u.Size == 0 || u.Size > most:
		return u, fmt.Errorf("has %d bytes", u.Size)
	}
	return u, nil
}

// checkMedia refuses a message that refers to an upload which isn't there.
func (s *Server) checkMedia(m Message) (code int, details string) {
	for _, match := range regexp.MustCompile(`"id":"(`+mediaIDs+`[0-9]+)"`).FindAllSubmatch(m.Content, -1) {
		id := string(match[1])
		s.mu.Lock()
		there := !s.media.lost[id]
		known := false
		for _, u := range s.media.uploads {
			known = known || u.ID == id
		}
		s.mu.Unlock()
		switch {
		case !known:
			return 131009, s.fault("the message refers to %s, which was never uploaded", id)
		case !there:
			return 131009, "Param image[id] is not a valid whatsapp business account media attachment ID"
		}
	}
	return 0, ""
}

// mediaMessage checks a message that is one file.
func mediaMessage(kind string, v any) error {
	o, ok := v.(map[string]any)
	if !ok {
		return bad(100, kind, "is no object")
	}
	if caption, has := o["caption"]; has {
		if text, ok := caption.(string); !ok || text == "" || len([]rune(text)) > 1024 {
			return bad(100, kind+".caption", "is no string of 1 to 1024 characters")
		}
		delete(o, "caption")
	}
	return object(kind, kind, o)
}
