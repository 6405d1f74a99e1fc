package daemon

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
)

// Tokens of the live daemon.
const (
	operatorToken = "operator-0123456789abcdef"
	northToken    = "north-0123456789abcdef"
	southToken    = "south-0123456789abcdef"
)

// live is a running daemon with HTTP and two partners' inboxes, north and south.
type live struct {
	t    *testing.T
	dir  string
	base string
	*Daemon
	gate chan struct{} // closed: the channel answers
	stop func()
}

// newLive starts a daemon. more is TOML for both inboxes, application for the application.
func newLive(t *testing.T, more, application string) *live {
	t.Helper()
	l := &live{t: t, dir: t.TempDir(), gate: make(chan struct{})}
	for name, text := range map[string]string{"operator": operatorToken, "north": northToken, "south": southToken,
		"7.json": `{"id": 7, "applicationId": 1, "enabled": true, "channelTypes": ["push"], "messageContent": [{"body": "Hello {{name}}"}]}`} {
		folder := l.dir
		if strings.HasSuffix(name, ".json") {
			folder = filepath.Join(l.dir, "campaigns")
		}
		l.check(os.MkdirAll(folder, 0o755))
		l.check(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	text := fmt.Sprintf("state_dir = \"%[1]s/var\"\ncampaigns_dir = \"%[1]s/campaigns\"\ntoken_file = \"%[1]s/operator\"\n", l.dir)
	for _, name := range []string{"north", "south"} {
		l.check(os.MkdirAll(l.inbox(name), 0o755))
		text += fmt.Sprintf("[[inboxes]]\npath = %q\nallow_applications = [1]\ntoken_file = \"%s/%s\"\n%s\n", l.inbox(name), l.dir, name, more)
	}
	text += "[[applications]]\nid = 1\n" + application + "\n[applications.channels.push]\ndriver = \"null\"\n[[applications]]\nid = 2\n[applications.channels.push]\ndriver = \"null\"\n"
	l.check(os.WriteFile(filepath.Join(l.dir, "campaignd.toml"), []byte(text), 0o644))
	l.start()
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *live) inbox(name string) string { return filepath.Join(l.dir, name+"-inbox") }

func (l *live) check(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// listening passes on the address in the log's line.
type listening struct {
	slog.Handler
	found chan string
}

func (h listening) Enabled(context.Context, slog.Level) bool { return true }

func (h listening) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "listening" {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "http" {
				h.found <- a.Value.String()
			}
			return true
		})
	}
	return nil
}

// start starts the daemon, again after a stop.
func (l *live) start() {
	l.t.Helper()
	c, problems := config.Load(filepath.Join(l.dir, "campaignd.toml"), drivers.All())
	for _, p := range problems.List {
		l.t.Fatal(p)
	}
	c.Listen = "127.0.0.1:0" // a free port, which the file can't ask for
	found := make(chan string, 1)
	d, err := Open(Options{Config: c, Version: "test", Log: slog.New(listening{slog.DiscardHandler, found}), Getenv: func(string) string { return "" },
		Drivers: func(c *config.Config, _ func(string) string) (Drivers, error) {
			all := Drivers{}
			for _, a := range c.Applications {
				all[a.ID] = map[string]send.Channel{"push": null.New(1)}
			}
			return all, nil
		}})
	l.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	select {
	case address := <-found:
		l.base = "http://" + address
	case err := <-ended:
		l.t.Fatalf("the daemon ended: %v", err)
	}
	l.Daemon, l.stop = d, func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Errorf("the daemon ended with %v", err)
		}
		l.stop = func() {}
	}
}

const (
	theLayout = `{"contact": {"contactCode": "{{code}}", "channelType": "push"}, "customFields": {"name": "{{name}}"}}`
	theCSV    = "code,name\na,Ada\nb,Bob\n"
)

