package folders

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

// IDFile holds the random id by which campaignd knows an inbox. Partners can't write to accepted/.
const IDFile = ".inbox-id"

// adoptInbox is the content of IDFile that asks the daemon to adopt the folder.
const adoptInbox = "accept"

// ErrNotInbox is returned when the folder at an inbox's path is not the inbox: its disk may not be
// mounted, or it was replaced.
var ErrNotInbox = errors.New("this folder is not the inbox that it was: is its disk mounted? " +
	`If the folder was moved here on purpose, run "campaignd inbox accept"`)

// Present returns nil if the folder at an inbox's path is the inbox (docs/contract.md 2, the inbox
// must be the inbox). It gives an id to an inbox that has none. Otherwise nothing may be created,
// moved or removed in the folder.
func (b *Inboxes) Present(inbox string) error {
	root, err := b.Open(inbox)
	if err != nil {
		return err
	}
	return root.Close()
}

// Open opens the folder at an inbox's path if it is the inbox, like Present. What is done
// through the root is done in the inbox, even if its disk is unmounted meanwhile. It fails if what
// OnOpen was given does.
func (b *Inboxes) Open(inbox string) (*os.Root, error) {
	root, err := b.open(inbox)
	if err != nil || b.onOpen == nil {
		return root, err
	}
	if err := b.onOpen(inbox); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

func (b *Inboxes) open(inbox string) (*os.Root, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	root, err := os.OpenRoot(inbox)
	if err == nil {
		if err = b.identify(root, inbox); err != nil {
			err = errors.Join(err, root.Close())
		}
	}
	if errors.Is(err, ErrNotInbox) || errors.Is(err, fs.ErrNotExist) {
		err = awayError{err}
	}
	b.logPresence(inbox, err)
	if err != nil {
		return nil, err
	}
	return root, nil
}

// awayError is an error because an inbox isn't there. It is logged once for all that waits for the inbox.
type awayError struct{ error }

func (e awayError) Unwrap() error { return e.error }

func IsAway(err error) bool {
	_, away := errors.AsType[awayError](err)
	return away
}

// identify compares the id in an opened folder with the one in the store.
func (b *Inboxes) identify(root *os.Root, inbox string) error {
	path, err := filepath.Abs(inbox)
	if err != nil {
		return err
	}
	known, err := b.store.InboxID(path)
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
	case known == "" && b.config().Inbox(inbox) == nil:
		return nil // of an older release, and no longer configured
	case known == "" && found == "" && b.lost(root, inbox):
		return fmt.Errorf("inbox %q: %w", inbox, ErrNotInbox)
	}
	id := found
	if id == "" || id == adoptInbox {
		id = rand.Text()
		if err := writeInboxID(root, id); err != nil {
			return err
		}
	}
	return b.store.SetInboxID(path, id)
}

// recentLook is the number of sendings among which lost looks for one of the inbox.
const recentLook = 5000

// lost reports whether a folder without an id lacks accepted/ although drops were taken from there,
// by a release that gave no ids.
func (b *Inboxes) lost(root *os.Root, inbox string) bool {
	if _, err := root.Lstat(Accepted); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	newest, err := b.store.Sendings(store.Filter{Limit: recentLook})
	return err == nil && slices.ContainsFunc(newest, func(s *campaign.Sending) bool { return filepath.Clean(s.Inbox) == filepath.Clean(inbox) && !s.Void() })
}

// logPresence logs that an inbox went away or came back. The caller holds mu.
func (b *Inboxes) logPresence(inbox string, err error) {
	key := filepath.Clean(inbox)
	switch was := b.away[key]; {
	case b.config().Inbox(inbox) == nil:
	case IsAway(err) && !was:
		b.away[key] = true
		b.log.Warn("the inbox isn't there: nothing is taken from it; what was accepted is still sent, and filing waits", "inbox", inbox, "err", err)
	case err == nil && was:
		b.away[key] = false
		b.log.Info("the inbox is back", "inbox", inbox)
	}
}

// Gone reports whether a path in an inbox doesn't exist although the inbox is there.
func (b *Inboxes) Gone(inbox, path string) (bool, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	err := b.Present(inbox) // looked at afterwards: it may have gone a moment ago
	if errors.Is(err, fs.ErrNotExist) && b.config().Inbox(inbox) == nil {
		err = nil // no longer an inbox
	}
	return err == nil, err
}

// readInboxID returns the id in an opened folder, "" if it has none. accepted/ may be a link.
func readInboxID(root *os.Root) (string, error) {
	text, err := os.ReadFile(filepath.Join(root.Name(), Accepted, IDFile))
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
	return safeio.WriteFile(filepath.Join(root.Name(), Accepted, IDFile), 0o644, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, id)
		return err
	})
}

// Accept asks the daemon to adopt the folder at an inbox's path, which was moved or replaced on
// purpose. The daemon notices it at its next look.
func Accept(inbox string) error {
	root, err := os.OpenRoot(inbox)
	if err != nil {
		return err
	}
	return errors.Join(writeInboxID(root, adoptInbox), root.Close())
}

// Ensure makes accepted/, done/ and failed/ inside the inbox, if it is the inbox.
func (b *Inboxes) Ensure(inbox string) error {
	root, err := b.Open(inbox)
	if err != nil {
		return err
	}
	return errors.Join(makeFolders(root), root.Close())
}
