package intake

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/filing"
	"campaignd/internal/folders"
)

// unmount puts an empty folder in the inbox's place, as an unmounted disk leaves it.
func (h *harness) unmount() {
	h.t.Helper()
	if err := os.Rename(h.inbox, h.inbox+".disk"); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Mkdir(h.inbox, 0o755); err != nil {
		h.t.Fatal(err)
	}
}

// remount puts the inbox back. The folder in its place must be empty.
func (h *harness) remount() {
	h.t.Helper()
	if names := h.names(""); len(names) > 0 {
		h.t.Errorf("the mount point has %q, want nothing", names)
	}
	if err := os.RemoveAll(h.inbox); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(h.inbox+".disk", h.inbox); err != nil {
		h.t.Fatal(err)
	}
}

// While the disk of an inbox is away nothing is created in its mount point, and everything
// continues when it is back.
func TestUnmountedInboxIsLeftAlone(t *testing.T) {
	t.Run("before the sending ends", func(t *testing.T) {
		h := newHarness(t, "", "")
		s := h.good("spring")
		h.unmount()
		h.sendAll(s.ID)
		h.keeper.Changed(s.ID)
		h.updateFolders()
		if h.header(s.ID).Filed {
			t.Error("the sending counts as filed")
		}
		h.remount()
		h.keeper.Changed(s.ID)
		h.updateFolders()
		if !h.header(s.ID).Filed {
			t.Errorf("the sending isn't filed after the remount\n%s", h.log)
		}
		wantParts(t, h.report(h.header(s.ID)), "Done")
	})
	t.Run("during a claim", func(t *testing.T) {
		h := newHarness(t, "", "")
		h.good("first")
		h.put("spring", goodCSV, goodLayout, goodSidecar)
		d := h.watchedDrop("spring")
		h.unmount()
		h.in.Ready(d)
		h.work()
		h.remount()
		h.in.Ready(h.watchedDrop("spring"))
		h.work()
		if s := h.newest("spring"); s == nil {
			t.Errorf("the drop wasn't taken after the remount\n%s", h.log)
		}
	})
	t.Run("at the start", func(t *testing.T) {
		h := newHarness(t, "", "")
		s := h.good("spring")
		h.unmount()
		h.crash()
		h.updateFolders()
		h.remount()
		h.keeper.Changed(s.ID)
		h.updateFolders()
		if got := h.header(s.ID).State; got != campaign.StateScheduled {
			t.Errorf("the sending is %s, want scheduled", got)
		}
	})
	t.Run("at retirement", func(t *testing.T) {
		h := newHarness(t, "", "")
		s := h.good("spring")
		h.sendAll(s.ID)
		h.unmount()
		n, err := h.keeper.Retire(t.Context(), time.Now().Add(time.Hour))
		if n != 0 || err != nil {
			t.Errorf("%d sendings were retired, %v; want none", n, err)
		}
		h.remount()
		if n, err := h.keeper.Retire(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("%d sendings were retired after the remount, %v; want 1", n, err)
		}
	})
}

// A folder that was replaced on purpose is adopted on request.
func TestReplacedInboxIsAdoptedOnRequest(t *testing.T) {
	h := newHarness(t, "", "")
	h.good("spring")
	h.unmount()
	if err := h.in.inboxes.Present(h.inbox); !errors.Is(err, folders.ErrNotInbox) {
		t.Errorf("the empty folder is %v, want %v", err, folders.ErrNotInbox)
	}
	if err := folders.Accept(h.inbox); err != nil {
		t.Fatal(err)
	}
	if err := h.in.inboxes.Present(h.inbox); err != nil {
		t.Errorf("the accepted folder is %v", err)
	}
	if id, err := os.ReadFile(filepath.Join(h.inbox, folders.Accepted, folders.IDFile)); err != nil || len(id) < 20 {
		t.Errorf("the id is %q, %v", id, err)
	}
	if s := h.drop("summer", goodCSV+"34666000111,Eve\n", goodLayout, goodSidecar); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("got %+v, want State %q", s, campaign.StateScheduled)
	}
}

// A store of a release without ids doesn't adopt the empty mount point of its inbox.
func TestUnmountedInboxOfOlderReleaseIsLeftAlone(t *testing.T) {
	h := newHarness(t, "", "")
	h.good("spring")
	path, err := filepath.Abs(h.inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.store.SetInboxID(path, ""), os.Remove(filepath.Join(h.inbox, folders.Accepted, folders.IDFile))); err != nil {
		t.Fatal(err)
	}
	h.unmount()
	if err := h.in.inboxes.Present(h.inbox); !errors.Is(err, folders.ErrNotInbox) {
		t.Errorf("the empty folder is %v, want %v", err, folders.ErrNotInbox)
	}
	h.remount()
	if err := h.in.inboxes.Present(h.inbox); err != nil {
		t.Errorf("the folder with its drops is %v, want adopted", err)
	}
}

// A contact isn't called forgotten while files with it are on a disk that is away.
func TestForgetReportsUnmountedInbox(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	h.sendAll(s.ID)
	h.unmount()
	if _, err := h.keeper.Forget(t.Context(), []campaign.ID{s.ID}, &filing.Forgetter{Same: func([]byte) bool { return false }}); !errors.Is(err, folders.ErrNotInbox) {
		t.Errorf("forget says %v, want %v", err, folders.ErrNotInbox)
	}
	h.remount()
}