// form is a multipart body. Its parts alternate names and contents; "file" and "layout" are files.
func form(parts ...string) (contentType string, body *bytes.Buffer) {
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	for i := 0; i < len(parts); i += 2 {
		name, fileName, isFile := strings.Cut(parts[i], "@")
		header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=%q", name)}}
		if isFile {
			header.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q; filename=%q", name, fileName))
		}
		part, err := w.CreatePart(header)
		if err == nil {
			_, err = io.WriteString(part, parts[i+1])
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return w.FormDataContentType(), body
}

// answer is a decoded answer of an upload.
type answer struct {
	status   int
	location string
	text     string
	api.Uploaded
	Title, Detail string
	Code          api.Code
	Sending       campaign.ID
	Errors        []campaign.Problem
}

const uploadPath = "/v1/applications/1/campaigns/7/send/csv"

func (l *live) post(token, path, contentType string, body io.Reader, headers ...string) answer {
	l.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, l.base+path, body)
	l.check(err)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	l.check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	l.check(err)
	a := answer{status: resp.StatusCode, location: resp.Header.Get("Location"), text: string(text)}
	l.check(json.Unmarshal(text, &a))
	if problem := resp.Header.Get("Content-Type") == "application/problem+json"; problem != (a.status >= 400) {
		l.t.Errorf("status %d has Content-Type %q", a.status, resp.Header.Get("Content-Type"))
	}
	return a
}

// upload uploads with a partner's token.
func (l *live) upload(token string, parts ...string) answer {
	l.t.Helper()
	kind, body := form(parts...)
	return l.post(token, uploadPath, kind, body)
}

func (l *live) get(token, path string) (int, string) {
	l.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, l.base+path, nil)
	l.check(err)
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	l.check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	l.check(err)
	return resp.StatusCode, string(text)
}

// nothingLeft fails the test if an inbox holds anything but the folders of drops.
func (l *live) nothingLeft() {
	l.t.Helper()
	for _, name := range []string{"north", "south"} {
		for _, folder := range []string{"", "accepted", "done", "failed"} {
			entries, err := os.ReadDir(filepath.Join(l.inbox(name), folder))
			l.check(err)
			for _, e := range entries {
				if hidden := strings.HasPrefix(e.Name(), "."); hidden && e.Name() != ".inbox-id" || folder == "" && !e.IsDir() && e.Name() != "campaigns.txt" {
					l.t.Errorf("%s is left in %s/%s", e.Name(), name, folder)
				}
			}
		}
	}
}

// An upload becomes a drop of the partner's inbox, and the answer says which and where to look.
func TestUpload(t *testing.T) {
	l := newLive(t, "", "")
	a := l.upload(northToken, "layout@l.json", theLayout, "file@contacts.csv", theCSV, "name", "spring", "reference", "order 7", "rows", "2")
	switch {
	case a.status != 202:
		t.Fatalf("a.status: got %v, want 202", a.status)
	case a.Name != "spring":
		t.Fatalf(`a.Name: got %q, want "spring"`, a.Name)
	case !a.ID.Valid():
		t.Fatal("a.ID.Valid(): got false, want true")
	case a.location != "/v1/sendings/"+string(a.ID):
		t.Fatalf("a.location: got %q, want %q", a.location, "/v1/sendings/"+string(a.ID))
	}
	if a.Recipients.Accepted != 2 || a.Planned != 2 || a.Reference != "order 7" {
		t.Errorf("got %s", a.text)
	}
	status, text := l.get(northToken, a.location)
	if status != 200 || !strings.Contains(text, `"inbox"`) || strings.Contains(text, `"folder"`) {
		t.Errorf("GET of the sending: %d %s", status, text)
	}
	l.waitDone(a.ID)
	for name, want := range map[string]string{"spring.csv": theCSV, "spring.layout.json": theLayout} {
		got, err := os.ReadFile(filepath.Join(l.inbox("north"), "done", "spring."+string(a.ID), name))
		l.check(err)
		if string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	l.nothingLeft()
}

// A compressed CSV is uploaded as it is.
func TestUploadOfAnArchive(t *testing.T) {
	l := newLive(t, "", "")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, theCSV)
	l.check(errors.Join(err, w.Close()))
	a := l.upload(northToken, "layout@l.json", theLayout, "file@Night.CSV.gz", packed.String())
	if a.status != 202 || a.Name != "Night" || a.Recipients.Accepted != 2 {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	l.waitDone(a.ID)
	if got, err := os.ReadFile(filepath.Join(l.inbox("north"), "done", "Night."+string(a.ID), "Night.csv.gz")); err != nil || !bytes.Equal(got, packed.Bytes()) {
		t.Errorf("the original isn't there as it came: %v", err)
	}
}

// waitDone waits until a sending's folder is in its final place.
func (l *live) waitDone(id campaign.ID) {
	l.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if s, err := l.store.Header(id); err == nil && s.Filed {
			return
		}
	}
	l.t.Fatalf("%s isn't filed within a minute", id)
}

