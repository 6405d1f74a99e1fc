package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"campaignd/internal/daemon"
)

// A standby leads within seconds. After this time handover gives up waiting and says so.
const handoverLimit = time.Minute

func newHandoverCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "handover",
		Short: "Let the standby lead",
		Long: `Ends the daemon in order, as a stop does: it finishes and records the messages in
flight within stop_timeout. Then the standby leads at once, and sends what is due. It is
refused while no standby has a complete copy. Use it before an upgrade or a restart of
the hub's machine.`,
		Args: given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, cfg, err := env.clientAndConfig()
			if err != nil {
				return err
			}
			defer client.Close()
			begun, err := client.Handover(cmd.Context())
			if err != nil {
				return err
			}
			began := time.Now()
			ctx, cancel := context.WithTimeout(cmd.Context(), handoverLimit)
			defer cancel()
			host, err := daemon.AwaitLeader(ctx, cfg, env.getenv, begun.Lease)
			if err != nil {
				return fmt.Errorf("the hub on %s has ended, but nobody leads yet: %w", begun.From, err)
			}
			if env.json {
				begun.To = host
				return env.printJSON(begun)
			}
			return env.printf("%s leads now, after %.1f s.\n", host, time.Since(began).Seconds())
		},
	}
}
