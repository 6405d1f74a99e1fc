package crash

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// receiver is a webhook server that counts every delivery by its key.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex        // guards the fields below
	times    map[string]int    // deliveries by key
	contact  map[string]string // contact of each key at its first delivery
	total    int
	confused []string // keys that arrived with another contact or header
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

// count returns the number of deliveries and of distinct keys.
func (r *receiver) count() (deliveries, keys int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total, len(r.times)
}

// delivered returns a copy of the deliveries by key.
func (r *receiver) delivered(t *testing.T) map[string]int {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.confused) > 0 {
		t.Errorf("%d keys came with another contact or Idempotency-Key, the first: %s", len(r.confused), r.confused[0])
	}
	return maps.Clone(r.times)
}