// A rejected drop is answered with its located errors, the same drop again with the earlier id.
func TestUploadIsRefused(t *testing.T) {
	l := newLive(t, "", "")
	a := l.upload(northToken, "layout@l.json", `{"contact": {"contactCode": "{{kode}}", "channelType": "push"}, "customFields": {"name": "{{name}}"}}`, "file@c.csv", theCSV)
	switch {
	case a.status != 422:
		t.Errorf("a wrong layout: a.status: got %v, want 422", a.status)
	case a.Code != api.CodeRejected:
		t.Errorf("a wrong layout: a.Code: got %v, want %v", a.Code, api.CodeRejected)
	case len(a.Errors) != 1:
		t.Errorf("a wrong layout: len(a.Errors): got %v, want 1: %+v", len(a.Errors), a.Errors)
	case a.Errors[0].Line != 1:
		t.Errorf("a wrong layout: a.Errors[0].Line: got %v, want 1", a.Errors[0].Line)
	case a.Errors[0].File != "c.layout.json":
		t.Errorf(`a wrong layout: a.Errors[0].File: got %q, want "c.layout.json"`, a.Errors[0].File)
	case !a.Sending.Valid():
		t.Error("a wrong layout: a.Sending.Valid(): got false, want true")
	}
	first := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	second := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	if second.status != 409 || !strings.Contains(second.Detail, string(first.ID)) {
		t.Errorf("the same drop twice: %d %s", second.status, second.text)
	}
	if again := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV, "resend", "true"); again.status != 202 {
		t.Errorf("with resend: %d %s", again.status, again.text)
	}
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", "code,name\nx,Ada\ny,Bob\n", "rows", "3"); a.status != 422 {
		t.Errorf("with a wrong proof: %d %s", a.status, a.text)
	}
	l.counts(`campaignd_uploads_total{result="accepted"} 2`, `campaignd_uploads_total{result="rejected"} 2`, `campaignd_uploads_total{result="conflict"} 1`,
		`campaignd_upload_bytes_total `+fmt.Sprint(5*(len(theLayout)+len(theCSV))+len("true3")))
	l.nothingLeft()
}

