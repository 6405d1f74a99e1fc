package main

import (
	"github.com/spf13/cobra"

	"campaignd/internal/control"
)

func newCancelCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel SENDING",
		Short: "End a sending for good",
		Long: `Ends a sending for good: what is not sent yet never will be, its slots are free
at once, and its folder goes to failed/ with the reports. This can't be undone;
drop the files again to send them after all.`,
		Example:           "  campaignd cancel 20260314-000042",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			return steer(cmd.Context(), env, args[0], (*control.Client).Cancel)
		},
	}
}
