package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/folders"
	"campaignd/internal/rarelog"
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

// noteEnd ends every note. Start-up recognizes the notes of the last run by it.
const noteEnd = "\n\nThis note is from campaignd. It is removed when the wait ends.\n"

// mostOfNote limits the bytes read of a note.
const mostOfNote = 16 << 10

// noteKeeper writes and removes the notes next to files that wait (docs/contract.md 2, every file
// gets an answer).
type noteKeeper struct {
	drops   *dropTable
	inboxes *folders.Inboxes
	inbox   func(path string) *config.Inbox // returns nil for a folder that is no longer configured
	log     *rarelog.Log
	now     func() time.Time
	signal  chan struct{}

	mu     sync.Mutex              // guards wanted and dirty
	wanted map[string][]watch.Note // by inbox, as its last scan wants them
	dirty  map[string]bool         // inboxes whose notes may have to change

	disk    sync.Mutex                   // guards written, and is held while notes change
	written map[string]map[string]string // reason by inbox and name; "" where the last run wrote it
}

func newNoteKeeper(in *Intake) *noteKeeper {
	return &noteKeeper{drops: in.drops, inboxes: in.inboxes, inbox: in.inbox, log: in.log, now: in.now, signal: make(chan struct{}, 1),
		wanted: map[string][]watch.Note{}, dirty: map[string]bool{}, written: map[string]map[string]string{}}
}

// want keeps the notes that the watcher wants in an inbox.
func (k *noteKeeper) want(inbox string, notes []watch.Note) {
	k.mu.Lock()
	k.wanted[inbox], k.dirty[inbox] = notes, true
	k.mu.Unlock()
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// run keeps the notes until ctx ends.
func (k *noteKeeper) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.signal:
			k.update()
		}
	}
}

// update brings the notes of the changed inboxes up to date.
func (k *noteKeeper) update() {
	k.mu.Lock()
	dirty := k.dirty
	k.dirty = map[string]bool{}
	k.mu.Unlock()
	for inbox := range dirty {
		if err := k.updateInbox(inbox); err != nil && !folders.IsAway(err) {
			k.log.Once("notes "+inbox, "notes can't be written", "inbox", inbox, "err", err)
		}
	}
}

func (k *noteKeeper) updateInbox(inbox string) error {
	k.disk.Lock()
	defer k.disk.Unlock()
	if err := k.inboxes.Present(inbox); err != nil {
		return err
	}
	written, err := k.adopt(inbox)
	if err != nil {
		return err
	}
	wanted := map[string]watch.Note{}
	for _, n := range k.notesFor(inbox) {
		wanted[n.Name] = n
	}
	for name := range written {
		if _, ok := wanted[name]; !ok {
			err = errors.Join(err, k.remove(inbox, name))
		}
	}
	for name, n := range wanted {
		if reason, ok := written[name]; ok && reason == n.Reason {
			continue
		}
		err = errors.Join(err, k.write(inbox, n))
	}
	return err
}

// notesFor returns the notes that an inbox should have: those of the watcher, and those of drops
// that wait for their contents.
func (k *noteKeeper) notesFor(inbox string) []watch.Note {
	k.mu.Lock()
	notes := slices.Clone(k.wanted[inbox])
	k.mu.Unlock()
	notes = append(notes, k.contentNotes(inbox)...)
	return notes[:min(len(notes), watch.MaxNotes)]
}