// A partner's token reaches its own inbox's sendings and nothing else.
func TestPartnerReachesOnlyItsOwn(t *testing.T) {
	l := newLive(t, "", "windows = [\"CRON_TZ=UTC 0 0 1 1 *\"]")
	north := l.upload(northToken, "layout@l.json", theLayout, "file@north.csv", theCSV)
	south := l.upload(southToken, "layout@l.json", theLayout, "file@autumn.csv", "code,name\nc,Cid\n")
	if north.status != 202 || south.status != 202 {
		t.Fatalf("%s %s", north.text, south.text)
	}
	if status, text := l.get(northToken, "/v1/sendings"); status != 200 || !strings.Contains(text, string(north.ID)) || strings.Contains(text, string(south.ID)) {
		t.Errorf("the list: %d %s", status, text)
	}
	_, unknown := l.get(northToken, "/v1/sendings/nothing")
	for _, other := range []string{string(south.ID), "autumn", string(south.ID)[9:]} {
		status, text := l.get(northToken, "/v1/sendings/"+other)
		if want := strings.ReplaceAll(unknown, "nothing", other); status != 404 || text != want {
			t.Errorf("another partner's sending %s: %d %s, want %s", other, status, text, want)
		}
		if status, _ := l.get(northToken, "/v1/sendings/"+other+"/results"); status != 404 {
			t.Errorf("results of another partner's sending: %d", status)
		}
		for _, verb := range []string{"pause", "resume", "cancel"} {
			if a := l.postJSON(northToken, "/v1/sendings/"+other+"/"+verb); a != 404 {
				t.Errorf("%s of another partner's sending: %d", verb, a)
			}
		}
	}
	for _, path := range []string{"/", "/metrics", "/openapi.json", "/v1/status", "/v1/timeline", "/v1/audit", "/v1/doctor", "/v1/suppressions", "/v1/backup", "/v1/nothing", "/sendings"} {
		if status, text := l.get(northToken, path); status != 404 && !(path == "/metrics" && status == 200) {
			t.Errorf("GET %s: %d %.100s", path, status, text)
		}
	}
	for _, path := range []string{"/v1/resume", "/v1/reload", "/v1/forget", "/v1/sendings/" + string(north.ID) + "/resend", "/v1/suppressions", "/v1/login-code", "/v1/send-test", "/login"} {
		if status := l.postJSON(northToken, path); status != 404 && path != "/login" {
			t.Errorf("POST %s: %d", path, status)
		}
	}
	kind, body := form("layout@l.json", theLayout, "file@c.csv", theCSV)
	for _, path := range []string{"/v1/applications/2/campaigns/7/send/csv", "/v1/applications/99/campaigns/7/send/csv"} {
		if a := l.post(northToken, path, kind, bytes.NewReader(body.Bytes())); a.status != 404 {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
	if status := l.postJSON(northToken, "/v1/sendings/north/cancel"); status != 200 {
		t.Errorf("cancel of its own: %d", status)
	}
	if a := l.upload("guess-0123456789abcdef", "layout@l.json", theLayout, "file@c.csv", theCSV); a.status != 401 {
		t.Errorf("an unknown token: %d %s", a.status, a.text)
	}
}

func (l *live) postJSON(token, path string) int {
	l.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, l.base+path, strings.NewReader("{}"))
	l.check(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	l.check(err)
	defer resp.Body.Close()
	return resp.StatusCode
}

// A partner's request for a campaign that its inbox may not send is answered with that error.
func TestUploadOfACampaignThatIsNotAllowed(t *testing.T) {
	l := newLive(t, "allow_campaigns = [99]", "")
	a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	if a.status != 422 || len(a.Errors) != 1 || a.Errors[0].Code != "campaign-not-allowed" {
		t.Errorf("got %d %s, want 422 with campaign-not-allowed", a.status, a.text)
	}
}

// An operator names the inbox, before the files.
func TestOperatorNamesTheInbox(t *testing.T) {
	l := newLive(t, "", "")
	parts := []string{"layout@l.json", theLayout, "file@c.csv", theCSV}
	if a := l.upload(operatorToken, parts...); a.status != 400 || len(a.Errors) != 1 || a.Errors[0].Field != "inbox" {
		t.Errorf("without an inbox: %d %s", a.status, a.text)
	}
	if a := l.upload(operatorToken, append(parts, "inbox", "north-inbox")...); a.status != 400 {
		t.Errorf("an inbox after the files: %d %s", a.status, a.text)
	}
	for _, text := range []string{"nowhere", "../north-inbox", "", "/etc", l.inbox("north") + "/accepted"} {
		if a := l.upload(operatorToken, append([]string{"inbox", text}, parts...)...); a.status != 400 {
			t.Errorf("inbox %q: %d %s", text, a.status, a.text)
		}
	}
	if a := l.upload(northToken, append([]string{"inbox", "south-inbox"}, parts...)...); a.status != 400 {
		t.Errorf("a partner that names an inbox: %d %s", a.status, a.text)
	}
	if a := l.upload(operatorToken, append([]string{"inbox", "south-inbox"}, parts...)...); a.status != 202 {
		t.Errorf("by its last part: %d %s", a.status, a.text)
	}
	l.nothingLeft()
}

// Hostile and broken requests are refused in words and leave nothing.
func TestHostileUploads(t *testing.T) {
	l := newLive(t, "max_pending_bytes = \"2MiB\"", "max_file_size = \"1MiB\"")
	kind, _ := form()
	files := []string{"layout@l.json", theLayout, "file@c.csv", theCSV}
	whole := func(parts ...string) string {
		k, body := form(parts...)
		_, boundary, _ := strings.Cut(k, "boundary=")
		return strings.ReplaceAll(body.String(), boundary, "BOUND")
	}
	bound := "multipart/form-data; boundary=BOUND"
	for _, test := range []struct {
		what, kind, body string
		want             int
	}{
		{"no form", "application/json", "{}", 400},
		{"no boundary", "multipart/form-data", "x", 400},
		{"another boundary", "multipart/form-data; boundary=OTHER", whole(files...), 400},
		{"a cut body", bound, strings.TrimSuffix(whole(files...), "--BOUND--\r\n"), 400},
		{"cut in the CSV", bound, whole(files...)[:len(whole(files...))-20], 400},
		{"nothing", kind, "", 400},
		{"no CSV", bound, whole("layout@l.json", theLayout), 400},
		{"no layout", bound, whole("file@c.csv", theCSV), 400},
		{"two layouts", bound, whole(append(files, "layout@l.json", theLayout)...), 400},
		{"two names", bound, whole(append(files, "name", "a", "name", "a")...), 400},
		{"an unknown field", bound, whole(append(files, "scheduledAt", "2026-01-01T00:00:00Z")...), 400},
		{"a key of the path", bound, whole(append(files, "campaignId", "8")...), 400},
		{"a part without a name", bound, "--BOUND\r\nContent-Disposition: form-data\r\n\r\nx\r\n--BOUND--\r\n", 400},
		{"an encoded part", bound, "--BOUND\r\nContent-Disposition: form-data; name=\"file\"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--BOUND--\r\n", 400},
		{"a huge header", bound, "--BOUND\r\nContent-Disposition: form-data; name=\"" + strings.Repeat("x", 200<<10) + "\"\r\n\r\nx\r\n--BOUND--\r\n", 413},
		{"much before the first part", bound, strings.Repeat("x\r\n", 100<<10) + whole(files...), 413},
		{"a huge field", bound, whole("reference", strings.Repeat("x", 1<<20)), 413},
		{"a huge layout", bound, whole("layout@l.json", strings.Repeat(" ", 1<<20+1)), 413},
		{"a huge CSV", bound, whole("file@c.csv", strings.Repeat("x\n", 512<<10+1)), 413},
		{"a field that is no UTF-8", bound, whole(append(files, "reference", "\xff")...), 400},
		{"rows that are no number", bound, whole(append(files, "rows", "two")...), 400},
		{"rows that smuggle a key", bound, whole(append(files, "rows", `2, "campaignId": 8`)...), 400},
		{"rows of another type", bound, whole(append(files, "rows", `"2"`)...), 422},
		{"a wrong time", bound, whole(append(files, "scheduleAt", "tomorrow")...), 422},
	} {
		if a := l.post(northToken, uploadPath, test.kind, strings.NewReader(test.body)); a.status != test.want || a.Detail == "" || a.Title == "" {
			t.Errorf("%s: %d %.300s, want %d", test.what, a.status, a.text, test.want)
		}
	}
	for _, name := range []string{"..", "../x", "a/b", `a\b`, "", ".hidden", "x\x00y", "x\ny", strings.Repeat("n", 201), "README", "x.suppress", "x.part/../y"} {
		if a := l.upload(northToken, append(files, "name", name)...); a.status != 400 || len(a.Errors) != 1 || a.Errors[0].Field != "name" {
			t.Errorf("name %q: %d %s", name, a.status, a.text)
		}
	}
	l.nothingLeft()
	for i, name := range []string{"../../evil.csv", `C:\x\evil.csv`, "/etc/evil.csv", "evil.CSV", ".csv", ".."} {
		a := l.upload(northToken, "layout@l.json", theLayout, "file@"+name, fmt.Sprintf("code,name\n%d,Ada\n", i))
		if a.status != 202 || a.Name != "evil" && a.Name != "upload" {
			t.Errorf("file name %q: %d %s", name, a.status, a.text)
		}
	}
}

// An inbox that is full refuses further uploads, even while the first ones arrive.
func TestFullInbox(t *testing.T) {
	l := newLive(t, "max_drops = 1", "windows = [\"CRON_TZ=UTC 0 0 1 1 *\"]")
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV); a.status != 202 {
		t.Fatal(a.text)
	}
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@d.csv", "code,name\nd,Dan\n"); a.status != 429 {
		t.Errorf("a second drop: %d %s", a.status, a.text)
	}
	if a := l.upload(southToken, "layout@l.json", theLayout, "file@d.csv", "code,name\nd,Dan\n"); a.status != 202 {
		t.Errorf("another partner's: %d %s", a.status, a.text)
	}
	l.nothingLeft()
}

