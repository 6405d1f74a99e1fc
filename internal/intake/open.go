package intake

import (
	"errors"
	"io/fs"

	"campaignd/internal/safeio"
)

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
