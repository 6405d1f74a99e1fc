package main

import (
	"runtime"

	"github.com/spf13/cobra"
)

// versionAnswer is what "version --json" prints.
type versionAnswer struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func newVersionCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Example: "  campaignd version",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := versionAnswer{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if env.json {
				return env.printJSON(v)
			}
			return env.printf("campaignd %s (%s, %s)\n", v.Version, v.Go, v.System)
		},
	}
}
