package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"campaignd/internal/config"
	"campaignd/internal/daemon"
)

func newWorkerCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Send for a daemon on another machine",
		Long: `Sends the messages of the channels with send_from = "workers", as the daemon on
another machine (the hub) hands them out over NATS. It needs the table [nats] and
these channels with their secrets; inboxes, campaigns and the store are the hub's.
SIGTERM ends it in order: it takes nothing new, finishes what is in flight within
stop_timeout and gives the rest back. SIGHUP reads the configuration again.`,
		Example: "  campaignd worker --config /etc/campaignd/campaignd.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadOwnConfig()
			if err != nil {
				return err
			}
			if err := needsNATS(cfg); err != nil {
				return err
			}
			log := slog.New(logHandler(env, cfg.Log))
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			return daemon.RunWorker(cmd.Context(), daemon.WorkerOptions{
				Config: cfg, Version: version, Log: log, Getenv: env.getenv, Reloads: hangups, Notify: sdNotify(log),
			})
		},
	}
}

// needsNATS returns an error if the configuration has no table [nats].
func needsNATS(cfg *config.Config) error {
	if cfg.NATS == nil {
		return exitError{exitUsage, fmt.Errorf("%s has no table [nats], so one machine does everything: workers need it on the hub and on their own machines", cfg.File)}
	}
	return nil
}

// sdNotify returns a function that notifies the service manager.
func sdNotify(log *slog.Logger) func(state string) {
	return func(state string) {
		if _, err := sddaemon.SdNotify(false, state); err != nil {
			log.Warn("notify service manager", "err", err)
		}
	}
}
