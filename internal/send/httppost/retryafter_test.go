package httppost

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"": 0, "0": 0, " 120 ": 2 * time.Minute, "-5": 0, "soon": 0, "1e3": 0, "99999999999999": math.MaxInt64,
		"99999999999999999999999": math.MaxInt64, "Tue, 24 Nov 2026 10:01:00 GMT": time.Minute, "Tue, 24 Nov 2026 09:00:00 GMT": 0} {
		if got := RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("RetryAfter(%q) = %v; want %v", text, got, want)
		}
	}
}
