package filing

import (
	"errors"
	"fmt"
	"os"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/watch"
)

// ErrEnded is returned when a sending has ended and can't be changed any more.
var ErrEnded = errors.New("it can't be changed any more")

// WritePartial writes the results so far into a sending's folder. One that has ended has them.
func (k *Keeper) WritePartial(id campaign.ID) error {
	defer k.folders.Lock(id)()
	s, err := k.store.Header(id)
	switch {
	case err != nil:
		return err
	case !report.HasResults(s):
		return fmt.Errorf("sending %s is %s and has no results: %w", s.ID, s.State, ErrEnded)
	case s.State.Final():
		return nil
	}
	if err := k.ensureFolder(s); err != nil {
		return err
	}
	return report.WritePartial(folders.Of(s), k.store, s)
}

// stopFile returns the name of a NAME.stop in a sending's folder, "" without one.
func stopFile(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "" // the write of the status reports it
	}
	for _, e := range entries {
		if watch.IsStop(e.Name()) {
			return e.Name()
		}
	}
	return ""
}
