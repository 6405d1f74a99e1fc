package relay

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// An operator who reads the log of a standby must find there why it can't follow, once.
func TestProblemOfAStandbyIsNotInItsLog(t *testing.T) {
	n := startLogServer(t, 0)
	var lines bytes.Buffer
	l := n.connect().NewLog(LogOptions{Log: slog.New(slog.NewTextHandler(&lines, nil))})
	f := openCopy(t, filepath.Join(t.TempDir(), "copy.db"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*followRetry/2)
	defer cancel()
	l.Follow(ctx, f) // there is no log
	if got := strings.Count(lines.String(), ErrLogLost.Error()); got != 1 {
		t.Errorf("the log names the problem %d times, want once: %s", got, lines.String())
	}
}
