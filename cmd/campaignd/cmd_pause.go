package main

import (
	"github.com/spf13/cobra"

	"campaignd/internal/control"
)

func newPauseCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "pause SENDING",
		Short: "Stop a sending until it is resumed",
		Long: `Stops a sending until it is resumed. After the command has returned, no further
message is sent. The answer counts the messages that were already on their way.`,
		Example:           "  campaignd pause 42          stop the sending with number 42",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeState(cmd.Context(), env, args[0], (*control.Client).Pause)
		},
	}
}
