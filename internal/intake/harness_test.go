package intake

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/filing"
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/send"
	"campaignd/internal/send/null"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// open opens the store and makes the Intake.
func (h *harness) open() {
	h.t.Helper()
	st, err := store.Open(filepath.Join(h.config.StateDir, "campaignd.db"), store.Options{InitialMmapSize: 1 << 20, NoSync: true})
	if err != nil {
		h.t.Fatal(err)
	}
	h.store = st
	h.dispatcher = &fakeDispatcher{store: st}
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	inForce := func() *config.Config { return h.in.Checker().Config }
	inboxes := folders.New(st, inForce, log)
	h.keeper = filing.New(filing.Options{Store: st, Inboxes: inboxes, Config: inForce, Filed: func(id campaign.ID) { h.in.Filed(id) }, Log: log,
		Now: func() time.Time { return h.clock }})
	h.in = New(Options{
		Store: st, Inboxes: inboxes, Keeper: h.keeper, StateDir: h.config.StateDir, Checker: h.checker(), Dispatcher: h.dispatcher,
		Accepted: func(id campaign.ID) { h.accepted = append(h.accepted, id) },
		Log:      log,
		Now:      func() time.Time { return h.clock },
	})
}

func (h *harness) checker() *check.Checker {
	drivers := map[string]send.Channel{"cloud_api": null.New(1), "sms": null.New(1)}
	return &check.Checker{Config: h.config, TempDir: h.config.StateDir, Campaigns: check.NewCampaigns(h.config.CampaignsDir),
		Channels: func(int64) map[string]send.Channel { return drivers }}
}

// crash ends the process and starts the next one, up to Recover.
func (h *harness) crash() {
	h.t.Helper()
	if err := h.store.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.open()
	if err := h.in.Recover(); err != nil {
		h.t.Fatal(err)
	}
}

// work does all queued tasks and then updates the folders.
func (h *harness) work() {
	h.t.Helper()
	for range 100 {
		busy := false
		for _, q := range []*queue[task]{h.in.queue.small, h.in.queue.large} {
			if do, done, ok := q.pop(); ok {
				busy = true
				if err := do(h.t.Context()); err != nil {
					h.in.log.Error("task", "err", err)
				}
				done()
			}
		}
		if !busy {
			break
		}
	}
	h.updateFolders()
}

func (h *harness) updateFolders() {
	h.t.Helper()
	stopped, stop := context.WithCancel(h.t.Context())
	stop()
	if err := h.keeper.Run(stopped); err != nil { // writes what is due, and ends
		h.t.Error(err)
	}
}

// retryAll does what retry does after a while.
func (h *harness) retryAll() {
	h.t.Helper()
	h.clock = h.clock.Add(retryInterval)
	h.in.waits.forgetGone()
	for _, s := range h.in.drops.takeRetries() {
		h.in.resume(s)
	}
	h.work()
}

func (h *harness) write(path, text string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// watchedDrop returns a drop as the watcher hands it over, quiet since now.
func (h *harness) watchedDrop(name string) watch.Drop {
	h.t.Helper()
	d := watch.Drop{Inbox: h.inbox, Name: name, FirstSeen: h.clock, QuietSince: h.clock}
	for _, one := range []struct {
		ending string
		file   **watch.File
	}{{".csv", &d.CSV}, {".layout.json", &d.Layout}, {".schedule.json", &d.Sidecar}} {
		info, err := os.Lstat(filepath.Join(h.inbox, name+one.ending))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			h.t.Fatal(err)
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

// watchedFile returns a file of the inbox as the watcher hands it over.
func (h *harness) watchedFile(name string) *watch.File {
	h.t.Helper()
	info, err := os.Lstat(filepath.Join(h.inbox, name))
	if err != nil {
		h.t.Fatal(err)
	}
	return &watch.File{Name: name, ID: safeio.FileID(info)}
}

// sendAll records every message of a sending as sent, and files its folder.
func (h *harness) sendAll(id campaign.ID) {
	h.t.Helper()
	h.recordAll(id)
	h.keeper.Changed(id)
	h.updateFolders()
}

// recordAll records every message of a sending as sent.
func (h *harness) recordAll(id campaign.ID) {
	h.t.Helper()
	s, _, _, err := h.store.Load(id)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, outcome := range []campaign.Outcome{campaign.InFlight, campaign.Sent} {
		var list []campaign.Entry
		for row := range s.Rows.Accepted {
			for m := range s.Messages {
				list = append(list, campaign.Entry{Sending: id, Row: row, Message: uint8(m + 1), Outcome: outcome, Attempts: 1, At: h.clock})
			}
		}
		if err := h.store.Commit(h.t.Context(), list); err != nil {
			h.t.Fatal(err)
		}
	}
	if done, err := h.store.Finish(id); err != nil || !done {
		h.t.Fatal(done, err)
	}
}

// tree returns every file below a folder of the inbox with its content; folders end in a slash.
func (h *harness) tree(below string) map[string]string {
	h.t.Helper()
	files := map[string]string{}
	root := filepath.Join(h.inbox, below)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root || filepath.Base(path) == folders.IDFile {
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
		h.t.Fatal(err)
	}
	return files
}

// names lists a folder of the inbox.
func (h *harness) names(below string) []string {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.inbox, below))
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != folders.IDFile {
			names = append(names, e.Name())
		}
	}
	return names
}

// report reads the report.txt of a finished sending.
func (h *harness) report(s *campaign.Sending) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(folders.Final(s), "report.txt"))
	if err != nil {
		h.t.Fatalf("%v\n%s", err, h.log)
	}
	return string(text)
}

// verifyStore fails the test if the store's counters are inconsistent.
func (h *harness) verifyStore() {
	h.t.Helper()
	if wrong := h.store.Verify(true); len(wrong) > 0 {
		h.t.Errorf("the store: %s", strings.Join(wrong, "\n"))
	}
}
