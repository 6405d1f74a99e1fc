package check

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
)

// compileCounter counts how often a campaign is compiled.
type compileCounter struct {
	send.Channel
	n int
}

func (c *compileCounter) Compile(item json.RawMessage, variables []string) (*campaign.Template, error) {
	c.n++
	return c.Channel.Compile(item, variables)
}

// The documents of a drop are read once, however often it is examined before it is checked; a sidecar that
// takes the place of another is read.
func TestDocumentsAreReadOnce(t *testing.T) {
	dir, campaigns := t.TempDir(), campaignsDir(t)
	write(t, dir, "campaignd.toml", fmt.Sprintf(testConfig, t.TempDir(), campaigns, t.TempDir()))
	cfg, problems := config.Load(filepath.Join(dir, "campaignd.toml"), drivers.All())
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	counter := &compileCounter{Channel: null.New(1)}
	c := &Checker{Config: cfg, Campaigns: NewCampaigns(campaigns), Channels: func(int64) map[string]send.Channel { return map[string]send.Channel{"cloud_api": counter} }}
	var paths []string
	for ending, text := range map[string]string{".csv": goodCSV, ".layout.json": goodLayout, ".schedule.json": `{"applicationId": 1, "campaignId": 7, "rows": 2}`} {
		write(t, dir, "spring"+ending, text)
		paths = append(paths, filepath.Join(dir, "spring"+ending))
	}
	p, err := OpenFiles(paths, openFile)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	inbox := &cfg.Inboxes[0]
	sidecar, _ := c.SidecarAndLimit(p, inbox)
	info, err := Inspect(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if reason, err := c.ProofMismatch(t.Context(), p, inbox, info, sidecar); reason != "" || err != nil {
		t.Fatalf("got %q (%v), want no mismatch", reason, err)
	}
	again, _ := c.SidecarAndLimit(p, inbox)
	if again != sidecar {
		t.Error("the sidecar was read twice")
	}
	f, err := c.Check(t.Context(), p, inbox, info, time.Now(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Problems.Count > 0 {
		t.Errorf("got the problems %v, want none", f.Problems.List)
	}
	if counter.n != 1 {
		t.Errorf("the campaign was compiled %d times, want once", counter.n)
	}
	write(t, dir, "other.schedule.json", `{"applicationId": 1, "campaignId": 7, "reference": "other"}`)
	file, err := openFile(filepath.Join(dir, "other.schedule.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p.Sidecar.File = file
	if f, err = c.Check(t.Context(), p, inbox, info, time.Now(), nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	if f.Sending.Reference != "other" {
		t.Errorf("got the reference %q of the sidecar before", f.Sending.Reference)
	}
}
