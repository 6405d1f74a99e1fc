package send

import (
	"testing"
	"time"
)

// A count of one isn't counted: a failed probe is the only failure in its row.
func TestReasonOfTrouble(t *testing.T) {
	now := time.Now()
	fail := func(b *circuitBreaker) {
		b.failed(now, &Result{Verdict: VerdictUnreachable, Detail: "mail.example:25 can't be reached"}, 10, time.Second, time.Minute)
	}
	gone := func(b *circuitBreaker) { b.missing(now, "404: the receiver answered 404 Not Found") }
	for name, test := range map[string]struct {
		note func(*circuitBreaker)
		want [2]string // after a failed probe of a throttled channel, and after the next one
	}{
		"failures": {fail, [2]string{"mail.example:25 can't be reached", "2 failures in a row, the last: mail.example:25 can't be reached"}},
		"nothing there": {gone, [2]string{"404: the receiver answered 404 Not Found",
			"2 answers in a row say that nothing is at the channel's address, the last: 404: the receiver answered 404 Not Found"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &circuitBreaker{}
			b.throttle(now, "slow down", time.Second)
			for n, want := range test.want {
				b.probe()
				test.note(b)
				var s ChannelStatus
				b.status(&s, now)
				if s.State != ChannelTrouble {
					t.Fatalf("after %d probes the channel is %s, want %s", n+1, s.State, ChannelTrouble)
				}
				if s.Reason != want {
					t.Errorf("after %d probes: got %q, want %q", n+1, s.Reason, want)
				}
			}
		})
	}
}
