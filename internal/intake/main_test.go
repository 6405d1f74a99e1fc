package intake

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/filing"
	"campaignd/internal/send/drivers"
	"campaignd/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is an inbox, a store and an Intake whose tasks run in the test's own goroutine,
// by work.
type harness struct {
	t          *testing.T
	dir        string // of everything
	inbox      string
	config     *config.Config
	store      *store.Store
	dispatcher *fakeDispatcher
	in         *Intake
	keeper     *filing.Keeper
	clock      time.Time // what Now says
	log        *logBuffer
	accepted   []campaign.ID
}

const harnessConfig = `
state_dir = %q
campaigns_dir = %q
[[inboxes]]
path = %q
%s
[[applications]]
id = 1
timezone = "Europe/Madrid"
%s
[applications.channels.cloud_api]
driver = "outbox"
path = "var/outbox.jsonl"
[applications.channels.sms]
driver = "outbox"
path = "var/outbox.jsonl"
[[applications]]
id = 2
[applications.channels.cloud_api]
driver = "outbox"
path = "var/outbox.jsonl"
`

// newHarness makes a harness; inbox and application are further lines of its configuration.
func newHarness(t *testing.T, inbox, application string) *harness {
	t.Helper()
	h := &harness{t: t, dir: t.TempDir(), log: &logBuffer{}, clock: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	h.inbox = filepath.Join(h.dir, "inbox")
	state, campaigns := filepath.Join(h.dir, "var"), filepath.Join(h.dir, "campaigns")
	for _, dir := range []string{h.inbox, state, campaigns} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.campaign("7.json", `{"id": 7, "applicationId": 1, "title": "a", "enabled": true, "channelTypes": ["cloud_api"],
		"messageContent": [{"body": "hello {{name}}"}]}`)
	h.campaign("8.json", `{"id": 8, "applicationId": 1, "title": "two", "enabled": true, "channelTypes": ["cloud_api", "sms"],
		"messageContent": [{"body": "one"}, {"body": "two {{name}}"}]}`)
	file := filepath.Join(h.dir, "campaignd.toml")
	h.write(file, fmt.Sprintf(harnessConfig, state, campaigns, h.inbox, inbox, application))
	c, problems := config.Load(file, drivers.All())
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	h.config = c
	h.open()
	t.Cleanup(func() {
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *harness) campaign(name, text string) { h.write(filepath.Join(h.dir, "campaigns", name), text) }

// Files of a valid drop.
const (
	goodCSV     = "phone,first\n34666777888,Ada\n34666555666,Grace\n"
	goodLayout  = `{"contact": {"contactCode": "{{phone}}", "channelType": "cloud_api"}, "customFields": {"name": "{{first}}"}}`
	goodSidecar = `{"applicationId": 1, "campaignId": 7}`
)

// put writes files of a drop; "" leaves one out.
func (h *harness) put(name, csv, layout, sidecar string) {
	h.t.Helper()
	for _, f := range [][2]string{{".csv", csv}, {".layout.json", layout}, {".schedule.json", sidecar}} {
		if f[1] != "" {
			h.write(filepath.Join(h.inbox, name+f[0]), f[1])
		}
	}
}

// drop puts a drop into the inbox, takes it in and returns its newest sending.
func (h *harness) drop(name, csv, layout, sidecar string) *campaign.Sending {
	h.t.Helper()
	h.put(name, csv, layout, sidecar)
	h.in.Ready(h.watchedDrop(name))
	h.work()
	return h.newest(name)
}

// good drops a valid drop.
func (h *harness) good(name string) *campaign.Sending {
	h.t.Helper()
	s := h.drop(name, goodCSV, goodLayout, goodSidecar)
	if s == nil || s.State != campaign.StateScheduled {
		h.t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateScheduled, h.log)
	}
	return s
}

// newest returns the newest sending of that name that is no void claim, or nil.
func (h *harness) newest(name string) *campaign.Sending {
	h.t.Helper()
	for _, s := range h.sendings() {
		if s.Name == name && !s.Void() {
			return s
		}
	}
	return nil
}

func (h *harness) sendings() []*campaign.Sending {
	h.t.Helper()
	all, err := h.store.Sendings(store.Filter{})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// wantParts fails the test unless text contains every part.
func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// fakeDispatcher sets states and sends nothing.
type fakeDispatcher struct {
	store *store.Store
	err   error
	calls []string
}

func (s *fakeDispatcher) set(what string, id campaign.ID, to campaign.State) (campaign.State, error) {
	s.calls = append(s.calls, what+" "+string(id))
	if s.err != nil {
		return "", s.err
	}
	state, _, err := s.store.SetState(id, nil, to, what)
	if to == campaign.StateCanceled && err == nil {
		_, _, err = s.store.Finalize(id, campaign.Canceled)
	}
	return state, err
}

func (s *fakeDispatcher) Pause(_ context.Context, id campaign.ID) (campaign.State, error) {
	return s.set("pause", id, campaign.StatePaused)
}

func (s *fakeDispatcher) Resume(_ context.Context, id campaign.ID) (campaign.State, error) {
	return s.set("resume", id, campaign.StateScheduled)
}

func (s *fakeDispatcher) Reschedule(_ context.Context, _ campaign.ID, change func() error) error {
	return change()
}

func (s *fakeDispatcher) HoldAll(hold func() error) error {
	s.calls = append(s.calls, "hold all")
	return hold()
}

func (s *fakeDispatcher) Cancel(_ context.Context, id campaign.ID) (campaign.State, error) {
	return s.set("cancel", id, campaign.StateCanceled)
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines returns the log lines that contain part.
func (l *logBuffer) lines(part string) []string {
	return slices.DeleteFunc(strings.Split(l.String(), "\n"), func(line string) bool { return !strings.Contains(line, part) })
}
