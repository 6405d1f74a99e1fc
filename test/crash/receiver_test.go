package crash

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// receiver is a webhook that remembers every delivery by its key, whatever becomes of the sender.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex        // guards all below
	times    map[string]int    // deliveries by key
	contact  map[string]string // of each key, as it first came
	total    int
	confused []string // keys that came with another contact or another header
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{times: map[string]int{}, contact: map[string]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	var m struct {
		Key         string `json:"key"`
		ContactCode string `json:"contactCode"`
	}
	if err := json.NewDecoder(req.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times[m.Key]++
	r.total++
	if first, known := r.contact[m.Key]; known && first != m.ContactCode || req.Header.Get("Idempotency-Key") != m.Key {
		r.confused = append(r.confused, m.Key)
	}
	r.contact[m.Key] = m.ContactCode
}

// count is how many deliveries and how many different keys there were.
func (r *receiver) count() (deliveries, keys int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total, len(r.times)
}

// delivered is a copy of the deliveries by key.
func (r *receiver) delivered(t *testing.T) map[string]int {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.confused) > 0 {
		t.Errorf("%d keys came with another contact or Idempotency-Key, the first: %s", len(r.confused), r.confused[0])
	}
	all := make(map[string]int, len(r.times))
	for k, n := range r.times {
		all[k] = n
	}
	return all
}
