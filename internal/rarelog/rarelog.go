// Package rarelog logs what may recur at every look, such as a folder that can't be read, only once
// or now and then. It is a room of its own because intake, the folder keeper and the page for the
// partner look again and again.
package rarelog

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// interval is the time between repeated log lines for one error.
const interval = 10 * time.Minute

// Log is a log that remembers what it has logged. Its methods are safe for concurrent use.
type Log struct {
	*slog.Logger
	now func() time.Time

	mu   sync.Mutex           // guards all below
	once map[string]bool      // keys of warnings that are logged only once
	last map[string]time.Time // time of the last log line of each error
}

// New returns a Log that writes to log.
func New(log *slog.Logger, now func() time.Time) *Log {
	return &Log{Logger: log, now: now, once: map[string]bool{}, last: map[string]time.Time{}}
}

// Recently reports whether text was logged within ten minutes, and otherwise records that it is
// logged now.
func (l *Log) Recently(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if at, known := l.last[text]; known && now.Sub(at) < interval && !now.Before(at) {
		return true
	}
	maps.DeleteFunc(l.last, func(_ string, at time.Time) bool { return now.Sub(at) >= interval })
	l.last[text] = now
	return false
}

// Once logs a warning the first time it is called with key.
func (l *Log) Once(key, message string, args ...any) {
	l.mu.Lock()
	known := l.once[key]
	l.once[key] = true
	l.mu.Unlock()
	if !known {
		l.Warn(message, args...)
	}
}
