package main

import (
	"campaignd/internal/api"
	"campaignd/internal/control"
	"time"

	"github.com/spf13/cobra"
)

func newDashboardCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "dashboard",
		Short: "Print an address of the dashboard that logs in",
		Long: `Prints an address that opens the dashboard in a browser and logs it in. The address
works once, within ten minutes. The session then lasts twelve hours.

The dashboard needs "listen" in the configuration. Scripts use the token instead:
token_file, or http_token in the state folder if there is none.`,
		Example: "  campaignd dashboard",
		Args:    given(0, 0, "it takes no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return answer(env, func(c *control.Client) (api.LoginCode, error) { return c.LoginCode(cmd.Context()) }, func(code api.LoginCode) error {
				return env.printf("%s\nIt logs in once, until %s.\n", code.Address, code.ExpiresAt.Local().Format(time.TimeOnly))
			})
		},
	}
}
