package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"campaignd/internal/control"
	"campaignd/internal/display"
	"campaignd/internal/safeio"
)

func newBackupCmd(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store to a file while the daemon keeps running",
		Long: `Copies a consistent snapshot of the store to a new file while the daemon keeps running.
The copy is verified and synced to disk before the command returns. It contains contacts,
so only its owner can read it. To restore it, stop the daemon and replace campaignd.db
with the copy. Every sending is then held until you resume it.`,
		Example: "  campaignd backup /backup/campaignd-$(date +%F).db",
		Args:    given(1, 1, "name the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.client()
			if err != nil {
				return err
			}
			defer c.Close()
			size, err := backup(cmd.Context(), c, env.path(args[0]))
			if err != nil {
				return err
			}
			if env.json {
				return env.printJSON(backupAnswer{args[0], size})
			}
			return env.printf("%s is a copy of the store, %s.\n", printable(args[0]), display.Bytes(size))
		},
	}
}

// backupAnswer is the output of "backup --json".
type backupAnswer struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// backup writes to a temporary file next to target and renames it when it is
// complete. A file named target is therefore always a whole backup. An existing
// one is never replaced.
func backup(ctx context.Context, c *control.Client, target string) (size int64, err error) {
	if _, err := os.Lstat(target); err == nil {
		return 0, fmt.Errorf("%q already exists: choose another name", target)
	}
	part, err := os.OpenFile(target+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return 0, fmt.Errorf("%q exists: another backup is running, or one was interrupted; remove the file in that case", target+".part")
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
	return size, safeio.Move(part.Name(), target) // fails if the target has appeared in the meantime
}
