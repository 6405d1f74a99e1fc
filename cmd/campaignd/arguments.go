package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"campaignd/internal/api"
)

// given accepts between least and most arguments. Its error says in words which ones are expected.
func given(least, most int, words string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return fmt.Errorf("%s: %s (see %q)", cmd.Name(), words, cmd.CommandPath()+" --help")
		}
		return nil
	}
}

// completeSending completes the ids of recent sendings, each with its name. It
// offers nothing when no daemon is running.
func (env *environment) completeSending(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := env.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.Close()
	const recent = 50
	found, err := c.Sendings(cmd.Context(), api.Filter{Limit: recent})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offers []cobra.Completion
	for _, s := range found {
		offers = append(offers, cobra.CompletionWithDesc(string(s.ID), printable(fmt.Sprintf("%s, %s", s.Name, s.State))))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
