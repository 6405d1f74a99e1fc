package intake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"campaignd/internal/folders"
	"campaignd/internal/watch"
)

// BadName implements watch.Handler. A file that can't be used under its name is moved to failed/ with a
// report that shows the name escaped.
func (in *Intake) BadName(inbox string, f watch.File, why string) {
	d := watch.Drop{Inbox: inbox, Name: escapedName(f.Name), Others: []watch.File{f}}
	if in.waits.still(d) {
		return
	}
	in.queue.put(inbox, "\x00bad name\x00"+f.Name, 0, func(context.Context) error {
		err := in.failBadName(inbox, f, why)
		if vanished(err) {
			return nil
		}
		if err != nil && immovable(err) {
			in.waits.set(d, "its name can't be used and it can't be moved to failed/: remove it from the inbox", in.now().Add(immovableRetry), endsByHand)
			return nil
		}
		if err != nil {
			return fmt.Errorf("file with a name that can't be used: %w", err)
		}
		return nil
	})
}

func (in *Intake) failBadName(inbox string, f watch.File, why string) error {
	from := filepath.Join(inbox, f.Name)
	if _, err := os.Lstat(from); err != nil {
		return err
	}
	if err := in.inboxes.Ensure(inbox); err != nil {
		return err
	}
	failed := filepath.Join(inbox, folders.Failed)
	shown, to := escapedName(f.Name), filepath.Join(failed, f.Name)
	if _, err := os.Lstat(to); err == nil { // another one was moved before
		to = filepath.Join(failed, shown+"."+in.now().UTC().Format(folders.StampLayout))
	}
	place := filepath.Join(failed, shown)
	for n := 2; ; n++ {
		if _, err := os.Lstat(place + folders.ReportEnding); errors.Is(err, fs.ErrNotExist) {
			break
		}
		place = filepath.Join(failed, fmt.Sprintf("%s.%d", shown, n))
	}
	if err := writeAnswer(place, "%s was not taken in: %s. It was moved here.", strconv.QuoteToASCII(f.Name), why); err != nil {
		return err
	}
	if err := moveFree(from, to); err != nil {
		return errors.Join(err, os.Remove(place+folders.ReportEnding))
	}
	in.log.Info("file with a name that can't be used moved to failed/", "inbox", inbox, "file", shown)
	return nil
}

// mostOfName limits the bytes of an unusable name that its report's name keeps.
const mostOfName = 120

// escapedName returns a name in which everything that can't be shown is escaped, shortened.
func escapedName(file string) string {
	escaped := strings.Trim(strconv.QuoteToASCII(file), `"`)
	if len(escaped) > mostOfName {
		escaped = escaped[:mostOfName] + "..."
	}
	return strings.TrimLeft(escaped, ".")
}
