package intake

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/folders"
	"campaignd/internal/store"
)

// uploadedFiles receives the files of a valid drop.
func (h *harness) uploadedFiles() *Upload {
	h.t.Helper()
	u, err := h.in.NewUpload(&h.config.Inboxes[0], 0)
	if err != nil {
		h.t.Fatal(err)
	}
	for ending, text := range map[string]string{".csv": goodCSV, ".layout.json": goodLayout, ".schedule.json": goodSidecar} {
		if err := u.Add(ending, 1<<20, strings.NewReader(text)); err != nil {
			h.t.Fatal(err)
		}
	}
	return u
}

// leftovers returns the names in accepted/ except the inbox's id.
func (h *harness) leftovers() (names []string) {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.inbox, folders.Accepted))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != folders.IDFile {
			names = append(names, e.Name())
		}
	}
	return names
}

// A crash between the record of an upload and its files loses the files. The next start takes the
// record back before anybody can ask for it, so that the repeated request is a new upload.
func TestUploadWithoutFilesIsTakenBackAtStart(t *testing.T) {
	h := newHarness(t, "", "")
	u := h.uploadedFiles()
	files, err := u.place("spring")
	if err != nil {
		t.Fatal(err)
	}
	s := &campaign.Sending{Name: "spring", Inbox: h.inbox, ReceivedAt: h.clock, State: campaign.StateChecking, Files: files, Uploaded: true}
	if err := h.store.Begin(s, &store.Request{Key: [32]byte{1}, At: h.clock}); err != nil {
		t.Fatal(err)
	}
	if made, err := h.in.claims.makeFolder(s); err != nil || !made {
		t.Fatal(made, err)
	}
	h.crash()
	if got, err := h.store.Header(s.ID); err != nil || !got.Void() {
		t.Errorf("after the start the upload is %+v (%v), want taken back", got, err)
	}
	if left := h.leftovers(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// After a restart the answer to an upload waits for the decision again.
func TestUploadIsAwaitedAfterARestart(t *testing.T) {
	h := newHarness(t, "", "")
	u := h.uploadedFiles()
	id, err := u.Commit("spring", nil)
	if err != nil {
		t.Fatal(err)
	}
	h.crash()
	if !h.in.drops.awaited(id) {
		t.Error("the decision is not awaited")
	}
	h.work()
	h.in.AwaitDecision(t.Context(), id) // it is decided
	if h.in.drops.awaited(id) {
		t.Error("the decision is still awaited")
	}
	if s, err := h.store.Header(id); err != nil || s.State != campaign.StateScheduled {
		t.Errorf("got %+v (%v), want scheduled", s, err)
	}
}

// An upload that would leave too little room on a disk is refused, at the start or while it arrives,
// and leaves nothing.
func TestUploadNeedsRoom(t *testing.T) {
	h := newHarness(t, "", "")
	free := uint64(check.MinFreeSpace + 10<<20)
	h.in.free = func(string) (uint64, error) { return free, nil }
	if _, err := h.in.NewUpload(&h.config.Inboxes[0], 11<<20); !errors.Is(err, ErrUploadSpace) {
		t.Errorf("a size that doesn't fit: %v", err)
	}
	u, err := h.in.NewUpload(&h.config.Inboxes[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	body := readerFunc(func(p []byte) (int, error) { free -= uint64(len(p)); clear(p); return len(p), nil })
	if err := u.Add(".csv", 1<<40, body); !errors.Is(err, ErrUploadSpace) {
		t.Errorf("a body that doesn't fit: %v", err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if left := h.leftovers(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// awaited reports whether a decision is still to be made.
func (t *dropTable) awaited(id campaign.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.ids[id]
	return one != nil && one.decided != nil
}
