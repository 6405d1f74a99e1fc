package intake

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/document"
)

// maxDocument is the most bytes a layout, sidecar or campaign file may have (SPEC 4).
const maxDocument = 1 << 20

// Campaigns reads the files of campaigns_dir and reads them again when they
// change (SPEC 6): a change is noticed at the next look, by size and time.
type Campaigns struct {
	dir   string
	mu    sync.Mutex // guards files
	files map[string]campaignFile
}

type campaignFile struct {
	size     int64
	modTime  int64
	campaign *campaign.Campaign
	problems campaign.Problems
}

// NewCampaigns names the folder. Nothing is read yet.
func NewCampaigns(dir string) *Campaigns {
	return &Campaigns{dir: dir, files: map[string]campaignFile{}}
}

// Find is the campaign of that application and id. When there is none it is nil
// and the problem says why and which there are. The error is of reading the folder.
func (c *Campaigns) Find(application, id int64) (*campaign.Campaign, string, error) {
	all, broken, err := c.All()
	if err != nil {
		return nil, "", err
	}
	var found *campaign.Campaign
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
				id, application, found.File, one.File), nil
		}
		found = one
	}
	if found != nil {
		return found, "", nil
	}
	why := fmt.Sprintf("application %d has no campaign %d", application, id)
	if len(others) > 0 {
		slices.Sort(others)
		why += "; it has " + listed(slices.Compact(others))
	}
	if broken.Count > 0 {
		why += "; a campaign file can't be read, so ask the operator to run \"campaignd doctor\""
	}
	return nil, why, nil
}

// All are the readable campaigns in order of file name, and what is wrong with the others.
func (c *Campaigns) All() ([]*campaign.Campaign, campaign.Problems, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := os.ReadDir(c.dir) // in order of name
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
		file.problems.Addf(base, 0, 0, "", "can't be read: %v", err)
		return file
	}
	if !info.Mode().IsRegular() {
		file.problems.Addf(base, 0, 0, "", "is not a regular file")
		return file
	}
	file.size, file.modTime = info.Size(), info.ModTime().UnixNano()
	if old, ok := c.files[name]; ok && old.size == file.size && old.modTime == file.modTime {
		return old
	}
	f, err := os.Open(name)
	if err != nil {
		file.problems.Addf(base, 0, 0, "", "can't be read: %v", err)
		return file
	}
	defer f.Close()
	data, err := readDocument(f)
	if err != nil {
		file.problems.Addf(base, 0, 0, "", "can't be read: %v", err)
		return file
	}
	file.campaign, file.problems = document.ParseCampaign(base, data)
	if file.problems.Count > 0 {
		file.campaign = nil
	}
	return file
}

// errTooLarge is returned when a document has more than maxDocument bytes.
var errTooLarge = fmt.Errorf("has more than the %d bytes (1 MiB) that a JSON file may have", maxDocument)

// readDocument reads a small file whole.
func readDocument(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, errTooLarge
	}
	return data, nil
}
