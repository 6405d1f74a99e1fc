package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/document"
)

func TestCampaignsAreReadAgain(t *testing.T) {
	h := newHarness(t, "", "")
	c := NewCampaigns(h.config.CampaignsDir)
	find := func() *campaign.Campaign {
		t.Helper()
		found, why, _, err := c.Find(1, 7)
		if err != nil || found == nil {
			t.Fatal(why, err)
		}
		return found
	}
	first := find()
	if find() != first {
		t.Error("read again without a change")
	}
	file := filepath.Join(h.config.CampaignsDir, "7.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h.write(file, strings.Replace(string(text), `"a"`, `"b"`, 1)) // the same size
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := find().Title; got != "b" {
		t.Errorf("the title is %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if found, why, _, err := c.Find(1, 7); found != nil || err != nil || why != "application 1 has no campaign 7; it has 8" {
		t.Error(found, why, err)
	}
}

func TestCampaignsThatCantBeUsed(t *testing.T) {
	h := newHarness(t, "", "")
	text, err := os.ReadFile(filepath.Join(h.config.CampaignsDir, "7.json"))
	if err != nil {
		t.Fatal(err)
	}
	h.campaign("twice.json", string(text))
	h.campaign("broken.json", `{"id": 30,`)
	h.campaign("large.json", strings.Repeat(" ", document.MaxSize+1))
	h.campaign(".hidden.json", "{")
	h.campaign("notes.txt", "{")
	for _, err := range []error{
		unix.Mkfifo(filepath.Join(h.config.CampaignsDir, "fifo.json"), 0o644),
		os.Symlink("nowhere", filepath.Join(h.config.CampaignsDir, "link.json")),
		os.Mkdir(filepath.Join(h.config.CampaignsDir, "folder.json"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := NewCampaigns(h.config.CampaignsDir)
	all, broken, err := c.All()
	if err != nil || len(all) != 3 || broken.Count != 5 {
		t.Errorf("%d campaigns, %v, %v", len(all), broken.List, err)
	}
	if _, why, _, err := c.Find(1, 7); err != nil || why != "campaign 7 of application 1 is defined twice, in 7.json and twice.json; ask the operator to remove one" {
		t.Error(why, err)
	}
	if _, why, _, err := c.Find(1, 30); err != nil || !strings.Contains(why, "it has 7, 8; a campaign file can't be read, so ask the operator") {
		t.Error(why, err)
	}
	if _, _, _, err := NewCampaigns(filepath.Join(h.dir, "nowhere")).Find(1, 7); err == nil {
		t.Error("a folder that isn't there is read")
	}
}

// The report lists the problems of the requested campaign's file, not those of others.
func TestBrokenCampaignIsNamed(t *testing.T) {
	h := newHarness(t, "", "")
	h.campaign("30.json", `{"id": 30, "applicationId": 1, "channelTypes": ["cloud_api"], "messageContent": [{"body": "{{a b}}"}]}`)
	h.campaign("31.json", `{"id": 31, "applicationId": 1}`)
	found, why, details, err := NewCampaigns(h.config.CampaignsDir).Find(1, 30)
	if found != nil || err != nil || why != "campaign 30 of application 1 can't be used: its file 30.json has errors; ask the operator to fix it" {
		t.Error(found, why, err)
	}
	if details.Count != 1 || !strings.HasPrefix(details.List[0].String(), "30.json:1:92: messageContent.0.body: the variable") {
		t.Errorf("details: %v", details.List)
	}
}

// A campaign file is read again after it was replaced by one of the same size and time.
func TestReplacedCampaignIsReadAgain(t *testing.T) {
	h := newHarness(t, "", "")
	c := NewCampaigns(h.config.CampaignsDir)
	file := filepath.Join(h.config.CampaignsDir, "7.json")
	before, _, _, err := c.Find(1, 7)
	if err != nil || before == nil {
		t.Fatal(before, err)
	}
	stat, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h.write(file+".new", strings.Replace(string(text), `"a"`, `"b"`, 1))
	if err := os.Chtimes(file+".new", time.Time{}, stat.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	if after, _, _, err := c.Find(1, 7); err != nil || after == nil || after.Title != "b" {
		t.Error(after, err)
	}
}

// A folder of campaigns that can't be read is a fault of the machine: the drop waits.
func TestCampaignsFolderAway(t *testing.T) {
	h := newHarness(t, "", "")
	away := h.config.CampaignsDir + ".away"
	if err := os.Rename(h.config.CampaignsDir, away); err != nil {
		t.Fatal(err)
	}
	if s := h.drop("spring", goodCSV, goodLayout, goodSidecar); s.State != campaign.StateChecking {
		t.Fatalf("%+v", s)
	}
	h.retryAll()
	if err := os.Rename(away, h.config.CampaignsDir); err != nil {
		t.Fatal(err)
	}
	h.retryAll()
	if s := h.newest("spring"); s.State != campaign.StateScheduled || len(h.sendings()) != 1 {
		t.Errorf("%+v", s)
	}
	h.verifyStore()
}

func TestOpenFiles(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	h.put("winter", goodCSV, "", "")
	h.write(filepath.Join(h.inbox, "spring.CSV"), goodCSV)
	h.write(filepath.Join(h.inbox, "notes.txt"), "")
	if err := unix.Mkfifo(filepath.Join(h.inbox, "fifo.csv"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("spring.csv", filepath.Join(h.inbox, "link.csv")); err != nil {
		t.Fatal(err)
	}
	for files, want := range map[string]string{
		"spring.schedule.json spring.csv spring.layout.json": "",
		"link.csv":                      "",
		"spring.csv winter.csv":         "are the same part of a drop: name only the files of one drop",
		"spring.csv spring.CSV":         "are the same part of a drop: name only the files of one drop",
		"winter.csv spring.layout.json": `"winter" and "spring" are two drops`,
		"notes.txt":                     `"notes.txt" is no part of a drop`,
		".csv":                          `".csv" is no part of a drop`,
		"fifo.csv":                      "is not a regular file",
		"spring.csv absent.layout.json": `are two drops`,
		"absent.csv":                    "no such file",
	} {
		var paths []string
		for _, f := range strings.Fields(files) {
			paths = append(paths, filepath.Join(h.inbox, f))
		}
		p, err := OpenFiles(paths)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", files, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", files, err, want)
		}
		if p != nil {
			p.Close()
		}
	}
}
