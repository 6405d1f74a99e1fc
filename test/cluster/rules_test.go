package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// arrival is one request that the receiver got.
type arrival struct {
	at      time.Time
	key     string
	contact string
	gone    <-chan struct{} // closed when the sender has closed its connection
}

// arrivals records the requests of a receiver in their order.
type arrivals struct {
	answer func(arrival) int // status, after as long as it takes; called by several goroutines

	mu   sync.Mutex // guards list
	list []arrival
}

// record lets a receiver of the test's own take the place of the world's.
func (w *world) record(answer func(arrival) int) *arrivals {
	w.t.Helper()
	a := &arrivals{answer: answer}
	server := httptest.NewServer(a)
	w.t.Cleanup(server.Close)
	w.edit(w.hook.URL+"/in", server.URL)
	return a
}

func (a *arrivals) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	one := arrival{at: time.Now(), key: r.Header.Get("Idempotency-Key"), gone: r.Context().Done()}
	var message struct{ ContactCode string }
	body, err := io.ReadAll(r.Body) // to its end: only then the server watches the connection
	if err == nil {
		err = json.Unmarshal(body, &message)
	}
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	one.contact = message.ContactCode
	a.mu.Lock()
	a.list = append(a.list, one)
	a.mu.Unlock()
	rw.WriteHeader(a.answer(one))
}

// all returns the arrivals so far.
func (a *arrivals) all() []arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list[:len(a.list):len(a.list)]
}

// taking returns an answer that takes d.
func taking(d time.Duration) func(arrival) int {
	return func(arrival) int {
		time.Sleep(d) // what the receiver's work takes
		return http.StatusNoContent
	}
}

// edit replaces a text of the configuration.
func (w *world) edit(old, replacement string) {
	w.t.Helper()
	w.change(w.config, old, replacement)
}

// change replaces a text of a file.
func (w *world) change(path, old, replacement string) {
	w.t.Helper()
	text, err := os.ReadFile(path)
	w.must(err)
	if !strings.Contains(string(text), old) {
		w.t.Fatalf("%s has no %q", path, old)
	}
	w.write(path, strings.ReplaceAll(string(text), old, replacement))
}

// statusOf reads what the test needs of the hub's status.
type statusOf struct {
	Queue   struct{ Pending, InFlight, Retrying uint64 }
	Cluster struct {
		HandedOut int
		Problem   string
	}
	Channels []struct{ ChannelType, State, Reason string }
}

func (w *world) status() (s statusOf) {
	w.t.Helper()
	out, err := w.run("status", "--json")
	w.must(err)
	w.must(json.Unmarshal([]byte(out), &s))
	return s
}

// workers starts n workers and waits until they run.
func (w *world) workers(n int) []*process {
	w.t.Helper()
	list := make([]*process, n)
	for i := range list {
		list[i] = w.worker(i + 1)
	}
	w.workersRun(n)
	return list
}

// After pause or cancel has returned, no more arrives than the command says was claimed.
func TestWhatArrivesAfterPauseAndCancelWasClaimed(t *testing.T) {
	for _, channel := range []string{viaRetry, viaHold} {
		t.Run(channel, func(t *testing.T) {
			w := newWorld(t, 0)
			got := w.record(taking(150 * time.Millisecond))
			w.nats()
			w.hub()
			w.workers(3)
			const rows = 600
			w.drop("spring", channel, rows)
			for i, command := range []string{"pause", "cancel"} {
				w.until(30*time.Second, "messages arrive", func() bool { return len(got.all()) >= 60*(i+1) })
				out, err := w.run(command, "spring", "--json")
				atReturn := len(got.all())
				w.must(err)
				var change struct{ InFlight int }
				w.must(json.Unmarshal([]byte(out), &change))
				w.until(30*time.Second, "nothing is in flight", func() bool { return w.status().Queue.InFlight == 0 })
				if later := len(got.all()) - atReturn; later > change.InFlight {
					t.Errorf("%d messages arrived after %s had returned, want at most the %d that it says", later, command, change.InFlight)
				}
				if places := 3 * concurrency; change.InFlight > places {
					t.Errorf("%s says %d messages were in flight, want at most the %d places of the workers", command, change.InFlight, places)
				}
				if command == "pause" {
					_, err := w.run("resume", "spring")
					w.must(err)
				}
			}
			outcomes := w.canceled("spring")
			all := got.all()
			if outcomes["sent"] != len(all) || outcomes["sent"]+outcomes["canceled"] != rows {
				t.Errorf("outcomes are %v after %d arrivals, want each of %d sent or canceled", outcomes, len(all), rows)
			}
		})
	}
}

