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
			v := thisVersion()
			if env.json {
				return env.printJSON(v)
			}
			return env.printf("%s", v)
		},
	}
}

// String returns the line that "version" and --version print.
func (v versionAnswer) String() string {
	built := ""
	if v.Commit != "" {
		built = fmt.Sprintf("commit %s of %s, ", v.Commit, v.Date)
	}
	return fmt.Sprintf("campaignd %s (%s%s, %s)\n", v.Version, built, v.Go, v.System)
}

// thisVersion describes the running binary.
func thisVersion() versionAnswer {
	return versionAnswer{version, commit, date, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
}
