package document

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExamplesAreAccepted(t *testing.T) {
	examples := filepath.Join("..", "..", "..", "inbox", "examples")
	layouts, err := filepath.Glob(filepath.Join(examples, "[1-9]-*.layout.json")) // a daemon of this checkout adds campaign-*
	if err != nil || len(layouts) != 4 {
		t.Fatalf("found %d layouts: %v", len(layouts), err)
	}
	for _, path := range layouts {
		name := filepath.Base(path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		l, problems, warnings := ParseLayout(name, data)
		if problems.Count > 0 || len(warnings) > 0 {
			t.Errorf("%s: %v %v", name, problems.List, warnings)
			continue
		}
		base := strings.TrimSuffix(path, ".layout.json")
		csv, err := os.ReadFile(base + ".csv")
		if err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(string(csv), "\n")
		if p, _ := l.CheckColumns(strings.Split(header, ",")); p.Count > 0 {
			t.Errorf("%s: %v", name, p.List)
		}
		sidecar, err := os.ReadFile(base + ".schedule.json")
		if err != nil {
			t.Fatal(err)
		}
		switch s, problems := ParseSidecar(name, sidecar); {
		case problems.Count > 0:
			t.Errorf("%s: problems.Count: got %v, want 0", name, problems.Count)
		case s.CampaignID == nil:
			t.Errorf("%s: s.CampaignID: got nil", name)
		case *s.ApplicationID != 1:
			t.Errorf("%s: *s.ApplicationID: got %v, want 1", name, *s.ApplicationID)
		case s.Reference == "":
			t.Errorf(`%s: s.Reference: got ""`, name)
		}
	}
}

// TestPartnersPageIsAccepted: what the page for partners shows is what is accepted.
func TestPartnersPageIsAccepted(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "inbox", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, rest := range strings.Split(string(page), "```json\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		blocks = append(blocks, block)
	}
	if len(blocks) != 2 {
		t.Fatalf("%d examples of JSON, want a layout and a sidecar", len(blocks))
	}
	l, problems, warnings := ParseLayout("f", []byte(blocks[0]))
	if problems.Count > 0 {
		t.Errorf("layout: problems.Count = %v, want 0", problems.Count)
	}
	if len(warnings) > 0 {
		t.Errorf("layout: len(warnings) = %v, want 0: %+v", len(warnings), warnings)
	}
	if p, _ := l.CheckColumns([]string{"contactCode", "channelType", "nombre", "edad"}); p.Count > 0 {
		t.Errorf("layout: %v", p.List)
	}
	if _, problems := ParseSidecar("f", []byte(blocks[1])); problems.Count > 0 {
		t.Errorf("sidecar: %v", problems.List)
	}
}
