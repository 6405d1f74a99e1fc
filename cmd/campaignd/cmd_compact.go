package main

import (
	"campaignd/internal/api"
	"campaignd/internal/control"
	"campaignd/internal/display"

	"github.com/spf13/cobra"
)

func newCompactCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Return the store's free space to the disk",
		Long: `Rewrites the store without its free space while the daemon keeps running. Sending and
accepting pause meanwhile, about a second for each 100 MB of data. The disk must hold
both the store and its copy until the copy replaces it. The daemon compacts the store by
itself when half of the file is free ("status" shows how much) and nothing is due soon,
so use this command only when you need the space now.`,
		Example: "  campaignd compact",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return answer(env, func(c *control.Client) (api.Compacted, error) { return c.Compact(cmd.Context()) }, func(done api.Compacted) error {
				return env.printf("The store shrank from %s to %s. Sending was paused for %.1f s.\n",
					display.Bytes(done.BytesBefore), display.Bytes(done.BytesAfter), done.HeldSeconds)
			})
		},
	}
}
