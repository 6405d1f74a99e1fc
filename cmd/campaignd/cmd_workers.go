package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/daemon"
	"campaignd/internal/relay"
)

// listedWorker is one worker of "campaignd workers --json".
type listedWorker struct {
	relay.WorkerRecord
	ClockOffsetSeconds float64 `json:"clockOffsetSeconds"` // of the worker's clock, ahead of NATS
}

func newWorkersCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "workers",
		Short: "List the workers that run now",
		Long: `Lists the machines that run "campaignd worker", with their channels and how many
messages they have in flight. It asks NATS, so that it works on every machine with
the table [nats], and also while the hub is down.`,
		Args: given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			if err := needsNATS(cfg); err != nil {
				return err
			}
			workers, err := daemon.ListWorkers(cmd.Context(), cfg, env.getenv)
			if err != nil {
				return err
			}
			if env.json {
				list := []listedWorker{}
				for _, w := range workers {
					list = append(list, listedWorker{w, w.Offset.Seconds()})
				}
				return env.printJSON(list)
			}
			if len(workers) == 0 {
				return env.printf("No worker runs.\n")
			}
			env.useZone(cfg)
			g := grid{header: []string{"worker", "version", env.whenTitle("since"), "clock", "channels"}}
			for _, w := range workers {
				g.add(w.ID, w.Version, env.when(w.Started), clockOffset(w.Offset), workerChannels(w))
			}
			return env.printGrid(g)
		},
	}
}

// clockOffset describes how far a worker's clock is from NATS's.
func clockOffset(d time.Duration) string {
	const fine = 500 * time.Millisecond // the renewal's way counts too
	if d.Abs() < fine {
		return "ok"
	}
	return fmt.Sprintf("%+.1fs", d.Seconds())
}

// workerChannels lists a worker's channels: "1/cloud_api 3 of 16".
func workerChannels(w relay.WorkerRecord) string {
	var list []string
	for _, ch := range w.Channels {
		text := fmt.Sprintf("%d/%s %d of %d", ch.Application, ch.Name, ch.InFlight, ch.Concurrency)
		if ch.Reason != "" {
			text = fmt.Sprintf("%d/%s: %s", ch.Application, ch.Name, ch.Reason)
		}
		list = append(list, text)
	}
	if w.Stopping {
		list = append(list, "stopping")
	}
	return strings.Join(list, ", ")
}
