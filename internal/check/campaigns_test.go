package check

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
	dir := campaignsDir(t)
	c := NewCampaigns(dir)
	find := func() *campaign.Campaign {
		t.Helper()
		found, why, _, err := c.Find(1, 7)
		switch {
		case err != nil:
			t.Fatal(err)
		case found == nil:
			t.Fatalf("no campaign: %s", why)
		}
		return found
	}
	first := find()
	if find() != first {
		t.Error("read again without a change")
	}
	file := filepath.Join(dir, "7.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "7.json", strings.Replace(string(text), `"a"`, `"b"`, 1)) // the same size
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := find().Title; got != "b" {
		t.Errorf("the title is %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	switch found, why, _, err := c.Find(1, 7); {
	case found != nil:
		t.Errorf("found = %+v, want nil", found)
	case err != nil:
		t.Error(err)
	case why != "application 1 has no campaign 7; it has 8":
		t.Errorf("why = %q, want \"application 1 has no campaign 7; it has 8\"", why)
	}
}

func TestCampaignsThatCantBeUsed(t *testing.T) {
	dir := campaignsDir(t)
	text, err := os.ReadFile(filepath.Join(dir, "7.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "twice.json", string(text))
	write(t, dir, "broken.json", `{"id": 30,`)
	write(t, dir, "large.json", strings.Repeat(" ", document.MaxSize+1))
	write(t, dir, ".hidden.json", "{")
	write(t, dir, "notes.txt", "{")
	for _, err := range []error{
		unix.Mkfifo(filepath.Join(dir, "fifo.json"), 0o644),
		os.Symlink("nowhere", filepath.Join(dir, "link.json")),
		os.Mkdir(filepath.Join(dir, "folder.json"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := NewCampaigns(dir)
	all, broken, err := c.All()
	switch {
	case err != nil:
		t.Error(err)
	case len(all) != 3:
		t.Errorf("len(all) = %v, want 3", len(all))
	case broken.Count != 5:
		t.Errorf("broken.Count = %v, want 5", broken.Count)
	}
	if _, why, _, err := c.Find(1, 7); err != nil || why != "campaign 7 of application 1 is defined twice, in 7.json and twice.json; ask the operator to remove one" {
		t.Error(why, err)
	}
	if _, why, _, err := c.Find(1, 30); err != nil || !strings.Contains(why, "it has 7, 8; a campaign file can't be read, so ask the operator") {
		t.Error(why, err)
	}
	if _, _, _, err := NewCampaigns(filepath.Join(dir, "nowhere")).Find(1, 7); err == nil {
		t.Error("a folder that isn't there is read")
	}
}

// The report lists the problems of the requested campaign's file, not those of others.
func TestBrokenCampaignIsNamed(t *testing.T) {
	dir := campaignsDir(t)
	write(t, dir, "30.json", `{"id": 30, "applicationId": 1, "channelTypes": ["cloud_api"], "messageContent": [{"body": "{{a b}}"}]}`)
	write(t, dir, "31.json", `{"id": 31, "applicationId": 1}`)
	found, why, details, err := NewCampaigns(dir).Find(1, 30)
	switch {
	case found != nil:
		t.Errorf("found = %+v, want nil", found)
	case err != nil:
		t.Error(err)
	case why != "campaign 30 of application 1 can't be used: its file 30.json has errors; ask the operator to fix it":
		t.Errorf("why = %q, want %q", why, "campaign 30 of application 1 can't be used: its file 30.json has errors; ask the operator to fix it")
	}
	if details.Count != 1 {
		t.Errorf("details: details.Count = %v, want 1", details.Count)
	}
	if !strings.HasPrefix(details.List[0].String(), "30.json:1:92: messageContent.0.body: the variable") {
		t.Errorf("details: want \"30.json:1:92: messageContent.0.body: the variable\" at the start in:\n%s", details.List[0].String())
	}
}

// A campaign file is read again after it was replaced by one of the same size and time.
func TestReplacedCampaignIsReadAgain(t *testing.T) {
	dir := campaignsDir(t)
	c := NewCampaigns(dir)
	file := filepath.Join(dir, "7.json")
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
	write(t, dir, "7.json.new", strings.Replace(string(text), `"a"`, `"b"`, 1))
	if err := os.Chtimes(file+".new", time.Time{}, stat.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	switch after, _, _, err := c.Find(1, 7); {
	case err != nil:
		t.Error(err)
	case after == nil:
		t.Error("after is nil")
	case after.Title != "b":
		t.Errorf("after.Title = %q, want \"b\"", after.Title)
	}
}
