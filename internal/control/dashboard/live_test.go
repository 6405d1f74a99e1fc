package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// wire is a ResponseWriter of a connection whose caller reads along.
type recorder struct {
	mu     sync.Mutex // guards all below
	header http.Header
	status int
	text   strings.Builder
	gone   bool
	noWait bool // the deadline for reading was lifted
}

func (w *recorder) Header() http.Header { return w.header }
func (w *recorder) WriteHeader(n int)   { w.status = n }
func (w *recorder) Flush()              {}

func (w *recorder) SetReadDeadline(at time.Time) error { w.noWait = at.IsZero(); return nil }

func (w *recorder) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return 0, errors.New("the caller has gone")
	}
	return w.text.Write(p)
}

// take gives the events since the last time, and the comments among them.
func (w *recorder) take(t *testing.T) (events []change, comments int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(w.text.String()) {
		switch data, ok := strings.CutPrefix(line, "data: "); {
		case ok:
			var e change
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Errorf("%v: %s", err, data)
			}
			events = append(events, e)
		case strings.HasPrefix(line, ":"):
			comments++
		}
	}
	w.text.Reset()
	return events, comments
}

func regions(events []change) []string {
	var names []string
	for _, e := range events {
		names = append(names, e.Region)
	}
	return names
}

// live runs test on a stream of a page in virtual time.
func testStream(t *testing.T, s *fakeDaemon, path string, test func(t *testing.T, d *Dashboard, w *recorder, leave func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, s)
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
		r.Header.Set("Accept", "text/event-stream")
		w := &recorder{header: http.Header{}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.ServeHTTP(w, r)
		}()
		synctest.Wait()
		time.Sleep(refreshEvery / 2) // what the test changes, it changes between two refreshes
		test(t, d, w, leave)
		leave()
		<-done
		if n := d.streams.Load(); n != 0 {
			t.Errorf("%d streams are counted after the end", n)
		}
	})
}

func TestStream(t *testing.T) {
	s := newFakeDaemon()
	testStream(t, s, "/", func(t *testing.T, _ *Dashboard, w *recorder, _ func()) {
		first, _ := w.take(t)
		if want := []string{"filter", "under", "over", "notices", "foot"}; !slices.Equal(regions(first), want) {
			t.Fatalf("first %v, want %v", regions(first), want)
		}
		switch under := first[1]; {
		case len(under.Order) != 4:
			t.Errorf("len(under.Order) = %v, want 4", len(under.Order))
		case len(under.Changed) != 4:
			t.Errorf("len(under.Changed) = %v, want 4", len(under.Changed))
		case under.Order[1] != "s-20260314-000042":
			t.Errorf("under.Order[1] = %q, want \"s-20260314-000042\"", under.Order[1])
		}
		if w.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("header %v, deadline lifted: Content-Type = %q, want \"text/event-stream\"", w.header, w.header.Get("Content-Type"))
		}
		if !w.noWait {
			t.Errorf("header %v, deadline lifted: w.noWait = false, want true", w.header)
		}
		// Nothing changes: nothing is sent but a sign of life.
		time.Sleep(10 * time.Second)
		switch events, comments := w.take(t); {
		case len(events) != 0:
			t.Errorf("len(events) = %v, want 0: %+v", len(events), events)
		case comments != 0:
			t.Errorf("comments = %v, want 0", comments)
		}
		time.Sleep(10 * time.Second)
		switch events, comments := w.take(t); {
		case len(events) != 0:
			t.Errorf("len(events) = %v, want 0: %+v", len(events), events)
		case comments != 1:
			t.Errorf("comments = %v, want 1", comments)
		}
		// One row changes: it alone is sent.
		s.change(func() { s.sent = 500 })
		time.Sleep(2 * time.Second)
		events, _ := w.take(t)
		switch {
		case len(events) != 1:
			t.Errorf("a row changed: len(events): got %v, want 1: %+v", len(events), events)
		case len(events[0].Changed) != 1:
			t.Errorf("a row changed: len(events[0].Changed): got %v, want 1: %+v", len(events[0].Changed), events[0].Changed)
		case len(events[0].Order) != 4:
			t.Errorf("a row changed: len(events[0].Order): got %v, want 4: %+v", len(events[0].Order), events[0].Order)
		case !strings.Contains(string(events[0].Changed["s-20260314-000042"]), "500 of 1,000"):
			t.Errorf(`a row changed: events[0].Changed["s-20260314-000042"]: got %q, want "500 of 1,000" in it`, string(events[0].Changed["s-20260314-000042"]))
		}
		// It ends: it leaves one region and comes into another.
		s.change(func() { s.state = campaign.StateCanceled })
		time.Sleep(2 * time.Second)
		events, _ = w.take(t)
		switch {
		case !slices.Equal(regions(events), []string{"under", "over"}):
			t.Errorf("a sending ended: regions(events): got %v, want %v", regions(events), []string{"under", "over"})
		case len(events[0].Order) != 3:
			t.Errorf("a sending ended: len(events[0].Order): got %v, want 3: %+v", len(events[0].Order), events[0].Order)
		case len(events[0].Changed) != 0:
			t.Errorf("a sending ended: len(events[0].Changed): got %v, want 0: %+v", len(events[0].Changed), events[0].Changed)
		case len(events[1].Changed) != 1:
			t.Errorf("a sending ended: len(events[1].Changed): got %v, want 1: %+v", len(events[1].Changed), events[1].Changed)
		}
		// In time it ends, for a session to be looked at anew.
		time.Sleep(streamLength)
	})
}

