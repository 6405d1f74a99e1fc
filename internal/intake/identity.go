package intake

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"campaignd/internal/safeio"
)

// idFile holds the random id by which campaignd knows an inbox. Partners can't write to accepted/.
const idFile = ".inbox-id"

// adoptInbox is the content of idFile that asks the daemon to adopt the folder.
const adoptInbox = "accept"

// ErrNotInbox is returned when the folder at an inbox's path is not the inbox: its disk may not be
// mounted, or it was replaced.
var ErrNotInbox = errors.New("this folder is not the inbox that it was: is its disk mounted? " +
	`If the folder was moved here on purpose, run "campaignd inbox accept"`)

// Present returns nil if the folder at an inbox's path is the inbox (docs/contract.md 2, the inbox
// must be the inbox). It gives an id to an inbox that has none. Otherwise nothing may be created,
// moved or removed in the folder.
func (in *Intake) Present(inbox string) error {
	in.identity.Lock()
	defer in.identity.Unlock()
	path, err := filepath.Abs(inbox)
	if err != nil {
		return err
	}
	known, err := in.store.InboxID(path)
	if err != nil {
		return err
	}
	found, err := readInboxID(inbox)
	switch {
	case err != nil:
		return err
	case known != "" && found == known:
		return nil
	case known != "" && found != adoptInbox:
		return fmt.Errorf("inbox %q: %w", inbox, ErrNotInbox)
	}
	id := found
	if id == "" || id == adoptInbox {
		id = rand.Text()
		if err := writeInboxID(inbox, id); err != nil {
			return err
		}
	}
	return in.store.SetInboxID(path, id)
}

// readInboxID returns the id in a folder, "" if it has none.
func readInboxID(inbox string) (string, error) {
	if info, err := os.Stat(inbox); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", fmt.Errorf("inbox %q is not a folder", inbox)
	}
	text, err := os.ReadFile(filepath.Join(inbox, acceptedFolder, idFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

func writeInboxID(inbox, id string) error {
	if err := makeFolders(inbox); err != nil {
		return err
	}
	return safeio.WriteFile(filepath.Join(inbox, acceptedFolder, idFile), 0o644, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, id)
		return err
	})
}

// AcceptInbox asks the daemon to adopt the folder at an inbox's path, which was moved or replaced on
// purpose. The daemon notices it at its next look.
func AcceptInbox(inbox string) error {
	if info, err := os.Stat(inbox); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%q is not a folder", inbox)
	}
	return writeInboxID(inbox, adoptInbox)
}

// ensureFolders makes accepted/, done/ and failed/ inside the inbox, if it is the inbox.
func (in *Intake) ensureFolders(inbox string) error {
	if err := in.Present(inbox); err != nil {
		return err
	}
	return makeFolders(inbox)
}
