package control

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Wrong tokens and codes are answered slowly, over all callers together. Right
// ones never wait.
const (
	wrongPerSecond = 10
	wrongBurst     = 5
	wrongLogEvery  = time.Minute
)

// wrongTokens delays, counts and logs wrong tokens.
type wrongTokens struct {
	limiter *rate.Limiter
	counter prometheus.Counter
	log     *slog.Logger

	mu       sync.Mutex // guards all below
	loggedAt time.Time
	unlogged int
}

func newWrongTokens(log *slog.Logger) *wrongTokens {
	return &wrongTokens{limiter: rate.NewLimiter(wrongPerSecond, wrongBurst), log: log, counter: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "campaignd_http_wrong_tokens_total",
		Help: "Requests over HTTP with a wrong token, password or login code.",
	})}
}

// refuse waits until the wrong token of a request may be answered.
func (t *wrongTokens) refuse(r *http.Request, from string) {
	t.counter.Inc()
	t.note(time.Now(), from)
	_ = t.limiter.Wait(r.Context()) // fails if the caller disconnects: then nobody reads the answer
}

// note logs at most one line a minute.
func (t *wrongTokens) note(now time.Time, from string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if since := now.Sub(t.loggedAt); since >= 0 && since < wrongLogEvery {
		t.unlogged++
		return
	}
	t.log.Warn("wrong token over HTTP", "from", from, "othersSinceLast", t.unlogged)
	t.loggedAt, t.unlogged = now, 0
}

// clientAddress returns the address of the caller: of the connection, or the
// last one in X-Forwarded-For that isn't a trusted proxy's.
func (s *Server) clientAddress(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	address := peer.Addr().Unmap()
	if !s.trusted(address) {
		return address.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		if address = hop.Unmap(); !s.trusted(address) {
			break
		}
	}
	return address.String()
}

// trusted reports whether an address is one of the trusted proxies.
func (s *Server) trusted(address netip.Addr) bool {
	return slices.ContainsFunc(s.opts.TrustedProxies, func(network netip.Prefix) bool { return network.Contains(address) })
}
