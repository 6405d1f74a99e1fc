package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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
	"campaignd/internal/safeio"
	"campaignd/internal/send"
	"campaignd/internal/send/null"
	"campaignd/internal/store"
	"campaignd/internal/watch"
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

// open opens the store and makes the Intake.
func (r *rig) open() {
	r.t.Helper()
	st, err := store.Open(filepath.Join(r.config.StateDir, "campaignd.db"), store.Options{InitialMmapSize: 1 << 20})
	if err != nil {
		r.t.Fatal(err)
	}
	r.store = st
	r.steering = &steering{store: st}
	r.in = New(Options{
		Store: st, StateDir: r.config.StateDir, Checker: r.checker(), Steering: r.steering,
		Accepted: func(id campaign.ID) { r.accepted = append(r.accepted, id) },
		Log:      slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:      func() time.Time { return r.clock },
	})
}

func (r *rig) checker() *Checker {
	drivers := map[string]send.Channel{"cloud_api": null.New(1), "sms": null.New(1)}
	return &Checker{Config: r.config, Campaigns: NewCampaigns(r.config.CampaignsDir),
		Channels: func(int64) map[string]send.Channel { return drivers }}
}

// crash is the end of the process and the next start, up to Recover.
func (r *rig) crash() {
	r.t.Helper()
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
	if err := r.in.Recover(); err != nil {
		r.t.Fatal(err)
	}
}

// work does all that is queued, and then the clerk's work.
func (r *rig) work() {
	r.t.Helper()
	for range 100 {
		busy := false
		for _, q := range []*queue[task]{r.in.small, r.in.large} {
			if do, done, ok := q.pop(); ok {
				busy = true
				if err := do(r.t.Context()); err != nil {
					r.in.log.Error("task", "err", err)
				}
				done()
			}
		}
		if !busy {
			break
		}
	}
	r.clerk()
}

func (r *rig) clerk() {
	r.in.clerk.quick.lookAll()
	r.in.clerk.slow.lookAll()
}

// again is what retry does after a while.
func (r *rig) again() {
	r.t.Helper()
	r.clock = r.clock.Add(retryStuck)
	r.in.forget()
	for _, s := range r.in.claims.rested() {
		r.in.resume(s)
	}
	r.work()
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
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

// seen is a drop as the watcher would hand it over, quiet since now.
func (r *rig) seen(name string) watch.Drop {
	r.t.Helper()
	d := watch.Drop{Inbox: r.inbox, Name: name, FirstSeen: r.clock, QuietSince: r.clock}
	for _, one := range []struct {
		ending string
		file   **watch.File
	}{{".csv", &d.CSV}, {".layout.json", &d.Layout}, {".schedule.json", &d.Sidecar}} {
		info, err := os.Lstat(filepath.Join(r.inbox, name+one.ending))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			r.t.Fatal(err)
		}
		f := watch.File{Name: name + one.ending, ID: safeio.FileID(info)}
		if err := (safeio.Stat{Mode: info.Mode(), Links: 1}).Check(); err != nil {
			d.Others = append(d.Others, f)
			continue
		}
		*one.file = &f
	}
	return d
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

// sendAll has every message of a sending sent.
func (r *rig) sendAll(id campaign.ID) {
	r.t.Helper()
	s, _, _, err := r.store.Load(id)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, outcome := range []campaign.Outcome{campaign.InFlight, campaign.Sent} {
		var list []campaign.Entry
		for row := range s.Rows.Accepted {
			for m := range s.Messages {
				list = append(list, campaign.Entry{Sending: id, Row: row, Message: uint8(m + 1), Outcome: outcome, Attempts: 1, At: r.clock})
			}
		}
		if err := r.store.Commit(r.t.Context(), list); err != nil {
			r.t.Fatal(err)
		}
	}
	if done, err := r.store.Finish(id); err != nil || !done {
		r.t.Fatal(done, err)
	}
	r.in.Changed(id)
	r.clerk()
}

// tree is every file below a folder of the inbox with its content, folders with a slash.
func (r *rig) tree(below string) map[string]string {
	r.t.Helper()
	files := map[string]string{}
	root := filepath.Join(r.inbox, below)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if !e.Type().IsRegular() {
			if e.IsDir() {
				rel += "/"
			}
			files[rel] = ""
			return nil
		}
		text, err := os.ReadFile(path)
		files[rel] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Fatal(err)
	}
	return files
}

// names are the names of what lies directly in a folder of the inbox.
func (r *rig) names(below string) []string {
	r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.inbox, below))
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// report is the report.txt of a sending that has ended.
func (r *rig) report(s *campaign.Sending) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(finalFolder(s), "report.txt"))
	if err != nil {
		r.t.Fatalf("%v\n%s", err, r.log)
	}
	return string(text)
}

// balanced fails the test if the store's books don't balance.
func (r *rig) balanced() {
	r.t.Helper()
	if wrong := r.store.Verify(true); len(wrong) > 0 {
		r.t.Errorf("the store: %s", strings.Join(wrong, "\n"))
	}
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
		_, err = s.store.CloseOut(id, campaign.Canceled)
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