// canceled waits for the end of a canceled drop and counts the outcomes.
func (w *world) canceled(name string) map[string]int {
	w.t.Helper()
	return w.outcomesIn(filepath.Join(w.dir, "inbox", "failed", name+".2*"), 30*time.Second)
}

// A contact that opts out while its message waits for a worker's claim gets nothing.
func TestAnOptOutBetweenPickAndClaimIsObeyed(t *testing.T) {
	for _, channel := range []string{viaRetry, viaHold} {
		t.Run(channel, func(t *testing.T) {
			w := newWorld(t, 0)
			got := w.record(taking(0))
			w.nats()
			w.hub()
			workers := w.workers(1)
			workers[0].signal(syscall.SIGSTOP)
			const rows = 3
			w.drop("spring", channel, rows)
			w.until(30*time.Second, "a batch waits for the worker", func() bool { return w.status().Cluster.HandedOut > 0 })
			opted := "34600000001"
			_, err := w.run("suppress", "add", opted)
			w.must(err)
			workers[0].signal(syscall.SIGCONT)
			outcomes := w.outcomes("spring", time.Minute)
			if outcomes["sent"] != rows-1 || outcomes["suppressed"] != 1 {
				t.Errorf("outcomes are %v, want 1 suppressed and the rest sent", outcomes)
			}
			for _, a := range got.all() {
				if a.contact == opted {
					t.Error("a message to a contact that had opted out arrived")
				}
			}
		})
	}
}

// jitter is how much closer together two messages may arrive than they were claimed.
const jitter = 300 * time.Millisecond

// The rate is that of all workers together, also after a moment in which nobody could claim.
func TestTheRateOfAllWorkersTogetherIsNeverExceeded(t *testing.T) {
	rounds(t)
	for _, c := range []struct{ rate, rows int }{{1, 12}, {80, 900}} {
		for _, channel := range []string{viaRetry, viaHold} {
			t.Run(fmt.Sprint(c.rate, channel), func(t *testing.T) {
				w := newWorld(t, 0)
				got := w.record(taking(20 * time.Millisecond))
				w.edit("concurrency = ", fmt.Sprintf("rate = %d\nconcurrency = ", c.rate))
				w.nats()
				hub := w.hub()
				w.workers(6)
				begun := time.Now()
				w.drop("spring", channel, c.rows)
				w.until(time.Minute, "messages arrive", func() bool { return len(got.all()) >= c.rows/4 })
				hub.signal(syscall.SIGSTOP)
				timer := time.NewTimer(2 * time.Second)
				defer timer.Stop()
				<-timer.C // the accident lasts so long
				hub.signal(syscall.SIGCONT)
				w.allSent("spring", c.rows)
				all := got.all()
				if len(all) != c.rows {
					t.Errorf("%d messages arrived, want %d", len(all), c.rows)
				}
				for i := range all {
					for j := i + 1; j < len(all); j++ {
						took := all[j].at.Sub(all[i].at)
						if most := float64(c.rate) * (took + jitter).Seconds(); float64(j-i) > most {
							t.Fatalf("%d messages arrived within %s, %s after the drop: more than %d/s", j-i+1, took, all[i].at.Sub(begun), c.rate)
						}
					}
				}
			})
		}
	}
}

