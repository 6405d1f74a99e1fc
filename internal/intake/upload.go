package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/failpoint"
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// Errors of an Upload whose texts are for the caller. An inbox that isn't there is another
// (folders.IsAway).
var (
	// ErrUploadTooLarge is returned when a file is larger than its limit.
	ErrUploadTooLarge = errors.New("the upload is too large")
	// ErrUploadFull is returned when the inbox has no room for another drop (max_drops, max_pending_bytes).
	ErrUploadFull = errors.New("the inbox is full")
	// ErrUploadSpace is returned when a disk has too little room.
	ErrUploadSpace = errors.New("the disk is full")
	// ErrUploadBody wraps an error of reading the upload: its sender is gone or slow.
	ErrUploadBody = errors.New("read the upload")
)

// uploadFolder is the pattern of the folders, inside accepted/, in which uploads arrive. Partners
// can't write there, and a start removes what a crash has left (removeTemps).
const uploadFolder = ".campaignd-upload-*.tmp"

// uploadPiece is how many bytes are written between two looks at the limits.
const uploadPiece = 4 << 20

// Upload is a drop that arrives over HTTP. Its files are written to a hidden folder and become a
// claimed drop all at once in Commit. Close must always be called. It is for one goroutine.
type Upload struct {
	in      *Intake
	inbox   *config.Inbox
	dir     string // "" once it is committed
	room    *reservation
	bytes   int64    // of all files so far
	endings []string // of the names of the files so far
}

// NewUpload begins an upload of about size bytes (0: unknown) into an inbox.
func (in *Intake) NewUpload(inbox *config.Inbox, size int64) (*Upload, error) {
	if err := in.inboxes.Ensure(inbox.Path); err != nil {
		return nil, err
	}
	if inbox.MaxPendingBytes > 0 && size > inbox.MaxPendingBytes {
		return nil, fmt.Errorf("%w: it has %s, and all drops of this inbox together may have %s (max_pending_bytes)", ErrUploadTooLarge, display.Amount(size, "byte"), display.Number(inbox.MaxPendingBytes))
	}
	room, full := in.drops.reserve(inbox, load{drops: 1, bytes: size})
	if full != "" {
		return nil, fmt.Errorf("%w: %s; try again when some have ended", ErrUploadFull, full)
	}
	u := &Upload{in: in, inbox: inbox, room: room}
	if err := u.space(size); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	dir, err := os.MkdirTemp(filepath.Join(inbox.Path, folders.Accepted), uploadFolder)
	if err != nil {
		return nil, errors.Join(u.fault(err), u.Close())
	}
	u.dir = dir
	return u, nil
}

// space returns an error if one of the disks can't take size bytes more.
func (u *Upload) space(size int64) error {
	for _, folder := range []string{u.inbox.Path, u.in.stateDir} {
		if free, err := u.in.free(folder); err == nil && free < uint64(size)+check.MinFreeSpace {
			return fmt.Errorf("%w: %s MiB are free and this upload needs %s MiB; the operator has to make room", ErrUploadSpace, display.Number(free>>20), display.Number((uint64(size)+check.MinFreeSpace)>>20))
		}
	}
	return nil
}

// stagedName is the name of a drop's files until its own is known.
const stagedName = "upload"

// Add writes a file of the drop from r, durably. ending is what follows NAME in its name, such as
// ".layout.json"; most is the most bytes it may have.
func (u *Upload) Add(ending string, most int64, r io.Reader) error {
	f, err := os.OpenFile(filepath.Join(u.dir, stagedName+ending), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return u.fault(err)
	}
	defer f.Close()
	if err := u.copy(f, ending, most, r); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return u.fault(err)
	}
	if err := f.Close(); err != nil { // some network file systems report a failed write only here
		return u.fault(err)
	}
	u.endings = append(u.endings, ending)
	return nil
}

// copy copies a file piece by piece within the limits.
func (u *Upload) copy(f *os.File, ending string, most int64, r io.Reader) error {
	from := &bodyReader{r: r}
	for size := int64(0); ; {
		n, err := io.CopyN(f, from, uploadPiece)
		size, u.bytes = size+n, u.bytes+n
		switch {
		case from.err != nil:
			return fmt.Errorf("%w: %w", ErrUploadBody, from.err)
		case err != nil && !errors.Is(err, io.EOF):
			return u.fault(err)
		case size > most:
			return fmt.Errorf("%w: the %s has more than %s", ErrUploadTooLarge, strings.TrimPrefix(ending, "."), display.Amount(most, "byte"))
		case errors.Is(err, io.EOF):
			return nil
		}
		if full := u.room.grow(u.bytes); full != "" {
			return fmt.Errorf("%w: %s", ErrUploadFull, full)
		}
		if err := u.space(0); err != nil {
			return err
		}
	}
}

