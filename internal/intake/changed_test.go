package intake

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/send"
	"campaignd/internal/send/null"
)

// hookChannel is a channel that runs a function while rows are checked.
type hookChannel struct {
	*null.Channel
	do func()
}

func (m *hookChannel) CheckMessage(_, _ []byte) error {
	if m.do != nil {
		m.do()
		m.do = nil
	}
	return nil
}

func (h *harness) hookCheck(do func()) {
	c := h.checker()
	m := &hookChannel{null.New(1), do}
	c.Channels = func(int64) map[string]send.Channel {
		return map[string]send.Channel{"cloud_api": m, "sms": null.New(1)}
	}
	h.in.Configure(c)
}

// A drop whose file changes during the check returns to the inbox and is examined again.
func TestFileRewrittenWhileRead(t *testing.T) {
	for name, meddle := range map[string]func(t *testing.T, csv string){
		"appended": func(t *testing.T, csv string) {
			f, err := os.OpenFile(csv, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.WriteString("34666999999,Late\n")
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
		},
		"held open": func(t *testing.T, csv string) {
			f, err := os.OpenFile(csv, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			if busy, known := safeio.Busy(mustOpen(t, csv)); !known || !busy {
				t.Skip("no leases here")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "", "")
			h.hookCheck(func() {
				claimed, err := filepath.Glob(filepath.Join(h.inbox, "accepted", "spring.*", "spring.csv"))
				if err != nil || len(claimed) != 1 {
					t.Fatal(claimed, err)
				}
				meddle(t, claimed[0])
			})
			if s := h.drop("spring", goodCSV, goodLayout, goodSidecar); s != nil {
				t.Fatalf("%+v\n%s", s, h.log)
			}
			if left := h.names(folders.Accepted); len(left) > 0 {
				t.Error("left in accepted:", left)
			}
			h.verifyStore()
			if name == "held open" {
				return
			}
			h.in.Ready(h.watchedDrop("spring"))
			h.work()
			if s := h.newest("spring"); s == nil || s.Rows.Accepted != 3 {
				t.Errorf("got %+v, want Rows.Accepted 3", s)
			}
		})
	}
}

func mustOpen(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// A drop that changed since the watcher saw it stays in the inbox.
func TestFileChangedBeforeTheClaim(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	d := h.watchedDrop("spring")
	h.put("spring", goodCSV+"1,More\n", "", "")
	h.in.Ready(d)
	h.work()
	switch {
	case len(h.sendings()) > 0:
		t.Errorf("it was taken: len(h.sendings()) = %v, want 0", len(h.sendings()))
	case h.tree("")["spring.csv"] == "":
		t.Error("it was taken: h.tree(\"\")[\"spring.csv\"] is empty")
	}
	if lines := h.log.lines("level=ERROR"); len(lines) > 0 {
		t.Error(lines)
	}
}