func TestStreamOfEveryPage(t *testing.T) {
	for path, want := range map[string]string{"/sendings/spring": "top charts facts problems trail notices foot", "/timeline": "applications notices foot",
		"/channels": "channels notices foot", "/inboxes": "inboxes notices foot", "/sendings/spring/cancel": "notices foot"} {
		testStream(t, newFakeDaemon(), path, func(t *testing.T, _ *Dashboard, w *recorder, _ func()) {
			events, _ := w.take(t)
			if got := strings.Join(regions(events), " "); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		})
	}
}

func TestStreamsEnd(t *testing.T) {
	for name, end := range map[string]func(s *fakeDaemon, d *Dashboard, w *recorder, leave func()){
		"the caller goes":       func(_ *fakeDaemon, _ *Dashboard, _ *recorder, leave func()) { leave() },
		"the server stops":      func(_ *fakeDaemon, d *Dashboard, _ *recorder, _ func()) { d.Close(); d.Close() },
		"the connection breaks": func(_ *fakeDaemon, _ *Dashboard, w *recorder, _ func()) { w.mu.Lock(); w.gone = true; w.mu.Unlock() },
		"the daemon has a trouble": func(s *fakeDaemon, _ *Dashboard, _ *recorder, _ func()) {
			s.change(func() { s.fail = errors.New("no") })
		},
	} {
		s := newFakeDaemon()
		testStream(t, s, "/", func(t *testing.T, d *Dashboard, w *recorder, leave func()) {
			end(s, d, w, leave)
			time.Sleep(2 * heartbeat)
			if n := d.streams.Load(); n != 0 {
				t.Errorf("%s, and %d streams go on", name, n)
			}
		})
	}
}

func TestStreamsThatNeverBegin(t *testing.T) {
	s := newFakeDaemon()
	d := serve(t, s)
	if w := get(d, "GET", "/sendings/winter", "Accept", "text/event-stream"); w.Code != 404 {
		t.Errorf("of no sending: %d", w.Code)
	}
	if w := get(d, "GET", "/", "Accept", "text/event-stream"); w.Code != 500 { // no deadline can be set on a recorder
		t.Errorf("on a connection without deadlines: %d", w.Code)
	}
	d.streams.Store(maxStreams)
	if w := get(d, "GET", "/", "Accept", "text/event-stream"); w.Code != 503 {
		t.Errorf("one too many: %d", w.Code)
	}
	if n := d.streams.Load(); n != maxStreams {
		t.Errorf("%d streams are counted", n)
	}
}
