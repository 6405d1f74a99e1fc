package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/safeio"
)

// LowSpace is the free space of a file system, in bytes, below which doctor and dashboard warn.
const LowSpace = 1 << 30

// Examine checks what can be checked without a daemon: folders, permissions,
// free space, secrets and the clock. It creates a file in each folder that must
// be writable and removes it again; it changes nothing else.
func Examine(cfg *config.Config, getenv func(string) string) []api.Finding {
	var list []api.Finding
	add := func(check string, level api.Level, advice, format string, args ...any) {
		list = append(list, api.Finding{Check: check, Level: level, Message: fmt.Sprintf(format, args...), Advice: advice})
	}
	add("configuration", api.LevelOK, "", "%s is valid", cfg.File)
	state := examineFolder("state folder", cfg.StateDir)
	if _, err := os.Stat(cfg.StateDir); errors.Is(err, fs.ErrNotExist) {
		state.Level, state.Advice = api.LevelWarn, "the first start makes it; if campaignd has run here before, mount its disk"
	}
	list = append(list, state)
	for i := range cfg.Inboxes {
		list = append(list, examineFolder("inbox", cfg.Inboxes[i].Path))
	}
	if entries, err := os.ReadDir(cfg.CampaignsDir); err != nil {
		add("campaigns", api.LevelFail, "create the folder or set campaigns_dir", "%v", err)
	} else {
		add("campaigns", api.LevelOK, "", "%s has %s", cfg.CampaignsDir, display.Amount(len(entries), "file"))
	}
	for _, secret := range cfg.Secrets() {
		if _, err := config.ReadSecret(secret.Ref, getenv); err != nil {
			add(secret.Name(), api.LevelFail, "write the secret there, readable only by the daemon's user", "%v", err)
		} else {
			add(secret.Name(), api.LevelOK, "", "can be read")
		}
	}
	list = append(list, examineClock(time.Now()))
	return list
}

// examineFolder checks that files can be created in a folder and that it has free space.
func examineFolder(check, path string) api.Finding {
	f := api.Finding{Check: check, Level: api.LevelFail}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Message, f.Advice = fmt.Sprintf("%s isn't there", path), "create it: mkdir -p "+path
		return f
	case err != nil:
		f.Message, f.Advice = err.Error(), "give the daemon's user the right to read it"
		return f
	case !info.IsDir():
		f.Message, f.Advice = fmt.Sprintf("%s isn't a folder", path), "move it away and create a folder"
		return f
	}
	probe, err := os.CreateTemp(path, ".campaignd-doctor-*.tmp")
	if err != nil {
		f.Message, f.Advice = fmt.Sprintf("no file can be created in %s: %v", path, errors.Unwrap(err)), "give the daemon's user the right to write there"
		return f
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		f.Message, f.Advice = err.Error(), "remove "+filepath.Base(probe.Name())+" and check the disk"
		return f
	}
	space, err := safeio.FreeSpace(path)
	switch {
	case err != nil:
		f.Level, f.Message = api.LevelWarn, fmt.Sprintf("%s: the free space is unknown: %v", path, err)
	case space < LowSpace:
		f.Level, f.Message = api.LevelWarn, fmt.Sprintf("%s has %s MiB free", path, display.Number(space>>20))
		f.Advice = "free some space: uploads and reports need it, and a new drop waits until its own size plus 64 MiB are free on the store's file system"
	default:
		f.Level, f.Message = api.LevelOK, fmt.Sprintf("%s is writable and has %s MiB free", path, display.Number(space>>20))
	}
	return f
}

// examineClock detects a clock that was never set.
func examineClock(now time.Time) api.Finding {
	if now.Year() < 2026 || now.Year() > 2100 {
		return api.Finding{Check: "clock", Level: api.LevelFail, Message: "the clock says " + now.UTC().Format(time.RFC3339), Advice: "set the clock and keep it synchronized with NTP"}
	}
	return api.Finding{Check: "clock", Level: api.LevelOK, Message: "the clock says " + now.UTC().Format(time.RFC3339)}
}
