package filing

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
)

// Forgetter overwrites a contact in files.
type Forgetter struct {
	// Same reports whether a cell is the contact, in any spelling.
	Same func(cell []byte) bool
	// Digits are the last digits of the contact: a number without them isn't the contact. Empty
	// for a contact without digits.
	Digits []byte
	// Texts are spellings of the contact that are overwritten within longer cells too.
	Texts [][]byte
}

// Forget overwrites a contact in the files of the inboxes' folders accepted, done and failed
// (docs/contract.md 10). Lines stay; the cells of the contact become x's. The reports of the
// given sendings, which had the contact, are written again from the store. Their spreadsheets
// and archives, and others that have the contact, are removed, since a cell in them can't be overwritten. It returns
// how many files were changed or removed. A file that can't be changed stops no other.
func (k *Keeper) Forget(ctx context.Context, had []campaign.ID, f *Forgetter) (files int, err error) {
	for _, id := range had {
		err = errors.Join(err, k.reportAgain(id))
	}
	for _, inbox := range k.config().Inboxes {
		if away := k.inboxes.Present(inbox.Path); away != nil {
			err = errors.Join(err, away)
			continue
		}
		for _, place := range []string{folders.Accepted, folders.Done, folders.Failed} {
			n, placeErr := k.forgetIn(ctx, filepath.Join(inbox.Path, place), had, f)
			files += n
			err = errors.Join(err, placeErr)
		}
	}
	return files, err
}

// reportAgain writes the final files of a sending again, if it has any.
func (k *Keeper) reportAgain(id campaign.ID) error {
	defer k.folders.Lock(id)()
	s, err := k.store.Header(id)
	if err != nil || !s.Filed {
		return err
	}
	dir := folders.Final(s)
	if gone, err := k.inboxes.Gone(s.Inbox, dir); gone || err != nil {
		return err
	}
	return report.Write(dir, k.store, id, k.config().Zone(s.ApplicationID))
}

// forgetIn overwrites the contact in the files of one folder and of the folders in it.
func (k *Keeper) forgetIn(ctx context.Context, dir string, had []campaign.ID, f *Forgetter) (files int, err error) {
	root, err := os.OpenRoot(dir) // partners can write nearby, so links must not lead out of it
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open folder: %w", err)
	}
	defer root.Close()
	walkErr := fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if !e.Type().IsRegular() {
			return nil
		}
		id := idOfFolder(name)
		if id != "" {
			defer k.folders.Lock(id)()
			if s, err := k.store.Header(id); err == nil && s.State == campaign.StateChecking {
				return nil // it is being read, and its rows are suppressed
			}
		}
		changed, err := f.file(root, dir, name, slices.Contains(had, id))
		if changed {
			files++
		}
		return err
	})
	return files, walkErr
}

// idOfFolder returns the id of the sending whose folder a path begins with, or "".
func idOfFolder(path string) campaign.ID {
	folder, _, ok := strings.Cut(path, "/")
	if !ok {
		return ""
	}
	id := campaign.ID(folder[strings.LastIndexByte(folder, '.')+1:])
	if !id.Valid() {
		return ""
	}
	return id
}

// packed reports whether a file's cells can't be overwritten, by its name or its first bytes:
// archives, spreadsheets, and UTF-16.
func packed(name string, head []byte) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".xlsx", ".zip", ".gz":
		return true
	}
	return bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) || bytes.HasPrefix(head, []byte("PK\x03\x04"))
}

// file overwrites the contact in one file, and reports whether the file had it.
func (f *Forgetter) file(root *os.Root, dir, name string, had bool) (changed bool, err error) {
	file, err := root.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close() // read only
	r := bufio.NewReaderSize(file, 64<<10)
	head, _ := r.Peek(4)
	if packed(name, head) {
		if !had && !f.inside(file, name) {
			return false, nil
		}
		return true, root.Remove(name)
	}
	if has, err := f.copy(io.Discard, r); err != nil || !has {
		return false, err
	}
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	return true, safeio.WriteFile(filepath.Join(dir, name), info.Mode().Perm(), func(w io.Writer) error {
		_, err := f.copy(w, bufio.NewReaderSize(file, 64<<10))
		return err
	})
}

// copy copies a file without the contact, and reports whether it was there. A cell longer than
// the reader's buffer is not a contact.
func (f *Forgetter) copy(w io.Writer, r *bufio.Reader) (has bool, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return has, err
		}
		if f.line(line) {
			has = true
		}
		if _, err := w.Write(line); err != nil {
			return has, err
		}
		if errors.Is(err, io.EOF) {
			return has, nil
		}
	}
}

// line overwrites the contact in a line, in place.
func (f *Forgetter) line(line []byte) (has bool) {
	start := 0
	for i := 0; i <= len(line); i++ {
		if i < len(line) && strings.IndexByte(",;\t|\"\r\n", line[i]) < 0 {
			continue
		}
		if f.cell(line[start:i]) {
			has = true
		}
		start = i + 1
	}
	return has
}

func (f *Forgetter) cell(cell []byte) bool {
	if f.maybe(cell) && f.Same(bytes.TrimSpace(cell)) {
		cross(cell)
		return true
	}
	has := false
	for _, text := range f.Texts {
		for at := 0; ; {
			i := bytes.Index(cell[at:], text)
			if i < 0 {
				break
			}
			begin, end := at+i, at+i+len(text)
			if at = end; begin > 0 && isDigit(cell[begin-1]) && isDigit(text[0]) || end < len(cell) && isDigit(cell[end]) && isDigit(text[len(text)-1]) {
				continue // a part of another number
			}
			cross(cell[begin:end])
			has = true
		}
	}
	return has
}

// maybe reports whether a cell may be the contact: it saves reading every cell by its rules.
func (f *Forgetter) maybe(cell []byte) bool {
	if len(cell) > maxCell {
		return false
	}
	if len(f.Digits) == 0 {
		return true
	}
	var buf [64]byte
	digits := buf[:0]
	for _, b := range cell {
		switch {
		case b >= 0x80: // digits of other scripts
			return true
		case '0' <= b && b <= '9':
			digits = append(digits, b)
		}
	}
	return bytes.Contains(digits, f.Digits)
}

// maxCell is the longest cell that may be a contact.
const maxCell = 512

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func cross(text []byte) {
	for i := range text {
		text[i] = 'x'
	}
}
