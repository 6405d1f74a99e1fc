package daemon

import (
	"context"
	"time"
)

// every calls do at once and then at each interval, until ctx ends or do returns false.
func every(ctx context.Context, interval time.Duration, do func() (again bool)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for do() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
