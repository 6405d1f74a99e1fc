package main

import (
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
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			done, err := c.Compact(cmd.Context())
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(done)
			}
			return env.printf("The store shrank from %s to %s. Sending was paused for %.1f s.\n",
				bytesText(done.BytesBefore), bytesText(done.BytesAfter), done.HeldSeconds)
		},
	}
}
