package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"campaignd/internal/control"
	"campaignd/internal/safeio"
)

func newBackupCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store to a file while the daemon works on",
		Long: `Copies the store, as it is at one moment, to a new file while the daemon works on.
The copy is compared with what the daemon wrote, is on the disk when the command
returns, and holds contacts: only its owner may read it. To restore it, stop the daemon and put it in
the place of campaignd.db; every sending is held then until it is resumed.`,
		Example: "  campaignd backup /backup/campaignd-$(date +%F).db",
		Args:    given(1, 1, "name the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			size, err := backup(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(backupAnswer{args[0], size})
			}
			return env.printf("%s holds a copy of the store, %s.\n", printable(args[0]), bytesText(size))
		},
	}
}

// backupAnswer is what "backup --json" prints.
type backupAnswer struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// backup writes beside the target and gives it its name when it is whole: a
// file of that name is a backup, and one that was there is never touched.
func backup(ctx context.Context, c *control.Client, target string) (size int64, err error) {
	if _, err := os.Lstat(target); err == nil {
		return 0, fmt.Errorf("%q is there already: choose another name", target)
	}
	part, err := os.OpenFile(target+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return 0, fmt.Errorf("%q is there: another backup runs, or one was cut off; then remove it", target+".part")
	}
	if err != nil {
		return 0, fmt.Errorf("make backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	size, err = c.Backup(ctx, part)
	if err == nil {
		err = part.Sync()
	}
	if closeErr := part.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return 0, err
	}
	return size, safeio.Move(part.Name(), target) // never replaces what has come there meanwhile
}
