package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"campaignd/internal/api"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/daemon"
	"campaignd/internal/display"
	"campaignd/internal/send/drivers"
)

// Exit statuses (docs/contract.md 10).
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2 // usage or configuration
	exitProblems = 3 // check found problems
)

// exitError ends a command with a status of its own. A nil err means that the
// command has printed everything already.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// environment holds what all commands share: standard streams, terminal
// properties and global flags.
type environment struct {
	in     io.Reader
	out    io.Writer
	errw   io.Writer
	getenv func(string) string

	drivers []config.Driver // that a channel may name

	terminal bool // out is a terminal: use tables, color and live progress
	width    int  // of the terminal in columns, 0 if unknown
	color    bool // a terminal without NO_COLOR that isn't dumb

	configFlag string
	startedIn  string // working directory of the command, if it has moved to the daemon's
	json       bool
	utc        bool           // --utc: show times in UTC
	wide       bool           // --wide: print every column, however narrow the terminal is
	zone       *time.Location // in which times are shown
	answers    *bufio.Reader  // of in, for questions; nil before the first
	parsed     bool           // the command line is valid; set before a command runs
	printErr   error          // first error of printf
}

func newEnvironment(in io.Reader, out, errw io.Writer, getenv func(string) string) *environment {
	env := &environment{in: in, out: out, errw: errw, getenv: getenv, zone: time.UTC, drivers: drivers.All()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		env.terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			env.width = width
		}
	}
	// https://no-color.org: any value that is not empty.
	env.color = env.terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	return env
}

// end prints err, if any, and returns the exit status.
func (env *environment) end(err error) int {
	if env.printErr != nil {
		err = env.printErr
	}
	if err == nil {
		return exitDone
	}
	code := exitFailed
	if !env.parsed {
		code = exitUsage // cobra rejected the command line
	}
	if e, ok := errors.AsType[exitError](err); ok {
		if e.err == nil {
			return e.code
		}
		code = e.code
	}
	fmt.Fprintf(env.errw, "campaignd: %s\n", printable(err.Error()))
	if e, ok := errors.AsType[*api.Error](err); ok {
		for _, p := range e.Problems {
			fmt.Fprintf(env.errw, "  %s\n", printable(p.String()))
		}
	}
	if !env.parsed && code == exitUsage {
		fmt.Fprintln(env.errw, `"campaignd --help" lists the commands, "campaignd COMMAND --help" explains one.`)
	}
	return code
}

// loadConfig finds and reads the configuration. It prints every error of the file
// to errw and returns an error with exitUsage.
func (env *environment) loadConfig() (*config.Config, error) {
	path, err := env.findConfig()
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return env.loadConfigFrom(path)
}

// loadOwnConfig is loadConfig for a process that doesn't take the configuration of a running daemon.
func (env *environment) loadOwnConfig() (*config.Config, error) {
	path, err := config.Find(env.configFlag, env.getenv)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return env.loadConfigFrom(path)
}

// loadConfigFrom is loadConfig for the file at path.
func (env *environment) loadConfigFrom(path string) (*config.Config, error) {
	cfg, problems := config.Load(path, env.drivers)
	if problems.Count > 0 {
		for _, p := range problems.List {
			fmt.Fprintln(env.errw, printable(p.String()))
		}
		return nil, exitError{exitUsage, fmt.Errorf("%s: %s", path, display.Amount(problems.Count, "error"))}
	}
	return cfg, nil
}

// checker returns what checks drops by the configuration. Its channels send nothing.
func (env *environment) checker(cfg *config.Config) (*check.Checker, error) {
	drivers, err := daemon.OpenDrivers(cfg, env.getenv)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return &check.Checker{Config: cfg, Campaigns: check.NewCampaigns(cfg.CampaignsDir), Channels: drivers.Of}, nil
}

// client connects to the daemon that uses the configuration's state folder.
func (env *environment) client() (*control.Client, error) {
	client, _, err := env.clientAndConfig()
	return client, err
}

// answer prints what the daemon answers: as JSON, or by text.
func answer[T any](env *environment, ask func(*control.Client) (T, error), text func(T) error) error {
	c, err := env.client()
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := ask(c)
	if err != nil {
		return err
	}
	if env.json {
		return env.printJSON(got)
	}
	return text(got)
}

// clientAndConfig is client, for commands that need the configuration as well. Times are
// shown in the time zone of all applications until the command chooses another.
func (env *environment) clientAndConfig() (*control.Client, *config.Config, error) {
	cfg, err := env.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	env.useZone(cfg)
	client, err := dial(cfg)
	return client, cfg, err
}

// dial connects to the daemon that uses the configuration's state folder.
func dial(cfg *config.Config) (*control.Client, error) {
	return control.Dial(control.SocketPath(cfg.StateDir))
}

// printable replaces control characters and marks that reorder text. Texts from
// drops are untrusted, and a terminal would obey them.
func printable(s string) string { return display.Text(s) }

// usage returns an error for an invalid command line.
func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}
