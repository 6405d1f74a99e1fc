package crash

import (
	"cmp"
	"math/rand/v2"
	"testing"
	"time"
)

// TestRandomKills kills the daemon at random moments during one large sending and
// smaller ones on other channels.
func TestRandomKills(t *testing.T) {
	for _, c := range []struct {
		name               string
		via                int
		kills, rows, rate  int
		fullKills, allRows int
		allRate            int
		within             time.Duration // longest time from the first message to a kill; 0: 120 ms
	}{
		{name: "retry", via: viaHook, kills: 6, rows: 6_000, rate: 8_000, fullKills: 200, allRows: 100_000, allRate: 4_000},
		{name: "hold", via: viaHold, kills: 4, rows: 4_000, rate: 8_000, fullKills: 60, allRows: 30_000, allRate: 4_000},
		// Without a rate the outbox takes several hundred thousand messages a second: more rows, earlier kills.
		{name: "outbox", via: viaOutbox, kills: 3, rows: 120_000, fullKills: 20, allRows: 800_000, within: 30 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			kills, rows, rate := c.kills, c.rows, c.rate
			if full() {
				kills, rows, rate = c.fullKills, c.allRows, c.allRate
			}
			w := newWorld(t, settings{rate: rate})
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			w.start().ready().kill() // creates the store
			d := w.drop("large", c.via, rows, 50, "")
			lost := uint64(0)
			for i := range kills {
				p := w.start()
				before := w.out()
				// Sometimes at any moment, otherwise once something has been sent.
				if i%4 != 0 {
					w.until(20*time.Second, "sending", func() bool { return w.out() > before })
				}
				p.Ended(time.Duration(random.Int64N(int64(cmp.Or(c.within, 120*time.Millisecond)))))
				if place, _ := w.folder("large"); place == "done" {
					t.Fatalf("everything was sent after %d of %d kills: the test needs more rows", i, kills)
				}
				p.kill()
				lost += w.look()
			}
			w.start().ready()
			w.ended(2*time.Minute, d)
			e := w.balance(d)
			w.tidy()
			w.doctor()
			if e.state != "completed" {
				t.Errorf("%s: %s", e.state, e.reason)
			}
			if c.via == viaOutbox {
				if twice := w.outbox(e, kills); uint64(twice) > lost {
					t.Errorf("%d messages are in the outbox twice, but only %d were in flight", twice, lost)
				}
				return
			}
			twice := w.deliveries(e, w.hook.delivered(t))
			t.Logf("%d kills, %d in flight at them, %d delivered twice, outcomes %v", kills, lost, twice, e.counts)
			switch {
			case c.via == viaHold && twice > 0:
				t.Errorf("%d messages were delivered twice with on_unknown = hold", twice)
			case uint64(twice) > lost:
				t.Errorf("%d messages were delivered twice, but only %d were in flight", twice, lost)
			case c.via == viaHold && uint64(e.counts["unknown"]) > lost:
				t.Errorf("%d messages are unknown, but only %d were in flight", e.counts["unknown"], lost)
			case c.via == viaHook && e.counts["sent"] != d.rows:
				t.Errorf("%d of %d were sent", e.counts["sent"], d.rows)
			}
		})
	}
}

// TestManyDeathsOfOneMessage crashes the daemon with one message in flight, more often than the message may have
// attempts. The message is not given up and keeps its key.
func TestManyDeathsOfOneMessage(t *testing.T) {
	w := newWorld(t, settings{})
	w.start().ready().kill()
	deaths := 20
	d := w.drop("a", viaHook, 1, 0, "")
	for range deaths {
		w.start("CAMPAIGND_FAILPOINT=driver-returned:1").killed(20 * time.Second)
		if n := w.look(); n != 1 {
			t.Fatalf("%d messages are in flight", n)
		}
	}
	w.start()
	w.ended(20*time.Second, d)
	e := w.balance(d)
	got := w.hook.delivered(t)
	if e.counts["sent"] != 1 || len(got) != 1 {
		t.Errorf("%s, %d keys; want one message sent and one key", e.describe(), len(got))
	}
	if twice := w.deliveries(e, got); twice != deaths {
		t.Errorf("delivered %d times more than once in %d deaths", twice, deaths)
	}
}
