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
	"campaignd/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an inbox, a store and an Intake whose work is done step by step, in the
// test's own goroutine, by work.
type rig struct {
	t        *testing.T
	dir      string // of everything
	inbox    string
	config   *config.Config
	store    *store.Store
	steering *steering
	in       *Intake
	clock    time.Time // what Now says
	log      *logBuffer
	accepted []campaign.ID
}

const rigConfig = `
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
driver = "null"
[applications.channels.sms]
driver = "null"
[[applications]]
id = 2
[applications.channels.cloud_api]
driver = "null"
`

// newRig makes a rig; inbox and application are more lines of its configuration.
func newRig(t *testing.T, inbox, application string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), log: &logBuffer{}, clock: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	r.inbox = filepath.Join(r.dir, "inbox")
	state, campaigns := filepath.Join(r.dir, "var"), filepath.Join(r.dir, "campaigns")
	for _, dir := range []string{r.inbox, state, campaigns} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.campaign("7.json", `{"id": 7, "applicationId": 1, "title": "a", "enabled": true, "channelTypes": ["cloud_api"],
		"messageContent": [{"body": "hello {{name}}"}]}`)
	r.campaign("8.json", `{"id": 8, "applicationId": 1, "title": "two", "enabled": true, "channelTypes": ["cloud_api", "sms"],
		"messageContent": [{"body": "one"}, {"body": "two {{name}}"}]}`)
	file := filepath.Join(r.dir, "campaignd.toml")
	r.write(file, fmt.Sprintf(rigConfig, state, campaigns, r.inbox, inbox, application))
	c, problems := config.Load(file)
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	r.config = c
	r.open()
	t.Cleanup(func() {
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) campaign(name, text string) { r.write(filepath.Join(r.dir, "campaigns", name), text) }

// Files that are right.
const (
	goodCSV     = "phone,first\n34666777888,Ada\n34666555666,Grace\n"
	goodLayout  = `{"contact": {"contactCode": "{{phone}}", "channelType": "cloud_api"}, "customFields": {"name": "{{first}}"}}`
	goodSidecar = `{"applicationId": 1, "campaignId": 7}`
)

// put writes files of a drop; "" leaves one out.
func (r *rig) put(name, csv, layout, sidecar string) {
	r.t.Helper()
	for _, f := range [][2]string{{".csv", csv}, {".layout.json", layout}, {".schedule.json", sidecar}} {
		if f[1] != "" {
			r.write(filepath.Join(r.inbox, name+f[0]), f[1])
		}
	}
}

// drop puts a drop into the inbox, has it taken in, and returns its newest sending.
func (r *rig) drop(name, csv, layout, sidecar string) *campaign.Sending {
	r.t.Helper()
	r.put(name, csv, layout, sidecar)
	r.in.Ready(r.seen(name))
	r.work()
	return r.newest(name)
}

// good drops what is right.
func (r *rig) good(name string) *campaign.Sending {
	r.t.Helper()
	s := r.drop(name, goodCSV, goodLayout, goodSidecar)
	if s == nil || s.State != campaign.StateScheduled {
		r.t.Fatalf("a good drop became %+v\n%s", s, r.log)
	}
	return s
}

// newest is the newest sending of that name that is no void claim, nil if there is none.
func (r *rig) newest(name string) *campaign.Sending {
	r.t.Helper()
	for _, s := range r.sendings() {
		if s.Name == name && !isVoid(s) {
			return s
		}
	}
	return nil
}

func (r *rig) sendings() []*campaign.Sending {
	r.t.Helper()
	all, err := r.store.Sendings(store.Filter{})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// has fails the test unless text holds every one of parts.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// steering is a dispatcher that sets states and sends nothing.
type steering struct {
	store *store.Store
	err   error
	calls []string
}

func (s *steering) set(what string, id campaign.ID, to campaign.State) (campaign.State, error) {
	s.calls = append(s.calls, what+" "+string(id))
	if s.err != nil {
		return "", s.err
	}
	state, _, err := s.store.SetState(id, nil, to, what)
	if to == campaign.StateCanceled && err == nil {
		_, err = s.store.Finalize(id, campaign.Canceled)
	}
	return state, err
}

func (s *steering) Pause(_ context.Context, id campaign.ID) (campaign.State, error) {
	return s.set("pause", id, campaign.StatePaused)
}

func (s *steering) Resume(_ context.Context, id campaign.ID) (campaign.State, error) {
	return s.set("resume", id, campaign.StateScheduled)
}

func (s *steering) Cancel(_ context.Context, id campaign.ID) (campaign.State, error) {
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

// lines are the log's lines that hold part.
func (l *logBuffer) lines(part string) []string {
	return slices.DeleteFunc(strings.Split(l.String(), "\n"), func(line string) bool { return !strings.Contains(line, part) })
}
