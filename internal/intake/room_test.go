package intake

import (
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/folders"
)

// A drop of bad rows can't fill the inbox's disk with its rejected.csv. It waits, unchecked, until there
// is room.
func TestRejectedRowsLeaveTheReserve(t *testing.T) {
	h := newHarness(t, "", "")
	room := uint64(1000)
	h.in.free = func(path string) (uint64, error) {
		if strings.HasPrefix(path, h.inbox) {
			return check.MinFreeSpace + room, nil
		}
		return 1 << 40, nil
	}
	bad := strings.Repeat(",nobody\n", 200) // 1,600 bytes, and more with the reasons
	s := h.drop("spring", goodCSV+bad, goodLayout, goodSidecar)
	if s == nil || s.State != campaign.StateChecking {
		t.Fatalf("without room for rejected.csv: %+v, want checking", s)
	}
	if left, err := filepath.Glob(filepath.Join(folders.Of(s), ".campaignd-*")); err != nil || len(left) > 0 {
		t.Errorf("%q is left (%v)", left, err)
	}
	wantParts(t, h.log.String(), "write rejected.csv: the disk has too little room")
	room = 1 << 30
	h.retryAll()
	if s = h.newest("spring"); s.State != campaign.StateRejected || s.Rows.Rejected != 200 {
		t.Errorf("with room: %s, %d rejected rows, want rejected and 200", s.State, s.Rows.Rejected)
	}
	if got := h.tree("failed/" + s.FolderName())["rejected.csv"]; strings.Count(got, "\n") != 201 {
		t.Errorf("rejected.csv has %d lines, want 201", strings.Count(got, "\n"))
	}
}