// bodyReader keeps the error of reading, to tell it from one of writing.
type bodyReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// fault returns what an error of the inbox's folder means to the caller.
func (u *Upload) fault(err error) error {
	if away := u.in.inboxes.Present(u.inbox.Path); folders.IsAway(away) {
		return away
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: the operator has to make room", ErrUploadSpace)
	}
	return fmt.Errorf("write the upload: %w", err)
}

// place gives the files the drop's name and returns their identities.
func (u *Upload) place(name string) ([]campaign.FileID, error) {
	var files []campaign.FileID
	for _, ending := range u.endings {
		path := filepath.Join(u.dir, name+ending)
		if err := os.Rename(filepath.Join(u.dir, stagedName+ending), path); err != nil {
			return nil, u.fault(err)
		}
		stat, err := os.Lstat(path)
		if err != nil {
			return nil, u.fault(err)
		}
		id := safeio.FileID(stat)
		id.Name = name + ending
		files = append(files, id)
	}
	return files, safeio.SyncDir(u.dir)
}

// Commit turns the files into a claimed drop called name, which is then checked like any other.
// name+ending must be the name of a part of a drop (watch.ParseName) for each of its files. A
// crash before it returns leaves a drop in its folder or nothing. r, if not nil, is remembered with
// it (store.Begin).
func (u *Upload) Commit(name string, r *store.Request) (campaign.ID, error) {
	in := u.in
	files, err := u.place(name)
	if err == nil {
		err = os.Chmod(u.dir, 0o755)
	}
	if err != nil {
		return "", err
	}
	failpoint.At(failpoint.UploadReceived)
	s, err := in.claims.open(campaign.Sending{Name: name, Inbox: u.inbox.Path, Files: files, Uploaded: true}, r)
	if s == nil {
		return "", u.fault(err)
	}
	in.drops.expectDecision(s.ID)
	if err == nil {
		err = unix.Rename(u.dir, folders.Of(s)) // takes the place of the empty folder, which os.Rename refuses
	}
	if err == nil {
		u.dir = ""
		err = safeio.SyncDir(filepath.Dir(folders.Of(s)))
	}
	if err != nil {
		return "", errors.Join(u.fault(err), in.claims.orRetry(s.ID, in.claims.void(s, "not taken in: its files could not be moved")))
	}
	failpoint.At(failpoint.FilesMoved)
	in.newest.add(s)
	in.log.Info("drop uploaded", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name)
	in.resume(s)
	return s.ID, nil
}

// Close removes what wasn't committed.
func (u *Upload) Close() error {
	u.room.leave()
	if u.dir == "" {
		return nil
	}
	return os.RemoveAll(u.dir)
}

// recoverUpload takes back an upload whose files a stop or crash kept from their folder, before its
// client can ask for it again with its key, and reports whether it did. The answer to any other
// upload waits for the decision again. If the inbox is away, recheck takes back later.
func (in *Intake) recoverUpload(s *campaign.Sending) (back bool) {
	if in.inboxes.Present(s.Inbox) == nil && in.neverArrived(s) && in.takeBack(s) == nil { // after an error recheck tries it again
		return true
	}
	in.drops.expectDecision(s.ID)
	return false
}

// AwaitDecision returns when an uploaded drop was accepted or refused, or ctx has ended.
func (in *Intake) AwaitDecision(ctx context.Context, id campaign.ID) { in.drops.await(ctx, id) }

// takeBack ends the claim of an upload whose files didn't get into their folder.
func (in *Intake) takeBack(s *campaign.Sending) error {
	_ = os.Remove(folders.Of(s)) // empty, or not there
	return in.claims.void(s, "the daemon ended before the uploaded files were in their folder")
}

// neverArrived reports whether the folder of an uploaded drop has none of its files: the daemon
// ended before the client got an answer.
func (in *Intake) neverArrived(s *campaign.Sending) bool {
	for _, f := range s.Files {
		if _, err := os.Lstat(filepath.Join(folders.Of(s), f.Name)); err == nil {
			return false
		}
	}
	return true
}
