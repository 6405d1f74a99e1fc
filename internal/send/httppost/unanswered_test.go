package httppost

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/send/sendtest"
)

// words of a driver.
var words = Words{Key: "url", NoTLS: "check the port"}

// newProxy starts a proxy that answers CONNECT with that status, and connects with 200. It returns its address.
func newProxy(t *testing.T, status int) string {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy got %s; want CONNECT", r.Method)
		}
		if status != http.StatusOK {
			http.Error(w, "customer 34666111222 has paid", status)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		defer near.Close()
		_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		far, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Errorf("dial: %v", err)
			return
		}
		go func() {
			_, _ = io.Copy(far, near)
			_ = far.Close()
		}()
		_, _ = io.Copy(near, far)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// viaProxy returns a client that reaches target through a proxy.
func viaProxy(t *testing.T, target, proxy string, change func(*Options)) *Client {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, target, change)
	c.pool, c.transport.Proxy = nil, http.ProxyURL(u)
	return c
}

// unanswered posts, and compares the verdict.
func unanswered(t *testing.T, c *Client, want send.Verdict, says ...string) {
	t.Helper()
	_, _, f := c.Post(t.Context(), nil, []byte(`{}`))
	if f.Err == nil {
		t.Fatal("got an answer; want a failure")
	}
	res := c.Unanswered(t.Context(), f, words)
	if res.Verdict != want {
		t.Errorf("got verdict %d (%s); want %d", res.Verdict, res.Detail, want)
	}
	if hold := want == send.VerdictHold; hold != (res.Hold == send.HoldChannel) {
		t.Errorf("got hold %d; want the channel held: %v", res.Hold, hold)
	}
	for _, part := range says {
		if !strings.Contains(res.Detail, part) {
			t.Errorf("got %q; want %q in it", res.Detail, part)
		}
	}
	for _, secret := range []string{"hunter2", "34666111222"} {
		if strings.Contains(res.Detail, secret) {
			t.Errorf("got %q; want no %q in it", res.Detail, secret)
		}
	}
}

// A proxy's answer to CONNECT was reported as "the answer was not HTTP", and always as an outage.
func TestProxyRefusesToConnect(t *testing.T) {
	const hold, outage = send.VerdictHold, send.VerdictUnreachable
	for status, want := range map[int]struct {
		verdict send.Verdict
		says    string
	}{
		407: {hold, "answered 407 Proxy Authentication Required; check user and password in HTTPS_PROXY"},
		403: {hold, "answered 403 Forbidden; have it let this host connect to receiver.test:8443, or name that host in NO_PROXY"},
		401: {hold, "check user and password in HTTPS_PROXY"},
		404: {hold, "there may be no proxy at this address"},
		302: {hold, "there may be no proxy at this address"},
		204: {hold, "there may be no proxy at this address"},
		408: {outage, "answered 408"},
		429: {outage, "answered 429"},
		500: {outage, "answered 500"},
		502: {outage, "receiver.test:8443 can't be reached: the proxy 127.0.0.1"},
		503: {outage, "answered 503 Service Unavailable"},
		504: {outage, "answered 504 Gateway Timeout"},
		599: {outage, "answered 599"},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			proxy := strings.Replace(newProxy(t, status), "http://", "http://user:hunter2@", 1)
			unanswered(t, viaProxy(t, "https://receiver.test:8443", proxy, nil), want.verdict, want.says)
		})
	}
}

// What fails at the proxy was reported as the receiver's fault.
func TestProxyCannotBeReached(t *testing.T) {
	cert, _ := sendtest.Certificate(t, nil)
	for name, x := range map[string]struct {
		proxy   string
		verdict send.Verdict
		says    string
	}{
		"nobody listens":  {"http://user:hunter2@127.0.0.1:1", send.VerdictUnreachable, "receiver.test can't be reached: through the proxy 127.0.0.1:1: connection refused"},
		"no such name":    {"http://proxy.invalid:3128", send.VerdictUnreachable, "through the proxy proxy.invalid:3128: the host's name can't be resolved"},
		"bad certificate": {"https://" + sendtest.FailsTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}}).String(), send.VerdictHold, "the certificate of the proxy 127.0.0.1"},
		"no TLS":          {"https://" + sendtest.FailsTLS(t, nil).String(), send.VerdictHold, "doesn't speak TLS on this port; check HTTPS_PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			unanswered(t, viaProxy(t, "https://receiver.test", x.proxy, func(o *Options) { o.Roots = x509.NewCertPool() }), x.verdict, x.says)
		})
	}
	t.Run("the variable can't be read", func(t *testing.T) {
		unreadable := "http://user:hunter2@" + "["
		c := viaProxy(t, "https://receiver.test", "", nil)
		c.transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(unreadable) }
		unanswered(t, c, send.VerdictHold, "HTTPS_PROXY in this process's environment can't be read")
	})
}

// A handshake that takes too long was reported as "the answer was not HTTP".
func TestHandshakeTimesOut(t *testing.T) {
	target := server(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	c := client(t, strings.Replace(target, "http", "https", 1), func(o *Options) { o.Timeout = 100 * time.Millisecond })
	c.timeout = time.Minute // net/http's own timeout comes first
	c.pool = nil
	unanswered(t, c, send.VerdictUnreachable, "nothing within 1m0s")
}

// A fault of TLS names the certificate and what to do, over each way to the receiver.
func TestFaultOfTLS(t *testing.T) {
	good, roots := sendtest.Certificate(t, nil)
	old, oldRoots := sendtest.Certificate(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	other, otherRoots := sendtest.Certificate(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} })
	config := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	tls11, mutual, mutual12 := config(good), config(good), config(good)
	tls11.MinVersion, tls11.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	mutual.ClientAuth, mutual12.ClientAuth, mutual12.MaxVersion = tls.RequireAnyClientCert, tls.RequireAnyClientCert, tls.VersionTLS12
	for name, x := range map[string]struct {
		config  *tls.Config
		roots   *x509.CertPool
		verdict send.Verdict
		says    []string
	}{
		"nobody knows its authority": {config(good), x509.NewCertPool(), send.VerdictHold, []string{"is not valid: certificate signed by unknown authority", "install its authority"}},
		"it has expired":             {config(old), oldRoots, send.VerdictHold, []string{"has expired", "have it renewed"}},
		"it is of another host":      {config(other), otherRoots, send.VerdictHold, []string{"127.0.0.1", "check url"}},
		"only an old version":        {tls11, roots, send.VerdictHold, []string{"TLS 1.2 or newer"}},
		// TLS 1.3 refuses a client after it has written its request, which nobody has read.
		"wants a client certificate":            {mutual, roots, send.VerdictHold, []string{"asks for a client certificate"}},
		"wants a client certificate, TLS 1.2":   {mutual12, roots, send.VerdictUnreachable, []string{"remote error: tls: handshake failure"}},
		"speaks plain HTTP behind an https url": {nil, roots, send.VerdictHold, []string{"doesn't speak TLS on this port; check the port"}},
	} {
		target := "https://" + sendtest.FailsTLS(t, x.config).String()
		trust := func(o *Options) { o.Roots = x.roots }
		transport := client(t, target, trust)
		transport.pool = nil
		for way, c := range map[string]*Client{"pool": client(t, target, trust), "transport": transport, "proxy": viaProxy(t, target, newProxy(t, 200), trust)} {
			t.Run(name+", "+way, func(t *testing.T) { unanswered(t, c, x.verdict, x.says...) })
		}
	}
}
