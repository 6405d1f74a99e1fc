package main

import (
	"github.com/spf13/cobra"
)

func newCompactCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Give the store's free space back to the disk",
		Long: `Writes the store anew without its free space while the daemon works on; sending
waits for a moment at the end only. The copy needs room beside the store until it
has taken its place. The daemon does the same by itself when half of the file is free
("status" says how much is), so this is for a disk that is needed now.`,
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
			return env.printf("The store had %s and has %s now. It took %.1f s; for %.0f ms nothing could be written.\n",
				bytesText(done.BytesBefore), bytesText(done.BytesAfter), done.Seconds, 1000*done.HeldSeconds)
		},
	}
}
