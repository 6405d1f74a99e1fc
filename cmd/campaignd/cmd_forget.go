package main

import (
	"github.com/spf13/cobra"

	"campaignd/internal/api"
	"campaignd/internal/control"
	"campaignd/internal/display"
)

func newForgetCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "forget CONTACT",
		Short: "Remove a contact from the store and the folders",
		Long: `Removes a contact, however it is spelled, from the store and from the files in the
inboxes' folders accepted, done and failed. Its pending messages are not sent. Lines of
files stay, and the cells of the contact become x's. Spreadsheets and archives that had
it are removed. A keyed hash remains, so that nothing is sent to the contact again, also if it was found nowhere.
Backups made earlier still contain it. This can't be undone.`,
		Example: "  campaignd forget +34666777888",
		Args:    given(1, 1, "name one contact"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return answer(env, func(c *control.Client) (api.Forgotten, error) { return c.Forget(cmd.Context(), args[0]) }, func(done api.Forgotten) error {
				if done == (api.Forgotten{}) {
					return env.printf("No sending and no file had this contact. Nothing will be sent to it: a keyed hash of it remains.\n")
				}
				return env.printf("Forgotten. Messages that will not be sent: %s; that may have been delivered: %s. Sendings that had the contact: %s. Files changed or removed: %s.\n",
					display.Number(done.Suppressed), display.Number(done.Unknown), display.Number(done.Sendings), display.Number(done.Files))
			})
		},
	}
}
