package check

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Files of a valid drop.
const (
	goodCSV     = "phone,first\n34666777888,Ada\n34666555666,Grace\n"
	goodLayout  = `{"contact": {"contactCode": "{{phone}}", "channelType": "cloud_api"}, "customFields": {"name": "{{first}}"}}`
	goodSidecar = `{"applicationId": 1, "campaignId": 7}`
)

const testConfig = `
state_dir = %q
campaigns_dir = %q
[[inboxes]]
path = %q
[[applications]]
id = 1
timezone = "Europe/Madrid"
[applications.channels.cloud_api]
driver = "outbox"
path = "var/outbox.jsonl"
`

// campaignsDir makes a folder with two campaigns.
func campaignsDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "7.json", `{"id": 7, "applicationId": 1, "title": "a", "enabled": true, "channelTypes": ["cloud_api"],
		"messageContent": [{"body": "hello {{name}}"}]}`)
	write(t, dir, "8.json", `{"id": 8, "applicationId": 1, "title": "two", "enabled": true, "channelTypes": ["cloud_api", "sms"],
		"messageContent": [{"body": "one"}, {"body": "two {{name}}"}]}`)
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkDrop checks the files of a drop; "" leaves one out.
func checkDrop(t *testing.T, csv, layout, sidecar string) *Finding {
	t.Helper()
	dir, campaigns := t.TempDir(), campaignsDir(t)
	write(t, dir, "campaignd.toml", fmt.Sprintf(testConfig, t.TempDir(), campaigns, t.TempDir()))
	c, problems := config.Load(filepath.Join(dir, "campaignd.toml"), drivers.All())
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	var paths []string
	for ending, text := range map[string]string{".csv": csv, ".layout.json": layout, ".schedule.json": sidecar} {
		if text != "" {
			write(t, dir, "spring"+ending, text)
			paths = append(paths, filepath.Join(dir, "spring"+ending))
		}
	}
	p, err := OpenFiles(paths, openFile)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Name = "spring"
	channels := map[string]send.Channel{"cloud_api": null.New(1)}
	checker := &Checker{Config: c, Campaigns: NewCampaigns(campaigns), Channels: func(int64) map[string]send.Channel { return channels }}
	f, err := checker.Check(t.Context(), p, &c.Inboxes[0], nil, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
