package main

import (
	"github.com/spf13/cobra"

	"campaignd/internal/control"
)

func newCancelCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:        "cancel SENDING",
		SuggestFor: []string{"delete", "abort"},
		Short:      "End a sending for good",
		Long: `Ends a sending for good. Messages that are not sent yet are never sent, its slots
are free at once, and its folder moves to failed/ with the reports. This can't be
undone. To send the campaign after all, drop its files again.`,
		Example:           "  campaignd cancel 20260314-000042",
		Args:              given(1, 1, "name one sending"),
		ValidArgsFunction: env.completeSending,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeState(cmd.Context(), env, args[0], (*control.Client).Cancel)
		},
	}
}
