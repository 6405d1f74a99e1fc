package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/control"
)

// The exit statuses (SPEC 10).
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2 // usage or configuration
	exitWanting = 3 // checked and found wanting
)

// exitError ends a command with a status of its own. Without an err the command
// has said all there is to say.
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

// environment is what the commands share: where they read and write, and the
// flags that all of them have.
type environment struct {
	in     io.Reader
	out    io.Writer
	errw   io.Writer
	getenv func(string) string

	terminal bool // out is a terminal: tables, colour and live progress are welcome
	width    int  // of the terminal in columns, 0 if unknown
	colour   bool // terminal, and neither NO_COLOR nor a dumb one

	configFlag string
	json       bool
	parsed     bool // the command line was understood; set before a command runs
}

func newEnvironment(in io.Reader, out, errw io.Writer, getenv func(string) string) *environment {
	env := &environment{in: in, out: out, errw: errw, getenv: getenv}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		env.terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			env.width = width
		}
	}
	// https://no-color.org: any value that is not empty.
	env.colour = env.terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	return env
}

// end says what went wrong, if something did, and gives the exit status.
func (env *environment) end(err error) int {
	if err == nil {
		return exitDone
	}
	code := exitFailed
	if !env.parsed {
		code = exitUsage // cobra refused the command line
	}
	if e, ok := errors.AsType[exitError](err); ok {
		if e.err == nil {
			return e.code
		}
		code = e.code
	}
	fmt.Fprintf(env.errw, "campaignd: %s\n", printable(err.Error()))
	if e, ok := errors.AsType[*control.Error](err); ok {
		for _, p := range e.Problems {
			fmt.Fprintf(env.errw, "  %s\n", printable(p.String()))
		}
	}
	if !env.parsed && code == exitUsage {
		fmt.Fprintln(env.errw, `"campaignd --help" lists the commands, "campaignd COMMAND --help" explains one.`)
	}
	return code
}

// loadConfig finds and reads the configuration. What is wrong with it goes to
// errw, all of it, and the command ends with exitUsage.
func (env *environment) loadConfig() (*config.Config, error) {
	path, err := config.Find(env.configFlag, env.getenv)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	cfg, problems := config.Load(path)
	if problems.Count > 0 {
		for _, p := range problems.List {
			fmt.Fprintln(env.errw, printable(p.String()))
		}
		return nil, exitError{exitUsage, fmt.Errorf("%s: %s", path, wrong(problems))}
	}
	return cfg, nil
}

func wrong(p campaign.Problems) string {
	if p.Count == 1 {
		return "1 thing is wrong"
	}
	return fmt.Sprintf("%d things are wrong", p.Count)
}

// socketName is the control socket's name in the state folder (SPEC 11).
const socketName = "campaignd.sock"

// client is a connection to the daemon that the configuration means.
func (env *environment) client() (*control.Client, error) {
	cfg, err := env.loadConfig()
	if err != nil {
		return nil, err
	}
	return control.Dial(filepath.Join(cfg.StateDir, socketName))
}

// printable takes out what a terminal would obey: control characters, and marks
// that reorder text. Texts from drops are written by strangers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ', r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0xfeff:
			return '\ufffd'
		}
		return r
	}, s)
}

// usage says that the command line asks for something that can't be had.
func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}
