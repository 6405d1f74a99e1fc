package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// TestCutWhileOpen: a file truncated while open ends the store with an explanation, not the
// process, and isn't written to any more.
func TestCutWhileOpen(t *testing.T) {
	for name, c := range map[string]struct {
		keep   int64 // bytes
		unseen bool  // the size check misses it: a missing page is read
	}{
		"to nothing":         {keep: 0},
		"to the meta pages":  {keep: 8192},
		"in its middle":      {keep: 40_000},
		"unseen, to nothing": {keep: 0, unseen: true},
		"unseen":             {keep: 8192, unseen: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			head := accept(t, s, draft{rows: 9000}, testGrid(600))
			if err := os.Truncate(s.path, c.keep); err != nil {
				t.Fatal(err)
			}
			if c.unseen {
				s.guard.least.Store(0)
			}
			_, err := s.Header(head.ID)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "cut off") || !strings.Contains(err.Error(), "restore a backup") {
				t.Errorf("read: %v", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %v", err)
			}
			select {
			case <-s.Ended():
			default:
				t.Fatal("Ended is not closed")
			}
			if err := s.Commit(t.Context(), []campaign.Entry{entry(head.ID, 0, 1, campaign.InFlight, 1)}); !errors.Is(err, s.Err()) {
				t.Errorf("write: %v, want %v", err, s.Err())
			}
			if found := s.Verify(true); len(found) != 1 {
				t.Errorf("verify: %q", found)
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if info, err := os.Stat(s.path); err != nil || info.Size() != c.keep {
				t.Errorf("it was written to: %d bytes, %v", info.Size(), err)
			}
			openErr(t, s.path, ErrDamaged, "restore a backup")
		})
	}
}

// TestCutInWrite: a write detects the truncated file too.
func TestCutInWrite(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 9000}, testGrid(600))
	if err := os.Truncate(s.path, 8192); err != nil {
		t.Fatal(err)
	}
	s.guard.least.Store(0)
	if err := s.Commit(t.Context(), []campaign.Entry{entry(head.ID, 0, 1, campaign.InFlight, 1)}); !errors.Is(err, ErrDamaged) {
		t.Errorf("write: %v", err)
	}
	if s.Err() == nil {
		t.Error("it goes on")
	}
}

// TestMovedWhileOpen: writes to a moved file are refused, and accepted again once it is back.
// Meanwhile it can be read and backed up.
func TestMovedWhileOpen(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10}, nil)
	away := s.path + ".away"
	for name, replace := range map[string]bool{"removed": false, "replaced": true} {
		t.Run(name, func(t *testing.T) {
			if err := os.Rename(s.path, away); err != nil {
				t.Fatal(err)
			}
			if replace {
				if err := os.WriteFile(s.path, []byte("another"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			first := []campaign.Entry{entry(head.ID, 0, 1, campaign.InFlight, 1)}
			if err := s.Commit(t.Context(), first); !errors.Is(err, ErrMoved) || !strings.Contains(err.Error(), "campaignd backup") {
				t.Errorf("write: %v", err)
			}
			wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Pending: 10})
			var saved bytes.Buffer
			if err := s.Backup(&saved); err != nil {
				t.Error(err)
			}
			path := filepath.Join(t.TempDir(), "saved.db")
			if err := os.WriteFile(path, saved.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			wantState(t, openAt(t, path), head.ID, campaign.StateHeld)
			if err := os.Rename(away, s.path); err != nil {
				t.Fatal(err)
			}
		})
	}
	commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1))
	verify(t, s)
}

// TestMovedAndBroken: a commit fails while the file is away; no new, empty store is made in its place.
func TestMovedAndBroken(t *testing.T) {
	s := openTest(t)
	accept(t, s, draft{rows: 10}, nil)
	if err := os.Rename(s.path, s.path+".away"); err != nil {
		t.Fatal(err)
	}
	s.broken = true
	if err := s.Begin(&campaign.Sending{Name: "a"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("write: %v", err)
	}
	if _, err := os.Stat(s.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something stands in its place: %v", err)
	}
	if err := os.Rename(s.path+".away", s.path); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(&campaign.Sending{Name: "a"}); err != nil {
		t.Error(err)
	}
	verify(t, s)
}
