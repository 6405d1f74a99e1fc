package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
	"campaignd/test/programs"
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
				switch {
				case e.Name() == "campaigns.txt", folder != "" && e.Name() == ".inbox-id":
				case strings.HasPrefix(e.Name(), "."):
					l.t.Errorf("the hidden %s is left in %s/%s", e.Name(), name, folder)
				case folder == "" && !e.IsDir():
					l.t.Errorf("%s is left in %s", e.Name(), name)
				}
			}
		}
	}
}

// waitDone waits until a sending's folder is in its final place.
func (l *live) waitDone(id campaign.ID) {
	l.t.Helper()
	l.wait(fmt.Sprint(id, " is filed"), func() bool {
		s, err := l.store.Header(id)
		return err == nil && s.Filed
	})
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

func (l *live) wait(what string, ok func() bool) {
	l.t.Helper()
	if !programs.Until(time.Minute, ok) {
		l.t.Fatalf("not within a minute: %s", what)
	}
}
