package intake

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
)

// openClaimed opens a file in the sending's folder.
func openClaimed(s *campaign.Sending, name string) (*os.File, error) {
	f, _, err := safeio.OpenRegular(filepath.Join(folder(s), name))
	return f, err
}

// notTakeable returns the reason why a file can never be taken, or nil if err has another cause.
func notTakeable(err error) error {
	for _, kind := range []error{safeio.ErrLink, safeio.ErrHardLinked, safeio.ErrNotRegular, fs.ErrPermission} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return nil
}

// unmovable reports whether the file could be moved only by a rename.
func unmovable(err error) bool {
	return errors.Is(err, safeio.ErrLink) || errors.Is(err, safeio.ErrNotRegular)
}

// Prepare makes an inbox's folders and finds out whether a drop can be claimed by a rename or has
// to be copied: a rename fails between two mounts, even of one file system. The error is meant for
// the operator.
func (in *Intake) Prepare(inbox string) error {
	if err := in.ensureFolders(inbox); err != nil {
		return err
	}
	probe, err := os.CreateTemp(inbox, ".campaignd-probe-*.tmp") // a name that Recover removes
	if err != nil {
		return fmt.Errorf("write into inbox: %w", err)
	}
	defer os.Remove(probe.Name())
	if err := probe.Close(); err != nil {
		return fmt.Errorf("write into inbox: %w", err)
	}
	target := filepath.Join(inbox, acceptedFolder, filepath.Base(probe.Name()))
	err = os.Rename(probe.Name(), target)
	if errors.Is(err, unix.EXDEV) {
		return errors.New("accepted/ is another mount than the inbox: every drop is copied instead of renamed; mount them as one")
	}
	if err != nil {
		return fmt.Errorf("rename into accepted/: %w", err)
	}
	return os.Remove(target)
}
