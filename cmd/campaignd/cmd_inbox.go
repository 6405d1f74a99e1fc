package main

import (
	"fmt"

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
path of an inbox in the configuration, or the last part of it.`,
		Example: "  campaignd inbox accept /srv/partner/inbox",
		Args:    given(1, 1, "name one inbox by its path"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := env.loadConfig()
			if err != nil {
				return err
			}
			in, err := env.namedInbox(cfg, args[0])
			if err != nil {
				return err
			}
			if err := folders.Accept(in.Path); err != nil {
				return err
			}
			if env.json {
				return env.printJSON(map[string]string{"inbox": in.Path})
			}
			_, err = fmt.Fprintf(env.out, "The daemon adopts %s within seconds; \"campaignd status\" shows it.\n", in.Path)
			return err
		},
	})
}
