package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"campaignd/test/natstest"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain lets scripts run the real main as the command campaignd. It looks
// for goroutines left behind in the tests, not in the commands that they run.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"campaignd": main})
}

type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(natstest.LeftBehind()...); err != nil {
		os.Stderr.WriteString("goroutines left behind: " + err.Error() + "\n")
		return 1
	}
	return 0
}

func TestScripts(t *testing.T) {
	commands := daemonCommands()
	commands["status"] = status
	maps.Copy(commands, packCommands())
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "", // of golden files: look at what changed
		Setup:               setup,
		Cmds:                commands,
	})
}

// status is "status N COMMAND...": the command ends with that exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND...")
	}
	got := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = string(rune('0' + exit.ExitCode()%10))
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