// contentNotes returns the notes on drops that wait for their contents, and on control files that
// wait for their drop.
func (k *noteKeeper) contentNotes(path string) []watch.Note {
	inbox := k.inbox(path)
	if inbox == nil || inbox.NoteAfter == 0 {
		return nil
	}
	waits, controls := k.drops.inInbox(path)
	now, notes := k.now(), []watch.Note(nil)
	for _, w := range waits {
		if now.Sub(w.quiet) >= inbox.NoteAfter {
			notes = append(notes, watch.Note{Name: w.name, Reason: w.reason, Text: w.note(inbox.Location)})
		}
	}
	for _, c := range controls {
		if now.Sub(c.FirstSeen) >= inbox.NoteAfter {
			text := fmt.Sprintf("campaignd reads %s as the command %q. It is obeyed as soon as the drop %q is accepted; without such a drop it goes to failed/ at %s.",
				c.File.Name, c.Action, c.Name, display.UTC(c.FirstSeen.Add(inbox.PairTimeout)))
			notes = append(notes, watch.Note{Name: c.File.Name, Reason: text, Text: text})
		}
	}
	slices.SortFunc(notes, func(a, b watch.Note) int { return cmp.Compare(a.Name, b.Name) })
	return notes
}

// note returns what the partner reads about a wait.
func (w wait) note(zone *time.Location) string {
	if w.list {
		return fmt.Sprintf("campaignd reads %s as a list of opt-outs. It waits until %s and then goes to failed/: %s.", w.name, display.Time(w.expires, zone), w.reason)
	}
	until := ""
	switch {
	case w.end == endsByHand:
		return fmt.Sprintf("campaignd can't take %q out of the inbox: %s.", w.name, w.reason)
	case w.end == endsInCheck:
		until = fmt.Sprintf(" until %s and is then checked as it is", display.Time(w.expires, zone))
	case !w.expires.IsZero():
		until = fmt.Sprintf(" until %s and then goes to failed/", display.Time(w.expires, zone))
	}
	return fmt.Sprintf("campaignd has all files of the drop %q. It waits%s: %s.", w.name, until, w.reason)
}

// adopt returns the notes that are written in an inbox, reading those of the last run first.
func (k *noteKeeper) adopt(inbox string) (map[string]string, error) {
	if written := k.written[inbox]; written != nil {
		return written, nil
	}
	dir, err := os.Open(inbox)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	written := map[string]string{}
	for _, file := range names {
		if name, ok := strings.CutSuffix(file, watch.NoteExtension); ok && isNote(filepath.Join(inbox, file)) {
			written[name] = ""
		}
	}
	k.written[inbox] = written
	return written, nil
}

// isNote reports whether a file is a note that campaignd wrote.
func isNote(path string) bool {
	f, stat, err := safeio.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close() // read only
	if stat.Size() > mostOfNote {
		return false
	}
	text, err := io.ReadAll(f)
	return err == nil && strings.HasSuffix(string(text), noteEnd)
}

// write writes a note, unless a file of that name is somebody else's.
func (k *noteKeeper) write(inbox string, n watch.Note) error {
	path := filepath.Join(inbox, n.Name+watch.NoteExtension)
	if _, err := os.Lstat(path); err == nil && !isNote(path) {
		return nil
	}
	err := safeio.ReplaceFile(path, 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, display.Text(n.Text)+noteEnd)
		return err
	})
	if err == nil {
		k.written[inbox][n.Name] = n.Reason
	}
	return err
}

// remove removes a note that campaignd wrote.
func (k *noteKeeper) remove(inbox, name string) error {
	path := filepath.Join(inbox, name+watch.NoteExtension)
	if _, err := os.Lstat(path); err == nil && isNote(path) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	delete(k.written[inbox], name)
	return nil
}

// taken removes the notes on files that have left the inbox.
func (k *noteKeeper) taken(inbox string, names ...string) {
	inbox = filepath.Clean(inbox)
	k.mu.Lock()
	k.wanted[inbox] = slices.DeleteFunc(slices.Clone(k.wanted[inbox]), func(n watch.Note) bool { return slices.Contains(names, n.Name) })
	k.mu.Unlock()
	k.disk.Lock()
	defer k.disk.Unlock()
	for _, name := range names {
		if _, ok := k.written[inbox][name]; !ok {
			continue
		}
		if err := k.remove(inbox, name); err != nil {
			k.log.Once("notes "+inbox, "a note can't be removed", "inbox", inbox, "err", err)
		}
	}
}
