package watch

import (
	"log/slog"
	"strings"
	"sync"
)

// lines gathers log lines.
type lines struct {
	mu  sync.Mutex
	got []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, string(p))
	return len(p), nil
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.got...)
}

// count returns the number of lines that contain text.
func (l *lines) count(text string) int {
	n := 0
	for _, line := range l.all() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
