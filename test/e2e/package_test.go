// Package e2e tests the installed parts together: packaged configuration and unit.
package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/config"
	"campaignd/internal/send/drivers"
)

// TestPackagedConfig checks that the unit allows everything the installed configuration needs.
func TestPackagedConfig(t *testing.T) {
	c, problems := config.Load("../../packaging/campaignd.toml", drivers.All())
	if problems.Count > 0 {
		t.Fatalf("the installed configuration is refused: %v", problems.List)
	}
	got := map[string]string{"state_dir": c.StateDir, "campaigns_dir": c.CampaignsDir, "listen": c.Listen}
	want := map[string]string{"state_dir": "/var/lib/campaignd", "campaigns_dir": "/etc/campaignd/campaigns", "listen": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the sample's folders and address (-want +got):\n%s", diff)
	}
	if len(c.Inboxes) != 1 || c.Inboxes[0].Path != "/var/lib/campaignd/inbox" {
		t.Errorf("inboxes are %+v, want one, /var/lib/campaignd/inbox", c.Inboxes)
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
