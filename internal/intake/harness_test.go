package intake

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
	"campaignd/internal/send"
	"campaignd/internal/send/null"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// open opens the store and makes the Intake.
func (r *rig) open() {
	r.t.Helper()
	st, err := store.Open(filepath.Join(r.config.StateDir, "campaignd.db"), store.Options{InitialMmapSize: 1 << 20, NoSync: true})
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
		if err := (safeio.Stat{Mode: info.Mode(), Links: uint64(info.Sys().(*syscall.Stat_t).Nlink)}).Check(); err != nil {
			d.Others = append(d.Others, f)
			continue
		}
		*one.file = &f
	}
	return d
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
