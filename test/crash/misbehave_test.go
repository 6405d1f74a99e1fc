package crash

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campaignd/test/loopback"
)

const misbehaveConfig = `state_dir = %q
campaigns_dir = %q
rescan = "1s"
[log]
format = "json"
[[inboxes]]
path = %q
settle = "20ms"
[[applications]]
id = 1
timezone = "UTC"
%s
[applications.channels.hook]
driver = "webhook"
url = %q
%s
`

// scripted is a receiver that behaves as a test says and notes who got a message.
type scripted struct {
	*httptest.Server
	mu    sync.Mutex     // guards times
	times map[string]int // messages that were accepted, by contact
}

// newScripted returns a receiver that is not listening yet. answer returns the status to
// answer with after the message of a contact was noted.
func newScripted(t *testing.T, answer func(contact string) int) *scripted {
	r := &scripted{times: map[string]int{}}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var m struct {
			ContactCode string `json:"contactCode"`
		}
		if err := json.NewDecoder(req.Body).Decode(&m); err != nil {
			return // cut off by a kill
		}
		status := http.StatusOK
		if answer != nil {
			status = answer(m.ContactCode)
		}
		if status == http.StatusOK {
			r.mu.Lock()
			r.times[m.ContactCode]++
			r.mu.Unlock()
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

// got returns how many contacts got how many messages.
func (r *scripted) got() (contacts, messages int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.times {
		messages += n
	}
	return len(r.times), messages
}

// newMisbehaved returns a running world whose only channel posts to url. channel and application
// are more settings of either.
func newMisbehaved(t *testing.T, url, channel string, application ...string) *world {
	t.Helper()
	w := newWorld(t, settings{})
	w.write(w.config, fmt.Sprintf(misbehaveConfig, w.state, filepath.Join(w.dir, "campaigns"), w.inbox,
		strings.Join(application, "\n"), url, channel))
	for _, id := range []int{viaHold, viaOutbox, sliced} {
		w.must(os.Remove(filepath.Join(w.dir, "campaigns", fmt.Sprint(id, ".json"))))
	}
	w.start().ready()
	return w
}

// shown is what `campaignd show --json` prints of a sending.
type shown struct {
	State    string
	Messages map[string]int
	WaitsFor struct{ Reason string }
}

// show returns the state of a drop, empty until it is claimed.
func (w *world) show(d drop) (s shown) {
	w.t.Helper()
	if out, err := w.run("show", d.name, "--json"); err == nil {
		w.must(json.Unmarshal([]byte(out), &s))
	}
	return s
}

// do runs a command that must succeed.
func (w *world) do(args ...string) {
	w.t.Helper()
	_, err := w.run(args...)
	w.must(err)
}

// text reads a drop's report.txt.
func (w *world) text(d drop) string {
	w.t.Helper()
	_, path := w.folder(d.name)
	data, err := os.ReadFile(filepath.Join(path, "report.txt"))
	w.must(err)
	return string(data)
}

// A receiver keeps every message and answers after the timeout. Nobody is told that nothing was
// sent, and the same drop can't be sent again by accident.
func TestDeliveredButTimedOutIsUnknownAfterACancel(t *testing.T) {
	arrived := make(chan struct{}, 100)
	release := make(chan struct{})
	hook := newScripted(t, func(string) int {
		arrived <- struct{}{}
		<-release
		return http.StatusOK
	})
	hook.Start()
	w := newMisbehaved(t, hook.URL, "timeout = \"300ms\"\nretry_base = \"1h\"\nretry_max = \"1h\"")
	d := w.drop("spring", viaHook, 12, 0, "")
	for range d.rows {
		<-arrived
	}
	w.until(10*time.Second, "every attempt timed out", func() bool { return w.show(d).Messages["retrying"] == d.rows })
	close(release)
	w.do("cancel", "spring")
	w.ended(10*time.Second, d)
	e := w.balance(d)
	if e.state != "canceled" || e.counts["unknown"] != d.rows {
		t.Errorf("it is %s with outcomes %v; want canceled and %d unknown", e.state, e.counts, d.rows)
	}
	text := w.text(d)
	if said := "before anything was sent"; strings.Contains(text, said) {
		t.Errorf("want no %q in report.txt:\n%s", said, text)
	}
	if want := "We don't know whether 12 messages were delivered"; !strings.Contains(text, want) {
		t.Errorf("want %q in report.txt:\n%s", want, text)
	}
	again := w.prepare("again", viaHook, 12, 0, "")
	again.files["again.csv"] = d.files["spring.csv"]
	w.place(again)
	w.ended(10*time.Second, again)
	if e := w.balance(again); e.state != "rejected" || !strings.Contains(e.reason, "the same drop was accepted") {
		t.Errorf("the same drop again is %s: %s; want it rejected as the same drop", e.state, e.reason)
	}
	if contacts, messages := hook.got(); contacts != 12 || messages != 12 {
		t.Errorf("%d contacts got %d messages; want 12 and 12", contacts, messages)
	}
}

// Four requests are with a slow receiver, the others wait for their turn. Once the opt-outs are
// acknowledged, none of the others leaves.
func TestOptOutsWhileAReceiverIsSlow(t *testing.T) {
	release := make(chan struct{})
	var first atomic.Int64
	hook := newScripted(t, func(string) int {
		first.Add(1)
		<-release
		return http.StatusOK
	})
	hook.Start()
	w := newMisbehaved(t, hook.URL, "concurrency = 4")
	d := w.drop("spring", viaHook, 40, 0, "")
	w.until(10*time.Second, "four requests are with the receiver", func() bool { return first.Load() == 4 })
	args := []string{"suppress", "add"}
	for line := range strings.Lines(d.files["spring.csv"]) {
		if contact, _, _ := strings.Cut(line, ","); strings.HasPrefix(contact, "34") {
			args = append(args, contact)
		}
	}
	w.do(args...)
	close(release)
	w.ended(10*time.Second, d)
	if contacts, _ := hook.got(); contacts != 4 {
		t.Errorf("%d contacts got a message; want the 4 whose requests had left before", contacts)
	}
	if e := w.balance(d); e.counts["sent"] != 4 || e.counts["suppressed"] != 36 {
		t.Errorf("outcomes %v; want 4 sent and 36 suppressed", e.counts)
	}
}

// Nothing listens at the receiver's address for a while. One message fares like many: none fails,
// the status says why it waits, and all arrive once the receiver is there.
func TestRefusedConnectionsCostNoMessage(t *testing.T) {
	address := loopback.FreeAddress(t)
	w := newMisbehaved(t, "http://"+address, "max_attempts = 2\nretry_base = \"10ms\"")
	one, many := w.drop("one", viaHook, 1, 0, ""), w.drop("many", viaHook, 200, 0, "")
	w.until(15*time.Second, "waiting for the receiver", func() bool {
		for _, d := range []drop{one, many} {
			if !strings.Contains(w.show(d).WaitsFor.Reason, "refused") {
				return false
			}
		}
		return true
	})
	hook := newScripted(t, nil)
	var err error
	hook.Listener, err = net.Listen("tcp", address)
	w.must(err)
	hook.Start()
	w.do("resume", "--channel", "hook") // it would be tried within a minute
	w.ended(20*time.Second, one, many)
	for _, d := range []drop{one, many} {
		if e := w.balance(d); e.counts["sent"] != d.rows {
			t.Errorf("%s: outcomes %v; want %d sent", d.name, e.counts, d.rows)
		}
	}
}

// During a deploy the receiver answers 404. That costs a few messages, not the list, and a resend
// sends those too.
func TestNotFoundDuringADeploy(t *testing.T) {
	var deployed atomic.Bool
	hook := newScripted(t, func(string) int {
		if deployed.Load() {
			return http.StatusOK
		}
		return http.StatusNotFound
	})
	hook.Start()
	w := newMisbehaved(t, hook.URL, "concurrency = 4")
	d := w.drop("spring", viaHook, 500, 0, "")
	w.until(10*time.Second, "the channel is in trouble", func() bool {
		return strings.Contains(w.show(d).WaitsFor.Reason, "404")
	})
	deployed.Store(true)
	w.do("resume", "--channel", "hook")
	w.ended(20*time.Second, d)
	e := w.balance(d)
	if failed := e.counts["failed"]; failed < 3 || failed > 12 || e.counts["sent"] != d.rows-failed {
		t.Errorf("outcomes %v; want a few failed and the others sent", e.counts)
	}
	w.do("resend", "spring", "--failed")
	w.until(20*time.Second, "all are sent", func() bool {
		contacts, _ := hook.got()
		return contacts == d.rows
	})
	w.ended(20*time.Second, d)
}

// A receiver takes long to answer, so a cancel can't end at once. It says so, it is in the audit trail
// once, and what waits for a worker isn't called in flight.
func TestCancelWhileAReceiverIsSlow(t *testing.T) {
	release := make(chan struct{})
	var first atomic.Int64
	hook := newScripted(t, func(string) int {
		first.Add(1)
		<-release
		return http.StatusOK
	})
	hook.Start()
	w := newMisbehaved(t, hook.URL, "concurrency = 4\ntimeout = \"1m\"")
	d := w.drop("spring", viaHook, 40, 0, "")
	w.until(10*time.Second, "four requests are with the receiver", func() bool { return first.Load() == 4 })
	out, err := w.run("cancel", "spring")
	w.must(err)
	if want := "(spring) is being canceled. 36 messages will not be sent. Up to 4 were already on their way"; !strings.Contains(out, want) {
		t.Errorf("cancel says %q; want %q", out, want)
	}
	if reason := w.show(d).WaitsFor.Reason; !strings.Contains(reason, "it is canceled") {
		t.Errorf("it waits for %q; want the answers to its last messages", reason)
	}
	close(release)
	w.ended(10*time.Second, d)
	if out, err := w.run("cancel", "spring"); err != nil || !strings.Contains(out, "was already canceled: nothing has changed") {
		t.Errorf("canceling it again says %q, %v", out, err)
	}
	if out, err := w.run("audit"); err != nil || strings.Count(out, "cancel") != 1 {
		t.Errorf("the audit trail has not exactly one cancel, %v:\n%s", err, out)
	}
	if e := w.balance(d); e.counts["sent"] != 4 || e.counts["canceled"] != 36 {
		t.Errorf("outcomes %v; want 4 sent and 36 canceled", e.counts)
	}
}
