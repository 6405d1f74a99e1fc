package intake

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
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
	root, err := in.openInbox(inbox)
	if err != nil {
		return err
	}
	return root.Close()
}

// openInbox opens the folder at an inbox's path if it is the inbox, like Present. What is done
// through the root is done in the inbox, even if its disk is unmounted meanwhile.
func (in *Intake) openInbox(inbox string) (*os.Root, error) {
	in.identity.Lock()
	defer in.identity.Unlock()
	root, err := os.OpenRoot(inbox)
	if err == nil {
		if err = in.identify(root, inbox); err != nil {
			err = errors.Join(err, root.Close())
		}
	}
	if errors.Is(err, ErrNotInbox) || errors.Is(err, fs.ErrNotExist) {
		err = awayError{err}
	}
	in.logPresence(inbox, err)
	if err != nil {
		return nil, err
	}
	return root, nil
}

// awayError is an error because an inbox isn't there. It is logged once for all that waits for the inbox.
type awayError struct{ error }

func (e awayError) Unwrap() error { return e.error }

func isAway(err error) bool {
	_, away := errors.AsType[awayError](err)
	return away
}

// identify compares the id in an opened folder with the one in the store.
func (in *Intake) identify(root *os.Root, inbox string) error {
	path, err := filepath.Abs(inbox)
	if err != nil {
		return err
	}
	known, err := in.store.InboxID(path)
	if err != nil {
		return err
	}
	found, err := readInboxID(root)
	switch {
	case err != nil:
		return err
	case known != "" && found == known:
		return nil
	case known != "" && found != adoptInbox:
		return fmt.Errorf("inbox %q: %w", inbox, ErrNotInbox)
	case known == "" && in.inbox(inbox) == nil:
		return nil // of an older release, and no longer configured
	case known == "" && found == "" && in.lost(root, inbox):
		return fmt.Errorf("inbox %q: %w", inbox, ErrNotInbox)
	}
	id := found
	if id == "" || id == adoptInbox {
		id = rand.Text()
		if err := writeInboxID(root, id); err != nil {
			return err
		}
	}
	return in.store.SetInboxID(path, id)
}

// lost reports whether a folder without an id lacks accepted/ although drops were taken from there,
// by a release that gave no ids.
func (in *Intake) lost(root *os.Root, inbox string) bool {
	if _, err := root.Lstat(acceptedFolder); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	newest, err := in.store.Sendings(store.Filter{Limit: earlierLook})
	return err == nil && slices.ContainsFunc(newest, func(s *campaign.Sending) bool { return filepath.Clean(s.Inbox) == filepath.Clean(inbox) && !IsVoid(s) })
}

// logPresence logs that an inbox went away or came back. The caller holds identity.
func (in *Intake) logPresence(inbox string, err error) {
	key := filepath.Clean(inbox)
	switch was := in.away[key]; {
	case in.inbox(inbox) == nil:
	case isAway(err) && !was:
		in.away[key] = true
		in.log.Warn("the inbox isn't there: nothing is taken from it; what was accepted is still sent, and filing waits", "inbox", inbox, "err", err)
	case err == nil && was:
		in.away[key] = false
		in.log.Info("the inbox is back", "inbox", inbox)
	}
}

// gone reports whether a path in an inbox doesn't exist although the inbox is there.
func (in *Intake) gone(inbox, path string) (bool, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	err := in.Present(inbox) // looked at afterwards: it may have gone a moment ago
	if errors.Is(err, fs.ErrNotExist) && in.inbox(inbox) == nil {
		err = nil // no longer an inbox
	}
	return err == nil, err
}

// readInboxID returns the id in an opened folder, "" if it has none. accepted/ may be a link.
func readInboxID(root *os.Root) (string, error) {
	text, err := os.ReadFile(filepath.Join(root.Name(), acceptedFolder, idFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	opened, openedErr := root.Stat(".")
	now, nowErr := os.Stat(root.Name())
	if err := errors.Join(openedErr, nowErr); err != nil {
		return "", err
	}
	if !os.SameFile(opened, now) {
		return "", fmt.Errorf("inbox %q: %w", root.Name(), ErrNotInbox) // mounted or unmounted at this moment
	}
	return strings.TrimSpace(string(text)), nil
}

func writeInboxID(root *os.Root, id string) error {
	if err := makeFolders(root); err != nil {
		return err
	}
	return safeio.WriteFile(filepath.Join(root.Name(), acceptedFolder, idFile), 0o644, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, id)
		return err
	})
}

// AcceptInbox asks the daemon to adopt the folder at an inbox's path, which was moved or replaced on
// purpose. The daemon notices it at its next look.
func AcceptInbox(inbox string) error {
	root, err := os.OpenRoot(inbox)
	if err != nil {
		return err
	}
	return errors.Join(writeInboxID(root, adoptInbox), root.Close())
}

// ensureFolders makes accepted/, done/ and failed/ inside the inbox, if it is the inbox.
func (in *Intake) ensureFolders(inbox string) error {
	root, err := in.openInbox(inbox)
	if err != nil {
		return err
	}
	return errors.Join(makeFolders(root), root.Close())
}
