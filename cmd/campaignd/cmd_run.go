package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"campaignd/internal/config"
	"campaignd/internal/daemon"
	"campaignd/internal/display"
)

func newRunCmd(env *environment) *cobra.Command {
	var standby bool
	cmd := &cobra.Command{
		Use:        "run",
		SuggestFor: []string{"start", "serve", "daemon"},
		Short:      "Run the daemon",
		Long: `Runs the daemon until it receives SIGTERM or SIGINT. It then takes nothing new,
finishes and records the messages in flight within stop_timeout, and exits. A second
signal aborts it; the next start repairs the state. SIGHUP reloads the configuration;
an invalid file is refused and the old configuration stays in effect.

With --standby and the table [standby] it follows the hub on another machine instead,
and takes over when that is gone. Exit status 2 also means that another hub runs, or
that this machine's store isn't the newest.`,
		Example: "  campaignd run --config /etc/campaignd/campaignd.toml",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadOwnConfig()
			if err != nil {
				return err
			}
			if len(cfg.Inboxes) == 0 {
				return exitError{exitUsage, fmt.Errorf("%s has no inbox: the daemon needs one; a machine without inboxes can be a worker", cfg.File)}
			}
			return runDaemon(cmd.Context(), env, cfg, standby)
		},
	}
	cmd.Flags().BoolVar(&standby, "standby", false, "follow the hub on another machine and take over when it is gone")
	return cmd
}

func runDaemon(ctx context.Context, env *environment, cfg *config.Config, standby bool) error {
	log := slog.New(logHandler(env, cfg.Log))
	remove, err := env.noteRunning(cfg.File)
	if err != nil {
		log.Debug("commands find this daemon only from its folder", "err", err)
	} else {
		defer remove()
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	err = daemon.Run(ctx, daemon.Options{
		Config: cfg, Version: version, Log: log, Getenv: env.getenv, Notify: sdNotify(log), Standby: standby, Reloads: hangups,
	})
	if errors.Is(err, daemon.ErrRefused) {
		return exitError{exitUsage, err}
	}
	return err
}

// visible escapes what isn't visible in the values of a log line: names in them come from outside.
func visible(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(display.Text(v))
	case error:
		a.Value = slog.StringValue(display.Text(v.Error()))
	}
	return a
}

// logHandler returns a handler for log.format: colored text on a terminal, plain text or JSON lines elsewhere.
func logHandler(env *environment, c config.Log) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: visible}
	f, isFile := env.errw.(*os.File)
	terminal := isFile && term.IsTerminal(int(f.Fd()))
	switch {
	case c.Format == "json" || c.Format == "auto" && !terminal:
		return slog.NewJSONHandler(env.errw, options)
	case terminal:
		return tint.NewTextHandler(env.errw, &tint.Options{Level: level, ReplaceAttr: visible, NoColor: env.getenv("NO_COLOR") != ""})
	default:
		return slog.NewTextHandler(env.errw, options)
	}
}
