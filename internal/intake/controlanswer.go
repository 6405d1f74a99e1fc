package intake

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/watch"
)

// writePartial writes the results so far into a sending's folder. One that has ended has them.
func (in *Intake) writePartial(id campaign.ID) error {
	defer in.folders.Lock(id)()
	s, err := in.store.Header(id)
	switch {
	case err != nil:
		return err
	case !report.HasResults(s):
		return fmt.Errorf("sending %s is %s and has no results: %w", s.ID, s.State, errTooLate)
	case s.State.Final():
		return nil
	}
	if err := in.ensureFolder(s); err != nil {
		return err
	}
	return report.WritePartial(folders.Of(s), in.store, s)
}

// isStop reports whether a control file is a NAME.stop. Some people mean cancel by it, so
// status.txt answers it.
func isStop(name string) bool { return strings.EqualFold(filepath.Ext(name), watch.StopExtension) }

// stopFile returns the name of a NAME.stop in a sending's folder, "" without one.
func stopFile(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "" // the write of the status reports it
	}
	for _, e := range entries {
		if isStop(e.Name()) {
			return e.Name()
		}
	}
	return ""
}