// An upload whose connection breaks leaves nothing, and its room is free again.
func TestCutUpload(t *testing.T) {
	l := newLive(t, "max_drops = 1", "")
	kind, body := form("layout@l.json", theLayout, "file@c.csv", strings.Repeat(theCSV, 10_000))
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.base, "http://"))
	l.check(err)
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", uploadPath, northToken, kind, body.Len())
	l.check(err)
	_, err = conn.Write(body.Bytes()[:body.Len()/2])
	l.check(err)
	pattern := filepath.Join(l.inbox("north"), "accepted", ".campaignd-upload-*", "*")
	l.wait("the upload has begun", func() bool { found, _ := filepath.Glob(pattern); return len(found) > 1 })
	l.check(conn.Close())
	l.wait("the upload is gone", func() bool { found, _ := filepath.Glob(filepath.Dir(pattern)); return len(found) == 0 })
	l.counts(`campaignd_uploads_total{result="cut"} 1`)
	l.nothingLeft()
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV); a.status != 202 {
		t.Errorf("afterwards: %d %s", a.status, a.text)
	}
}

// counts waits until /metrics has the lines.
func (l *live) counts(lines ...string) {
	l.t.Helper()
	for _, line := range lines {
		l.wait(line, func() bool {
			_, text := l.get(operatorToken, "/metrics")
			return strings.Contains(text, "\n"+line+"\n")
		})
	}
}

