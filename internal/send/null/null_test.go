package null

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/send"
	"campaignd/internal/send/sendtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	var last *Channel
	sendtest.Run(t, sendtest.Driver{
		New: func(*testing.T, string, time.Duration) send.Channel {
			last = New(1024)
			return last
		},
		Item: `{"body":"hello {{name}}"}`, Contact: "34600000001",
		Count: func() int { return int(last.Sent()) },
		Cases: map[sendtest.Case]sendtest.Want{sendtest.Success: {Verdict: send.VerdictSent}},
	})
	if n := New(0).Batch(); n != 1 {
		t.Errorf("batch %d, want 1", n)
	}
}