// A slot delivers at most its capacity, attempts that fail included, however many workers send.
func TestASlotOfAllWorkersNeverDeliversMoreThanItsCapacity(t *testing.T) {
	rounds(t)
	for _, channel := range []string{viaRetry, viaHold} {
		t.Run(channel, func(t *testing.T) {
			w := newWorld(t, 0)
			const slot, capacity, rows = 5 * time.Second, 60, 240
			var mu sync.Mutex // guards failed
			failed := map[string]bool{}
			got := w.record(func(a arrival) int {
				time.Sleep(20 * time.Millisecond) // what the receiver's work takes
				mu.Lock()
				defer mu.Unlock()
				if strings.HasSuffix(a.contact, "3") && !failed[a.key] {
					failed[a.key] = true
					return http.StatusTooEarly
				}
				return http.StatusNoContent
			})
			w.edit("timezone = \"UTC\"\n", fmt.Sprintf("timezone = \"UTC\"\nslicing = {enabled = true, activation_recipients = 10, slot = %q, capacity = %d, pacing = \"burst\"}\n", slot, capacity))
			w.nats()
			hub := w.hub()
			workers := w.workers(6)
			w.drop("spring", channel, rows)
			w.until(time.Minute, "messages arrive", func() bool { return len(got.all()) >= capacity+5 })
			for _, p := range append(workers[:3:3], hub) {
				p.signal(syscall.SIGSTOP)
			}
			timer := time.NewTimer(3 * time.Second)
			defer timer.Stop()
			<-timer.C // the accident lasts so long
			for _, p := range append(workers[:3:3], hub) {
				p.signal(syscall.SIGCONT)
			}
			if outcomes := w.outcomes("spring", 2*time.Minute); outcomes["sent"] != rows {
				t.Errorf("outcomes are %v, want %d sent", outcomes, rows)
			}
			checkSlots(t, got.all(), slot, capacity)
		})
	}
}

// checkSlots counts the arrivals of each slot. What arrives within jitter of its begin may have been handed
// over in the slot before, if that has room.
func checkSlots(t *testing.T, all []arrival, slot time.Duration, capacity int) {
	t.Helper()
	counts := map[time.Time]int{}
	for _, a := range all {
		begin := a.at.Truncate(slot)
		if before := begin.Add(-slot); a.at.Sub(begin) < jitter && counts[before] < capacity {
			begin = before
		}
		counts[begin]++
	}
	for begin, n := range counts {
		if n > capacity {
			t.Errorf("%d messages arrived in the slot of %s, want at most %d", n, begin, capacity)
		}
	}
}

// A message that kills every worker that sends it is unknown after three workers on "retry" and after one on
// "hold". The rest is sent.
func TestABatchThatKillsWorkersEnds(t *testing.T) {
	rounds(t)
	for _, c := range []struct {
		channel string
		most    int // workers that it kills
	}{{viaRetry, 3}, {viaHold, 1}} {
		t.Run(c.channel, func(t *testing.T) {
			w := newWorld(t, 0)
			const rows, deadly = 200, "34600000100"
			killed := make(chan struct{}, 100)
			got := w.record(func(a arrival) int {
				if a.contact == deadly {
					killed <- struct{}{}
					<-a.gone // the worker has been killed
				}
				return http.StatusNoContent
			})
			w.nats()
			w.hub()
			one := w.worker(1)
			w.workersRun(1)
			w.drop("spring", c.channel, rows)
			ended := make(chan struct{})
			restarted := make(chan struct{})
			go func() { // the service manager
				defer close(restarted)
				for {
					select {
					case <-killed:
						one.kill()
						one = w.worker(1)
					case <-ended:
						return
					}
				}
			}()
			outcomes := w.outcomes("spring", 3*time.Minute)
			close(ended)
			<-restarted
			kills := 0
			for _, a := range got.all() {
				if a.contact == deadly {
					kills++
				}
			}
			if kills > c.most {
				t.Errorf("the message killed %d workers, want at most %d", kills, c.most)
			}
			if n := outcomes["unknown"]; n < 1 || n > concurrency || outcomes["sent"] != rows-n {
				t.Errorf("outcomes are %v, want 1 to %d unknown and the rest sent", outcomes, concurrency)
			}
		})
	}
}
