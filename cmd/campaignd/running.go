package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"campaignd/internal/config"
	"campaignd/internal/safeio"
)

// runningDaemon is a note that a daemon leaves in its user's home while it runs, so that
// commands find it from any folder: relative paths of a configuration are relative to the
// folder in which the daemon was started (docs/contract.md 11).
type runningDaemon struct {
	PID    int    `json:"pid"`
	Config string `json:"config"` // absolute
	Dir    string `json:"dir"`    // the working directory
}

// runningFolder returns the folder of the notes, "" if the user has no home.
func (env *environment) runningFolder() string {
	if state := env.getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "campaignd")
	}
	home := env.getenv("HOME")
	if info, err := os.Stat(home); err != nil || !info.IsDir() || !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(home, ".local", "state", "campaignd")
}

// noteRunning leaves the note of this process. remove takes it away. Without a home there is
// none, and commands must name the configuration and run in the daemon's folder.
func (env *environment) noteRunning(configFile string) (remove func(), err error) {
	folder := env.runningFolder()
	if folder == "" {
		return func() {}, nil
	}
	env.running() // removes the notes of daemons that were killed
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find working directory: %w", err)
	}
	d := runningDaemon{PID: os.Getpid(), Config: configFile, Dir: dir}
	if !filepath.IsAbs(configFile) {
		d.Config = filepath.Join(dir, configFile)
	}
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write note: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	path := filepath.Join(folder, fmt.Sprintf("%d.json", d.PID))
	err = safeio.ReplaceFile(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	return func() { _ = os.Remove(path) }, err // a note that stays is ignored once its process is gone
}

// running returns the user's daemons that run, and removes the notes of others.
func (env *environment) running() []runningDaemon {
	folder := env.runningFolder()
	if folder == "" {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil
	}
	var list []runningDaemon
	for _, name := range names {
		var d runningDaemon
		data, err := os.ReadFile(name)
		if err != nil || json.Unmarshal(data, &d) != nil || d.PID <= 0 {
			continue
		}
		if errors.Is(syscall.Kill(d.PID, 0), syscall.ESRCH) {
			_ = os.Remove(name)
			continue
		}
		list = append(list, d)
	}
	return list
}

// findConfig returns the configuration that config.Find finds, or else that of the user's only
// daemon. If that daemon runs in another folder, this process moves there.
func (env *environment) findConfig() (string, error) {
	path, err := config.Find(env.configFlag, env.getenv)
	dir, dirErr := os.Getwd()
	if dirErr != nil {
		return path, err
	}
	var fits []runningDaemon
	for _, d := range env.running() {
		switch {
		case err == nil && d.Dir == dir && samePath(path, d.Config):
			return path, nil
		case err != nil || samePath(path, d.Config):
			fits = append(fits, d)
		}
	}
	switch {
	case len(fits) == 1 && os.Chdir(fits[0].Dir) == nil: // a folder that is gone has no daemon
		env.startedIn = dir
		return fits[0].Config, nil
	case err != nil && len(fits) > 1:
		var files []string
		for _, d := range fits {
			files = append(files, d.Config)
		}
		return "", fmt.Errorf("several daemons run: name one with --config: %s", strings.Join(files, ", "))
	}
	return path, err
}

// path returns a path of the command line, which is relative to where the command was started.
func (env *environment) path(p string) string {
	if env.startedIn == "" || p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(env.startedIn, p)
}

// paths is path for several.
func (env *environment) paths(list []string) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = env.path(p)
	}
	return out
}
