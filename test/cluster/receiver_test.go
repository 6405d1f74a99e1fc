package cluster

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is a webhook server that counts every delivery by its message and key.
type receiver struct {
	*httptest.Server
	delay time.Duration

	mu    sync.Mutex // guards the fields below
	times map[string]map[string]int
	paths map[string]int // deliveries by the path of their URL: each machine may have its own
	total int
	late  time.Duration // most time between a message's dueAt and its arrival
}

func newReceiver(t *testing.T, delay time.Duration) *receiver {
	r := &receiver{delay: delay, times: map[string]map[string]int{}, paths: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

// due finds in a request when the message was due.
var due = regexp.MustCompile(`"dueAt":"([^"]+)"`)

// greeting finds in a request the name of a drop's recipient, such as "spring 12".
var greeting = regexp.MustCompile(`Hello (\w+ \d+)`)

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	found := greeting.FindSubmatch(body)
	dueAt := due.FindSubmatch(body)
	if err != nil || found == nil || dueAt == nil { // the connection was cut
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	at, err := time.Parse(time.RFC3339Nano, string(dueAt[1]))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.late = max(r.late, time.Since(at))
	keys := r.times[string(found[1])]
	if keys == nil {
		keys = map[string]int{}
		r.times[string(found[1])] = keys
	}
	keys[req.Header.Get("Idempotency-Key")]++
	r.paths[req.URL.Path]++
	r.total++
	r.mu.Unlock()
	if r.delay > 0 {
		timer := time.NewTimer(r.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-req.Context().Done():
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// deliveries returns how often a recipient's message arrived, and under how many keys.
func (r *receiver) deliveries(name string) (times, keys int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.times[name] {
		times += n
	}
	return times, len(r.times[name])
}

// received returns the deliveries of a drop's messages so far.
func (r *receiver) received(drop string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, keys := range r.times {
		if strings.HasPrefix(name, drop+" ") {
			for _, times := range keys {
				n += times
			}
		}
	}
	return n
}

// latest returns how late the latest message was, by its dueAt.
func (r *receiver) latest() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.late
}

// at returns the deliveries at a path so far.
func (r *receiver) at(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paths[path]
}

// count returns the deliveries so far, and how many messages came more than once.
func (r *receiver) count() (deliveries, twice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, keys := range r.times {
		n := 0
		for _, times := range keys {
			n += times
		}
		if n > 1 {
			twice++
		}
	}
	return r.total, twice
}
