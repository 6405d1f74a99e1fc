// Command campaignd is the daemon and the commands that talk to it. This file
// binds it to the process; everything below root.go takes what it needs as an
// argument and ends by returning.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones work on a machine that has no zoneinfo
)

// version, commit and its date are set by the linker (see Makefile and packaging/build.sh).
var (
	version = "dev"
	commit  string
	date    string
)

func main() {
	// The first signal asks for a clean end, the second one finds the default: abort.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer, getenv func(string) string) int {
	env := newEnvironment(in, out, errw, getenv)
	root := newRoot(env)
	root.SetArgs(args)
	return env.end(root.ExecuteContext(ctx))
}
