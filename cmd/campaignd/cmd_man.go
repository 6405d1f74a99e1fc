package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManCmd builds the man pages. Package builds use it.
func newManCmd(env *environment, root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "man FOLDER",
		Short:   "Write the man pages into a folder",
		Example: "  campaignd man dist/man",
		Hidden:  true,
		Args:    given(1, 1, "name the folder to write to"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("make folder: %w", err)
			}
			header := &doc.GenManHeader{Title: "CAMPAIGND", Section: "1", Source: "campaignd " + version, Manual: "campaignd"}
			root.DisableAutoGenTag = true // the same source gives the same pages
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("write man pages: %w", err)
			}
			return env.printf("The man pages are in %s.\n", printable(args[0]))
		},
	}
}
