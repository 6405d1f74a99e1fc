package main

import (
	"github.com/spf13/cobra"

	"campaignd/internal/control"
)

func newPauseCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "pause SENDING",
		Short: "Stop a sending until it is resumed",
		Long: `Stops a sending until it is resumed. When the command returns, nothing new goes
out; messages that were on their way are counted in the answer.`,
		Example:           "  campaignd pause 42          stop the sending with number 42",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			return steer(cmd.Context(), env, args[0], (*control.Client).Pause)
		},
	}
}
