// Package e2e tests the installed parts together: packaged configuration and unit.
package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/send/drivers"
)

// TestPackagedConfig checks that the unit allows everything the installed configuration needs.
func TestPackagedConfig(t *testing.T) {
	c, problems := config.Load("../../packaging/campaignd.toml", drivers.All())
	if problems.Count > 0 {
		t.Fatalf("the installed configuration is refused: %v", problems.List)
	}
	if c.StateDir != "/var/lib/campaignd" || c.CampaignsDir != "/etc/campaignd/campaigns" || c.Listen != "" {
		t.Errorf("state_dir %q, campaigns_dir %q, listen %q", c.StateDir, c.CampaignsDir, c.Listen)
	}
	if len(c.Inboxes) != 1 || c.Inboxes[0].Path != "/var/lib/campaignd/inbox" {
		t.Errorf("inboxes: %+v", c.Inboxes)
	}
	unit, err := os.ReadFile("../../systemd/campaignd.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"\nStateDirectory=campaignd\n", "\nReadWritePaths=-/srv/campaignd\n",
		// Otherwise a panic exits with status 2, like an invalid configuration, and isn't restarted.
		"\nEnvironment=GOTRACEBACK=crash\n"} {
		if !strings.Contains(string(unit), line) {
			t.Errorf("the unit lacks %q", line)
		}
	}
	if c.StopTimeout >= 45*time.Second {
		t.Errorf("stop_timeout %v is not within the unit's TimeoutStopSec", c.StopTimeout)
	}
}
