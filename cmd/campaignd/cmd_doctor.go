package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

func newDoctorCmd(env *environment) *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Diagnose problems and suggest fixes",
		Long: `Checks the configuration, the folders and their permissions, free space, the clock,
the channels and the store, and says how to fix each problem. Without a running
daemon it checks less. Exit status 3: it found problems.`,
		Example: "  campaignd doctor            a quick check\n  campaignd doctor --deep     read the whole store too",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			env.useZone(cfg)
			findings, err := examine(cmd.Context(), env, cfg, deep)
			if err != nil {
				return err
			}
			printFindings(env, findings)
			if slices.ContainsFunc(findings, func(f api.Finding) bool { return f.Level == api.LevelFail }) {
				return exitError{code: exitProblems}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "read the whole store and verify its counters")
	return cmd
}

// examine asks the daemon for its findings, or checks locally if none is running.
func examine(ctx context.Context, env *environment, cfg *config.Config, deep bool) ([]api.Finding, error) {
	c, err := dial(cfg)
	if err != nil {
		advice := "start it: campaignd run"
		if !errors.Is(err, control.ErrNoDaemon) {
			advice = "see who can use it: ls -l " + control.SocketPath(cfg.StateDir)
		}
		return append(control.Examine(cfg, env.getenv), api.Finding{
			Check: "daemon", Level: api.LevelFail, Message: err.Error(), Advice: advice,
		}), nil
	}
	defer c.Close()
	return c.Doctor(ctx, deep)
}

func printFindings(env *environment, findings []api.Finding) error {
	if env.json {
		return env.printJSON(findings)
	}
	g := grid{header: []string{"check", "result", "found"}, wrap: 3}
	var todo []string
	for _, f := range findings {
		g.add(f.Check, string(f.Level), env.reasonText(f.Message, f.Since, "next try at", f.NextTryAt))
		if f.Level != api.LevelOK && f.Advice != "" {
			todo = append(todo, printable("  "+f.Check+": "+f.Advice))
		}
	}
	env.printGrid(g)
	end := []string{"", problemsText(findings)}
	if len(todo) > 0 {
		end = append(append([]string{"", env.bold("What to do")}, todo...), end...)
	}
	return env.lines(end)
}

// problemsText counts the failures and warnings.
func problemsText(findings []api.Finding) string {
	failures, warnings := 0, 0
	for _, f := range findings {
		switch f.Level {
		case api.LevelFail:
			failures++
		case api.LevelWarn:
			warnings++
		}
	}
	text := "no problems"
	if failures > 0 {
		text = display.Amount(failures, "problem")
	}
	if warnings > 0 {
		text = display.Amount(warnings, "warning") + ", " + text
	}
	return text
}
