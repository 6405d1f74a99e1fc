package crash

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// arrival is one request as the receiver saw it.
type arrival struct {
	key, sending, contact string
	application           int
	dueAt, at             time.Time
	kept                  bool // the receiver delivered the message, whatever it answered
}

// moodyReceiver answers slowly, with errors, too late or not at all, and notes every request.
type moodyReceiver struct {
	*httptest.Server
	mu       sync.Mutex // guards the fields below
	arrivals []arrival
	tries    map[string]int
	unclear  int // kept without an answer that says so
}

func newMoodyReceiver(t *testing.T) *moodyReceiver {
	r := &moodyReceiver{tries: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *moodyReceiver) serve(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // cut off by a kill before all of it arrived
	}
	var m struct {
		Key           string    `json:"key"`
		SendingID     string    `json:"sendingId"`
		ContactCode   string    `json:"contactCode"`
		ApplicationID int       `json:"applicationId"`
		DueAt         time.Time `json:"dueAt"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.tries[m.Key]++
	h := fnv.New32a()
	fmt.Fprint(h, m.Key, r.tries[m.Key])
	mood := h.Sum32() % 1000
	kept := mood >= 53
	r.arrivals = append(r.arrivals, arrival{m.Key, m.SendingID, m.ContactCode, m.ApplicationID, m.DueAt, at, kept})
	if mood >= 53 && mood < 87 {
		r.unclear++
	}
	r.mu.Unlock()
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-req.Context().Done():
		}
	}
	switch {
	case mood < 50:
		http.Error(w, "out of order", http.StatusInternalServerError)
	case mood < 53: // seldom, because the whole channel waits
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case mood < 70: // kept, but the answer comes too late
		pause(stormTimeout + 500*time.Millisecond)
	case mood < 87: // kept, and the connection is cut
		panic(http.ErrAbortHandler)
	case mood < 200:
		pause(300 * time.Millisecond)
	}
}
