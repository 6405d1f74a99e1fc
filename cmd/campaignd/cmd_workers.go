package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/daemon"
)

func newWorkersCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "workers",
		Short: "List the workers that run now",
		Long: `Lists the machines that run "campaignd worker", with their channels and how many
messages they have in flight. It asks the daemon of this machine if one runs, else
NATS: that works on every machine with the table [nats], also while the hub is down,
and needs the credentials of [nats].`,
		Args: given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			if err := needsNATS(cfg); err != nil {
				return err
			}
			workers, err := listWorkers(cmd.Context(), env, cfg)
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(workers)
			}
			if len(workers) == 0 {
				return env.printf("No worker runs.\n")
			}
			env.useZone(cfg)
			g := grid{header: []string{"worker", "version", env.whenTitle("since"), "clock", "channels"}}
			for _, w := range workers {
				g.add(w.ID, w.Version, env.when(w.Since), clockOffset(w.Offset), workerChannels(w))
			}
			return env.printGrid(g)
		},
	}
}

// listWorkers asks the daemon of this machine, or NATS.
func listWorkers(ctx context.Context, env *environment, cfg *config.Config) ([]api.ClusterWorker, error) {
	if client, err := dial(cfg); err == nil {
		defer client.Close()
		if s, err := client.Status(ctx); err == nil && s.Cluster != nil && s.Cluster.Server != "" {
			return s.Cluster.Workers, nil
		}
	}
	return daemon.ListWorkers(ctx, cfg, env.getenv)
}

// clockOffset describes how many seconds a worker's clock is from NATS's.
func clockOffset(seconds float64) string {
	const fine = 0.5 // the renewal's way counts too
	if math.Abs(seconds) < fine {
		return "ok"
	}
	return fmt.Sprintf("%+.1fs", seconds)
}

// workerChannels lists a worker's channels: "1/cloud_api 3 of 16".
func workerChannels(w api.ClusterWorker) string {
	var list []string
	for _, ch := range w.Channels {
		text := fmt.Sprintf("%d/%s %d of %d", ch.ApplicationID, ch.ChannelType, ch.InFlight, ch.Places)
		if ch.Reason != "" {
			text = fmt.Sprintf("%d/%s: %s", ch.ApplicationID, ch.ChannelType, ch.Reason)
		}
		list = append(list, text)
	}
	if w.Stopping {
		list = append(list, "stopping")
	}
	return strings.Join(list, ", ")
}
