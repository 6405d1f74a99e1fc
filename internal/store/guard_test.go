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
	for name, keep := range map[string]int64{"to nothing": 0, "to the meta pages": 8192, "in its middle": 40_000} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			head := accept(t, s, draft{rows: 9000}, testGrid(600))
			if err := os.Truncate(s.db.Path(), keep); err != nil {
				t.Fatal(err)
			}
			_, err := s.Header(head.ID)
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("read: got the error %v, want %v", err, ErrDamaged)
			}
			if !strings.Contains(err.Error(), "cut off") {
				t.Errorf("read: err = %q, want \"cut off\" in it", err.Error())
			}
			if !strings.Contains(err.Error(), "restore a backup") {
				t.Errorf("read: err = %q, want \"restore a backup\" in it", err.Error())
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
			if info, err := os.Stat(s.db.Path()); err != nil || info.Size() != keep {
				t.Errorf("it was written to: %d bytes, %v", info.Size(), err)
			}
			openErr(t, s.db.Path(), ErrDamaged, "restore a backup")
		})
	}
}

// TestMovedWhileOpen: writes to a moved file are refused, and accepted again once it is back.
// Meanwhile it can be read and backed up.
func TestMovedWhileOpen(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10}, nil)
	away := s.db.Path() + ".away"
	for name, replace := range map[string]bool{"removed": false, "replaced": true} {
		t.Run(name, func(t *testing.T) {
			if err := os.Rename(s.db.Path(), away); err != nil {
				t.Fatal(err)
			}
			if replace {
				if err := os.WriteFile(s.db.Path(), []byte("another"), 0o600); err != nil {
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
			if err := os.Rename(away, s.db.Path()); err != nil {
				t.Fatal(err)
			}
		})
	}
	commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1))
	verify(t, s)
}