// A refusal reaches a client that sends its whole body before it looks for an answer.
func TestRefusalOfALargeUploadArrives(t *testing.T) {
	l := newLive(t, "", "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.base, "http://"))
	l.check(err)
	defer conn.Close()
	begin := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.csv\"\r\n\r\n"
	const blocks, block = 64, 1 << 20
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n%s",
		strings.Replace(uploadPath, "/1/", "/99/", 1), northToken, len(begin)+blocks*block, begin)
	l.check(err)
	for range blocks {
		if _, err := conn.Write(make([]byte, block)); err != nil {
			t.Fatalf("the connection was closed before the body was sent: %v", err)
		}
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	l.check(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("got %s, want 404", answer.Status)
	}
}

func (l *live) wait(what string, ok func() bool) {
	l.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// The same key and content gets the same answer, at the same time, later and after a restart;
// other content is refused.
func TestIdempotencyKey(t *testing.T) {
	l := newLive(t, "", "")
	kind, body := form("layout@l.json", theLayout, "file@c.csv", theCSV)
	post := func(token, key string, body []byte) answer {
		return l.post(token, uploadPath, kind, bytes.NewReader(body), "Idempotency-Key", key)
	}
	answers := make([]answer, 8)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = post(northToken, "key-1", body.Bytes()) })
	}
	group.Wait()
	if answers[0].status != 202 {
		t.Fatalf("%d %s", answers[0].status, answers[0].text)
	}
	for i, a := range answers {
		if a.status != 202 || a.text != answers[0].text {
			t.Errorf("request %d: %d %s, want %s", i, a.status, a.text, answers[0].text)
		}
	}
	l.waitDone(answers[0].ID)
	l.stop()
	l.start()
	if a := post(northToken, "key-1", body.Bytes()); a.text != answers[0].text {
		t.Errorf("after a restart: %d %s, want %s", a.status, a.text, answers[0].text)
	}
	other := bytes.ReplaceAll(body.Bytes(), []byte("Ada"), []byte("Eva"))
	if a := post(northToken, "key-1", other); a.status != 422 || a.Code != api.CodeKeyReused {
		t.Errorf("other content: %d %s", a.status, a.text)
	}
	if a := post(southToken, "key-1", body.Bytes()); a.status != 409 {
		t.Errorf("another partner's key is its own: %d %s", a.status, a.text)
	}
	wrong := bytes.ReplaceAll(body.Bytes(), []byte("{{code}}"), []byte("{{kode}}"))
	if one, two := post(northToken, "key-2", wrong), post(northToken, "key-2", wrong); one.status != 422 || two.text != one.text {
		t.Errorf("a refusal is remembered too: %s, then %s", one.text, two.text)
	}
	if all, err := l.Sendings(t.Context(), api.Filter{}); err != nil || len(all) != 3 {
		t.Errorf("%d sendings (%v), want 3", len(all), err)
	}
}

