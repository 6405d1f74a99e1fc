package intake

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// TestRetire: only report.json stays of a sending older than retention, without contacts.
func TestRetire(t *testing.T) {
	h := newHarness(t, "", "max_bad_rows = \"50%\"")
	sent := h.drop("spring", goodCSV+"34666777888,Ada\n3.46668E+10,Bob\n", goodLayout, goodSidecar)
	h.sendAll(sent.ID)
	h.write(filepath.Join(h.inbox, "done", sent.FolderName(), "spring.pause"), "")
	h.good("later")

	if n, err := h.keeper.Retire(t.Context(), time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := h.keeper.Retire(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	left := h.tree("done")
	if diff := cmp.Diff([]string{sent.FolderName() + "/", sent.FolderName() + "/report.json"}, slices.Sorted(maps.Keys(left))); diff != "" {
		t.Error(diff)
	}
	var report map[string]any
	text := left[sent.FolderName()+"/report.json"]
	switch err := json.Unmarshal([]byte(text), &report); {
	case err != nil:
		t.Error(err)
	case strings.Contains(text, "34666"):
		t.Errorf(`text: got %q, want no "34666" in it`, text)
	case strings.Contains(text, "E+10"):
		t.Errorf(`text: got %q, want no "E+10" in it`, text)
	case report["state"] != "completed":
		t.Errorf(`report["state"]: got %q, want "completed"`, report["state"])
	case report["errorCount"] != 1.0:
		t.Errorf(`report["errorCount"]: got %v, want 1.0`, report["errorCount"])
	case report["messages"].(map[string]any)["sent"] != 2.0:
		t.Errorf(`report["messages"].(map[string]any)["sent"]: got %v, want 2.0`, report["messages"].(map[string]any)["sent"])
	}
	if _, err := h.store.Header(sent.ID); err == nil {
		t.Error("it is still in the store")
	}
	var audit []store.AuditEntry
	switch err := h.store.EachAudit(time.Time{}, func(e store.AuditEntry) error { audit = append(audit, e); return nil }); {
	case err != nil:
		t.Error(err)
	case len(audit) != 1:
		t.Errorf("len(audit): got %v, want 1: %+v", len(audit), audit)
	case audit[0].Who != "daemon":
		t.Errorf(`audit[0].Who: got %q, want "daemon"`, audit[0].Who)
	case audit[0].Action != "retention":
		t.Errorf(`audit[0].Action: got %q, want "retention"`, audit[0].Action)
	case audit[0].Sending != sent.ID:
		t.Errorf("audit[0].Sending: got %v, want %v", audit[0].Sending, sent.ID)
	}
	if len(h.names("accepted")) != 1 {
		t.Error("what has not ended is gone too")
	}
	h.verifyStore()
}

// TestRetireFindsLess: removed folders and links in their place stop nothing and are not followed;
// a missing inbox keeps its sendings.
func TestRetireFindsLess(t *testing.T) {
	h := newHarness(t, "", "")
	ids := map[string]*campaign.Sending{}
	for _, name := range []string{"gone", "linked", "whole"} {
		ids[name] = h.drop(name, goodCSV+"34666777889,"+name+"\n", goodLayout, goodSidecar)
		h.sendAll(ids[name].ID)
	}
	outside := t.TempDir()
	h.write(filepath.Join(outside, "precious.csv"), "1")
	for name, mend := range map[string]func(string) error{"gone": func(string) error { return nil },
		"linked": func(path string) error { return os.Symlink(outside, path) }} {
		path := filepath.Join(h.inbox, "done", ids[name].FolderName())
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := mend(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(h.inbox, h.inbox+".away"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := h.keeper.Retire(t.Context(), time.Now().Add(time.Hour)); n != 0 || err != nil {
			t.Errorf("with the inbox away: %d, %v", n, err)
		}
	}
	if n := strings.Count(h.log.String(), "the inbox isn't there"); n != 1 {
		t.Errorf("the missing inbox was logged %d times, want once:\n%s", n, h.log)
	}
	if err := os.Rename(h.inbox+".away", h.inbox); err != nil {
		t.Fatal(err)
	}
	if n, err := h.keeper.Retire(t.Context(), time.Now().Add(time.Hour)); n != 3 || err != nil {
		t.Errorf("%d, %v\n%s", n, err, h.log)
	}
	if _, err := os.Stat(filepath.Join(outside, "precious.csv")); err != nil {
		t.Error(err)
	}
	h.verifyStore()
}

// TestRetireLists: lists and control files are removed by the time of their filing.
func TestRetireLists(t *testing.T) {
	h := newHarness(t, "", "")
	h.control("stop.suppress.csv", "contactCode\n34666777888\n")
	h.control("nothing.cancel", "")
	h.write(filepath.Join(h.inbox, "done", "notes.txt"), "a partner's own")
	switch a, b := len(h.names("done")), len(h.names("failed")); {
	case a != 3:
		t.Fatalf("a = %v, want 3\n%s", a, h.log)
	case b != 2:
		t.Fatalf("b = %v, want 2\n%s", b, h.log)
	}
	for _, test := range []struct {
		before   time.Time
		in, fail int
	}{{time.Now().Add(-time.Hour), 3, 2}, {time.Now().Add(time.Hour), 1, 0}} {
		if n, err := h.keeper.Retire(t.Context(), test.before); n != 0 || err != nil {
			t.Error(n, err)
		}
		switch a, b := len(h.names("done")), len(h.names("failed")); {
		case a != test.in:
			t.Errorf("before %v: a = %v, want %v", test.before, a, test.in)
		case b != test.fail:
			t.Errorf("before %v: b = %v, want %v", test.before, b, test.fail)
		}
	}
	if strings.Contains(h.log.String(), "level=WARN") {
		t.Error(h.log)
	}
}
