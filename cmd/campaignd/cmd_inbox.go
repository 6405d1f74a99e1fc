package main

import (
	"fmt"
	"path/filepath"

	"campaignd/internal/folders"

	"github.com/spf13/cobra"
)

func newInboxCmd(env *environment) *cobra.Command {
	return subcommands(&cobra.Command{
		Use:   "inbox",
		Short: "Manage inbox folders",
	}, &cobra.Command{
		Use:   "accept PATH",
		Short: "Adopt a folder as the inbox at its path",
		Long: `Tells the daemon that the folder at PATH is the inbox, although it is not the one
that was there before: it was restored, moved or replaced on purpose. Until then
the daemon takes nothing from the folder and writes nothing to it. PATH is the
path of an inbox in the configuration.`,
		Example: "  campaignd inbox accept /srv/partner/inbox",
		Args:    given(1, 1, "name one inbox by its path"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			for _, in := range cfg.Inboxes {
				if filepath.Clean(in.Path) != filepath.Clean(args[0]) {
					continue
				}
				if err := folders.Accept(in.Path); err != nil {
					return err
				}
				_, err := fmt.Fprintf(env.out, "The daemon adopts %s within seconds; \"campaignd status\" shows it.\n", in.Path)
				return err
			}
			return exitError{exitUsage, fmt.Errorf("%q is not an inbox in the configuration", args[0])}
		},
	})
}
