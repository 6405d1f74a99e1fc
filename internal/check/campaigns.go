package check

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/plan/document"
	"campaignd/internal/safeio"
)

// Campaigns reads the files of campaigns_dir, and reads them again when they change
// (docs/contract.md 6). Every call looks at size, times and inode of each file.
type Campaigns struct {
	dir   string
	mu    sync.Mutex // guards files
	files map[string]campaignFile
}

type campaignFile struct {
	id       campaign.FileID
	campaign *campaign.Campaign
	partial  *campaign.Campaign // what could be read of a file with problems
	problems campaign.Problems
}

// NewCampaigns returns the campaigns of a folder. It reads nothing yet.
func NewCampaigns(dir string) *Campaigns {
	return &Campaigns{dir: dir, files: map[string]campaignFile{}}
}

// Find returns the campaign, or nil with the reason. details holds the problems of the file that
// should define the campaign. The error concerns reading the folder.
func (c *Campaigns) Find(application, id int64) (found *campaign.Campaign, why string, details campaign.Problems, err error) {
	all, broken, err := c.All()
	if err != nil {
		return nil, "", details, err
	}
	var others []int64
	for _, one := range all {
		if one.ApplicationID != application {
			continue
		}
		others = append(others, one.ID)
		if one.ID != id {
			continue
		}
		if found != nil {
			return nil, fmt.Sprintf("campaign %d of application %d is defined twice, in %s and %s; ask the operator to remove one",
				id, application, found.File, one.File), details, nil
		}
		found = one
	}
	if found != nil {
		return found, "", details, nil
	}
	if file := c.broken(application, id); file != nil {
		return nil, fmt.Sprintf("campaign %d of application %d can't be used: its file %s has errors; ask the operator to fix it",
			id, application, file.partial.File), file.problems, nil
	}
	why = fmt.Sprintf("application %d has no campaign %d", application, id)
	if len(others) > 0 {
		slices.Sort(others)
		why += "; it has " + display.Numbers(slices.Compact(others))
	}
	if broken.Count > 0 {
		why += "; a campaign file can't be read, so ask the operator to run \"campaignd doctor\""
	}
	if len(others) == 0 && broken.Count == 0 {
		why += " and no other campaign; ask the operator"
	}
	return nil, why, details, nil
}

// broken returns the file that would define the campaign if it had no problems, or nil.
func (c *Campaigns) broken(application, id int64) *campaignFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		file := c.files[name]
		if m := file.partial; m != nil && m.ApplicationID == application && m.ID == id {
			return &file
		}
	}
	return nil
}

// All returns the readable campaigns sorted by file name, and the problems of the other files.
func (c *Campaigns) All() ([]*campaign.Campaign, campaign.Problems, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := os.ReadDir(c.dir) // sorted by name
	if err != nil {
		return nil, campaign.Problems{}, fmt.Errorf("list campaigns: %w", err)
	}
	now := make(map[string]campaignFile, len(entries))
	var all []*campaign.Campaign
	var broken campaign.Problems
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := filepath.Join(c.dir, e.Name())
		file := c.read(name)
		now[name] = file
		broken.Merge(file.problems)
		if file.campaign != nil {
			all = append(all, file.campaign)
		}
	}
	c.files = now
	return all, broken, nil
}

func (c *Campaigns) read(name string) campaignFile {
	base := filepath.Base(name)
	var file campaignFile
	info, err := os.Stat(name)
	if err != nil {
		file.problems.AddCode("campaign-broken", base, 0, 0, "", "can't be read: %v", err)
		return file
	}
	if !info.Mode().IsRegular() {
		file.problems.AddCode("campaign-broken", base, 0, 0, "", "is not a regular file")
		return file
	}
	file.id = safeio.FileID(info)
	if old, ok := c.files[name]; ok && old.id == file.id {
		return old
	}
	f, err := os.Open(name)
	if err != nil {
		file.problems.AddCode("campaign-broken", base, 0, 0, "", "can't be read: %v", err)
		return file
	}
	defer f.Close()
	data, err := document.Read(f)
	if err != nil {
		file.problems.AddCode("campaign-broken", base, 0, 0, "", "can't be read: %v", err)
		return file
	}
	file.campaign, file.problems = document.ParseCampaign(base, data)
	if file.problems.Count > 0 {
		file.campaign, file.partial = nil, file.campaign
	}
	return file
}