// Fifty clients at once each get the id of their own drop.
func TestFiftyClientsAtOnce(t *testing.T) {
	l := newLive(t, "", "")
	ids := make([]campaign.ID, 50)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			token := northToken
			if i%2 == 1 {
				token = southToken
			}
			a := l.upload(token, "layout@l.json", theLayout, "file@contacts.csv", fmt.Sprintf("code,name\nclient-%d,Ada\n", i))
			if ids[i] = a.ID; a.status != 202 {
				t.Errorf("client %d: %d %s", i, a.status, a.text)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	for i, id := range ids {
		l.waitDone(id)
		inbox := l.inbox([]string{"north", "south"}[i%2])
		text, err := os.ReadFile(filepath.Join(inbox, "done", "contacts."+string(id), "contacts.csv"))
		if err != nil || !strings.Contains(string(text), fmt.Sprintf("client-%d,", i)) {
			t.Errorf("client %d got the drop of another: %q %v", i, text, err)
		}
	}
	l.nothingLeft()
}

// The end of each drop is announced to the partner with a signature, also after a restart.
func TestEndIsAnnounced(t *testing.T) {
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var down atomic.Bool
	events := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		switch {
		case err != nil:
			t.Errorf("the request isn't authentic: %v", err)
		case down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
			events <- "down"
		default:
			var e struct {
				Type string
				Data struct {
					ID       campaign.ID
					Messages api.Messages
				}
			}
			if err := json.Unmarshal(body, &e); err != nil || bytes.Contains(body, []byte("Ada")) {
				t.Errorf("body %s: %v", body, err)
			}
			events <- fmt.Sprint(e.Type, " ", e.Data.ID, " ", e.Data.Messages.Sent)
		}
	}))
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLive(t, fmt.Sprintf("notify_url = %q\nnotify_secret_file = %q", receiver.URL, file), "")
	a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	if got, want := <-events, "sending.completed "+string(a.ID)+" 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	down.Store(true)
	refused := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	if got := <-events; got != "down" {
		t.Errorf("got %q", got)
	}
	l.stop()
	down.Store(false)
	l.start()
	if got, want := <-events, "sending.rejected "+string(refused.Sending)+" 0"; got != want {
		t.Errorf("after a restart: got %q, want %q", got, want)
	}
	l.counts(`campaignd_notices_total{result="delivered"} 1`, `campaignd_notices_total{result="given_up"} 0`)
	l.wait("no notice is left", func() bool { list, err := l.store.Notices(); return err == nil && len(list) == 0 })
}
