package relay

import (
	"fmt"
	"strings"
	"testing"

	"campaignd/test/natstest"

	"github.com/nats-io/nats-server/v2/server"
)

func TestServersThatDoNotSyncEveryWriteAreReported(t *testing.T) {
	for _, always := range []bool{true, false} {
		s := natstest.Start(t, &server.Options{HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT, SyncAlways: always})
		got := CheckSync(t.Context(), []string{fmt.Sprintf("http://%s", s.MonitorAddr())})
		if always && len(got) > 0 {
			t.Errorf("a server that syncs every write: got %q, want no problem", got)
		}
		if !always && (len(got) != 1 || !strings.Contains(got[0], "syncs every 2m0s")) {
			t.Errorf("a server with the default: got %q, want that it syncs every 2 minutes", got)
		}
	}
	switch got := CheckSync(t.Context(), []string{"http://127.0.0.1:1"}); {
	case len(got) != 1:
		t.Errorf("a server that doesn't answer: len(got) = %v, want 1: %+v", len(got), got)
	case !strings.Contains(got[0], "can't be asked"):
		t.Errorf("a server that doesn't answer: got[0] = %q, want \"can't be asked\" in it", got[0])
	}
}
