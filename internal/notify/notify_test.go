package notify

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is the base64 of 24 bytes.
const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"

// memory is a Store of sendings that ended at once, in the inboxes of their names.
type memory struct {
	mu      sync.Mutex // guards notices
	notices []store.Notice
}

func (m *memory) Notices() ([]store.Notice, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.notices), nil
}

func (m *memory) PutNotice(n store.Notice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notices[m.find(n.Sending)] = n
	return nil
}

func (m *memory) RemoveNotice(id campaign.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notices = slices.Delete(m.notices, m.find(id), m.find(id)+1)
	return nil
}

func (m *memory) find(id campaign.ID) int {
	return slices.IndexFunc(m.notices, func(n store.Notice) bool { return n.Sending == id })
}

func (m *memory) Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error) {
	return &campaign.Sending{ID: id, Inbox: string(id[:4]), State: campaign.StateCompleted, FinishedAt: time.Unix(1_800_000_000, 0)}, nil, campaign.Counts{}, nil
}

// receiver answers requests in virtual time.
type receiver struct {
	t      *testing.T
	answer func(host string, n int) int // status of the n-th request to a host; 0: the connection fails
	began  time.Time

	mu    sync.Mutex // guards times, ids and tried
	times map[string][]time.Duration
	ids   map[string][]string
	tried map[Result]int
}

// RoundTrip implements http.RoundTripper.
func (r *receiver) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	if err := verifier.VerifyIgnoringTimestamp(body, q.Header); err != nil {
		r.t.Errorf("the signature is wrong: %v", err)
	}
	host := q.URL.Host
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times[host] = append(r.times[host], time.Since(r.began))
	r.ids[host] = append(r.ids[host], q.Header.Get("webhook-id"))
	status := r.answer(host, len(r.times[host]))
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader("")), Request: q}, nil
}

// run runs a notifier over ids for some time.
func run(t *testing.T, m *memory, r *receiver, length time.Duration) {
	r.t, r.times, r.ids, r.tried, r.began = t, map[string][]time.Duration{}, map[string][]string{}, map[Result]int{}, time.Now()
	n := New(Options{
		Store: m, Log: slog.New(slog.DiscardHandler), Client: &http.Client{Transport: r},
		Target: func(inbox string) (Target, bool, error) {
			return Target{URL: "http://" + inbox + "/hook", Secret: secret}, inbox != "none", nil
		},
		Tried: func(result Result) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.tried[result]++
		},
		Data: func(s *campaign.Sending, _ campaign.Counts) any { return map[string]any{"id": s.ID} },
	})
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	if err := n.Run(ctx); err != nil {
		t.Error(err)
	}
}

// A notice is repeated with growing pauses under one id until it is acknowledged.
func TestNoticeIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{notices: []store.Notice{{Sending: "aaaa-1"}}}
		r := &receiver{answer: func(_ string, n int) int { return []int{0, 500, 302, 204}[n-1] }}
		run(t, m, r, 24*time.Hour)
		switch got := len(r.times["aaaa"]); {
		case got != 4:
			t.Fatalf("got %v, want 4", got)
		case len(m.notices) != 0:
			t.Fatalf("len(m.notices) = %v, want 0", len(m.notices))
		}
		for i, want := range []time.Duration{5 * time.Second, time.Minute, 5 * time.Minute} {
			if got := r.times["aaaa"][i+1] - r.times["aaaa"][i]; got < want*9/10 || got > want*11/10+time.Second {
				t.Errorf("pause %d is %v, want about %v", i+1, got, want)
			}
		}
		if ids := slices.Compact(r.ids["aaaa"]); len(ids) != 1 || ids[0] != "aaaa-1.1800000000" {
			t.Errorf("the ids are %q, want one", ids)
		}
	})
}

// A receiver that is down for days costs eleven attempts and delays no other inbox.
func TestNoticeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{notices: []store.Notice{{Sending: "aaaa-1"}, {Sending: "aaaa-2"}, {Sending: "bbbb-3"}, {Sending: "none-4"}}}
		r := &receiver{answer: func(host string, _ int) int { return map[string]int{"aaaa": 503, "bbbb": 200}[host] }}
		run(t, m, r, 20*24*time.Hour)
		if got := len(r.times["aaaa"]); got != 22 {
			t.Errorf("%d attempts at two notices, want 22", got)
		}
		if got := r.times["bbbb"]; len(got) != 1 || got[0] != 0 {
			t.Errorf("the other inbox's notice goes out at %v, want once and at once", got)
		}
		if len(m.notices) != 0 {
			t.Errorf("%d notices are left", len(m.notices))
		}
		if want := (map[Result]int{Delivered: 1, Retried: 20, GivenUp: 2}); !maps.Equal(r.tried, want) {
			t.Errorf("counted %v, want %v", r.tried, want)
		}
	})
}
