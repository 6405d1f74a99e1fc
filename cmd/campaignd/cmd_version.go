package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// versionAnswer holds the output of "version --json".
type versionAnswer struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"` // of the commit, RFC 3339
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
			v := versionAnswer{version, commit, date, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if env.json {
				return env.printJSON(v)
			}
			built := ""
			if v.Commit != "" {
				built = fmt.Sprintf("commit %s of %s, ", v.Commit, v.Date)
			}
			return env.printf("campaignd %s (%s%s, %s)\n", v.Version, built, v.Go, v.System)
		},
	}
}
