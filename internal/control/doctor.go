package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/safeio"
)

// lowSpace is when a file system has so little room that drops should wait.
const lowSpace = 256 << 20

// Examine looks at what can be seen without a daemon: folders, permissions,
// free space, secrets and the clock. It makes a file in each folder it has to
// write to and removes it again; nothing else is changed.
func Examine(cfg *config.Config, getenv func(string) string) []Finding {
	var list []Finding
	add := func(check string, level Level, advice, format string, args ...any) {
		list = append(list, Finding{Check: check, Level: level, Message: fmt.Sprintf(format, args...), Advice: advice})
	}
	add("configuration", LevelOK, "", "%s is good", cfg.File)
	list = append(list, examineFolder("state folder", cfg.StateDir))
	for i := range cfg.Inboxes {
		list = append(list, examineFolder("inbox", cfg.Inboxes[i].Path))
	}
	if entries, err := os.ReadDir(cfg.CampaignsDir); err != nil {
		add("campaigns", LevelFail, "make the folder, or set campaigns_dir", "%v", err)
	} else {
		add("campaigns", LevelOK, "", "%s has %d files", cfg.CampaignsDir, len(entries))
	}
	for _, secret := range secrets(cfg) {
		if _, err := config.ReadSecret(secret.ref, getenv); err != nil {
			add(secret.name, LevelFail, "write the secret there, readable by the daemon's user alone", "%v", err)
		} else {
			add(secret.name, LevelOK, "", "can be read")
		}
	}
	list = append(list, examineClock(time.Now()))
	return list
}

// examineFolder finds out whether files can be made in a folder, and how much room there is.
func examineFolder(check, path string) Finding {
	f := Finding{Check: check, Level: LevelFail}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Message, f.Advice = fmt.Sprintf("%s isn't there", path), "make it: mkdir -p "+path
		return f
	case err != nil:
		f.Message, f.Advice = err.Error(), "let the daemon's user look at it"
		return f
	case !info.IsDir():
		f.Message, f.Advice = fmt.Sprintf("%s is no folder", path), "move it away and make a folder"
		return f
	}
	probe, err := os.CreateTemp(path, ".campaignd-doctor-*.tmp")
	if err != nil {
		f.Message, f.Advice = fmt.Sprintf("no file can be made in %s: %v", path, errors.Unwrap(err)), "give the daemon's user the right to write there"
		return f
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		f.Message, f.Advice = err.Error(), "remove "+filepath.Base(probe.Name())+" and look at the disk"
		return f
	}
	space, err := safeio.FreeSpace(path)
	switch {
	case err != nil:
		f.Level, f.Message = LevelWarn, fmt.Sprintf("%s: the free space can't be told: %v", path, err)
	case space < lowSpace:
		f.Level, f.Message = LevelFail, fmt.Sprintf("%s has %d MiB free", path, space>>20)
		f.Advice = "make room: uploads and reports need it, and where the store lies a new drop waits until its own size and 64 MiB more are free"
	default:
		f.Level, f.Message = LevelOK, fmt.Sprintf("%s can be written to and has %d MiB free", path, space>>20)
	}
	return f
}

// examineClock tells a clock that was never set.
func examineClock(now time.Time) Finding {
	if now.Year() < 2026 || now.Year() > 2100 {
		return Finding{Check: "clock", Level: LevelFail, Message: "the clock says " + now.UTC().Format(time.RFC3339), Advice: "set the clock, and keep it with NTP"}
	}
	return Finding{Check: "clock", Level: LevelOK, Message: "the clock says " + now.UTC().Format(time.RFC3339)}
}

type secret struct{ name, ref string }

// secrets are the references to secrets that a configuration holds.
func secrets(cfg *config.Config) []secret {
	var list []secret
	add := func(name, ref string) {
		if ref != "" {
			list = append(list, secret{name, ref})
		}
	}
	add("token_file", cfg.TokenFile)
	for _, a := range cfg.Applications {
		for name, ch := range a.Channels {
			at := fmt.Sprintf("channel %s of application %d: ", name, a.ID)
			add(at+"secret_file", ch.SecretFile)
			add(at+"token_file", ch.TokenFile)
			add(at+"password_file", ch.PasswordFile)
		}
	}
	return list
}
