package control_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"campaignd/internal/api"
	"campaignd/internal/control"
)

// sheets is a dashboard that answers with the caller's name.
type fakePages struct{ closed chan struct{} }

func (s *fakePages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := control.CallerOf(r.Context())
	if r.URL.Path == "/forever" {
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(err)
		}
		<-s.closed
	}
	fmt.Fprintf(w, "%s %s who=%s login=%t form=%s", r.Method, r.URL.Path, v.Who, v.Login, v.Form)
}

func (s *fakePages) WriteError(w http.ResponseWriter, _ *http.Request, err *api.Error) {
	w.WriteHeader(err.Code.Status())
	fmt.Fprintf(w, "sorry: %s", err.Message)
}

func (s *fakePages) Close() { close(s.closed) }

// visitor is a browser that keeps cookies and doesn't follow redirects.
type visitor struct {
	t    *testing.T
	base string
	http *http.Client
}

func visit(t *testing.T, web string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, "http://" + web, &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// do makes a request as a browser does and returns the answer and its body.
func (v *visitor) do(method, path string, form url.Values, headers ...string) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, string(body)
}

// want makes a request and checks the status and a part of the body.
func (v *visitor) want(method, path string, form url.Values, status int, part string, headers ...string) string {
	v.t.Helper()
	resp, body := v.do(method, path, form, headers...)
	if resp.StatusCode != status || !strings.Contains(body, part) {
		v.t.Errorf("%s %s: %d %q, want %d with %q", method, path, resp.StatusCode, body, status, part)
	}
	return body
}

func formOf(body string) url.Values {
	_, secret, _ := strings.Cut(body, "form=")
	return url.Values{control.FormField: {secret}}
}

// TestNoLoopbackRequestWithoutAToken: nothing but health, readiness, metrics and the login answers without one, on loopback too.
func TestNoLoopbackRequestWithoutAToken(t *testing.T) {
	_, web := start(t, &fake{}, control.Options{Listen: "127.0.0.1:0", Pages: &fakePages{make(chan struct{})}, Registry: prometheus.NewRegistry()})
	v := visit(t, web)
	v.want("GET", "/anything", nil, 401, "sorry: the token is missing")
	v.want("POST", "/anything", url.Values{}, 401, "sorry: the token is missing")
	v.want("GET", "/v1/status", nil, 401, `"code":"unauthorized"`)
	v.want("POST", "/v1/sendings/42/cancel", nil, 401, `"code":"unauthorized"`)
	v.want("GET", "/v1/backup", nil, 401, `"code":"unauthorized"`)
	v.want("GET", "/openapi.json", nil, 401, "sorry")
	v.want("GET", "/healthz", nil, 200, "ok")
	v.want("GET", "/readyz", nil, 200, "ready")
	v.want("GET", "/metrics", nil, 200, "campaignd_up 1")
	v.want("GET", "/metrics", nil, 401, "sorry", "X-Forwarded-For", "192.0.2.1") // a proxy of this machine
	v.want("GET", "/v1/frob", nil, 404, `"code":"notFound"`, bearer(token)...)
	v.want("GET", "/openapi.json", nil, 200, `"openapi": "3.1.0"`, bearer(token)...)
	resp, _ := v.do("GET", "/", nil)
	if got := resp.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy %q", got)
	}
	if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options %q", got)
	}
	if !resp.Close {
		t.Error("the connection of a caller without a token stays open")
	}
}

func TestMetricsTokenClosesMetricsOnLoopback(t *testing.T) {
	_, web := start(t, &fake{}, control.Options{Listen: "127.0.0.1:0", MetricsToken: true, Registry: prometheus.NewRegistry()})
	if status, _ := ask(t, "GET", "http://"+web+"/metrics", ""); status != 401 {
		t.Errorf("metrics without a token: %d", status)
	}
	if status, _ := ask(t, "GET", "http://"+web+"/metrics", "", bearer(token)...); status != 200 {
		t.Errorf("metrics with the token: %d", status)
	}
}

// TestTokenIsCreatedOnce: the first start creates it for the socket's group, and later starts keep it.
func TestTokenIsCreatedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http_token")
	var contents []string
	for range 2 {
		_, web := start(t, &fake{}, control.Options{Listen: "127.0.0.1:0", StateToken: path})
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, string(data))
		if status, _ := ask(t, "GET", "http://"+web+"/v1/status", "", bearer(strings.TrimSpace(string(data)))...); status != 200 {
			t.Errorf("status with the created token: %d", status)
		}
	}
	if contents[0] != contents[1] {
		t.Error("the second start replaced the token")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o640 {
		t.Errorf("mode %o, want 640", got)
	}
}

func TestLoginCode(t *testing.T) {
	socket, web := start(t, &fake{}, control.Options{Listen: "127.0.0.1:0", Pages: &fakePages{make(chan struct{})}})
	code, err := dial(t, socket).LoginCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path, ok := strings.CutPrefix(code.Address, "http://"+web)
	switch {
	case !ok:
		t.Fatalf("ok = false, want true\n%s", code.Address)
	case !strings.HasPrefix(path, "/login?code="):
		t.Fatalf("path = %q, want \"/login?code=\" at the start\n%s", path, code.Address)
	}
	switch left := time.Until(code.ExpiresAt); {
	case left < 9*time.Minute:
		t.Errorf("left = %v, want at least %v", left, 9*time.Minute)
	case left > 10*time.Minute:
		t.Errorf("left = %v, want at most %v", left, 10*time.Minute)
	}
	v := visit(t, web)
	v.do("HEAD", path, nil) // a preview doesn't use it up
	switch resp, _ := v.do("GET", path, nil); {
	case resp.StatusCode != 303:
		t.Errorf("the code: resp.StatusCode = %v, want 303", resp.StatusCode)
	case resp.Header.Get("Location") != "/":
		t.Errorf("the code: Location = %q, want \"/\"", resp.Header.Get("Location"))
	}
	v.want("GET", "/", nil, 200, "who=web:login login=true form=")
	other := visit(t, web)
	switch resp, _ := other.do("GET", path, nil); {
	case resp.StatusCode != 303:
		t.Errorf("the code again: resp.StatusCode = %v, want 303", resp.StatusCode)
	case resp.Header.Get("Location") != "/login?expired=1":
		t.Errorf("the code again: Location = %q, want \"/login?expired=1\"", resp.Header.Get("Location"))
	}
	other.want("GET", "/", nil, 401, "sorry")
	// HTTP requests can't create one.
	other.want("POST", "/v1/login-code", nil, 403, `"code":"forbidden"`, bearer(token)...)
}

func TestLoginCodeWithoutADashboard(t *testing.T) {
	socket, _ := start(t, &fake{}, control.Options{})
	if _, err := dial(t, socket).LoginCode(t.Context()); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("got %v", err)
	}
}

func TestLogin(t *testing.T) {
	path := tokenFile(t, token)
	_, web := start(t, &fake{}, control.Options{Listen: "127.0.0.1:0", TokenFile: path, Pages: &fakePages{make(chan struct{})}})
	v := visit(t, web)
	login := func(token, next string) (int, string) {
		resp, _ := v.do("POST", control.PathLogin, url.Values{"token": {token}, "next": {next}})
		return resp.StatusCode, resp.Header.Get("Location")
	}
	// Before the login, only the login page and its files are served.
	v.want("GET", "/", nil, 401, "sorry: the token is missing")
	v.want("GET", "/v1/status", nil, 401, `"code":"unauthorized"`)
	v.want("GET", "/openapi.json", nil, 401, "sorry")
	v.want("GET", control.PathLogin, nil, 200, "who= login=false")
	v.want("GET", control.PathAssets+"x.css", nil, 200, "who= login=false")
	v.want("POST", "/anything", url.Values{}, 401, "sorry")
	// A wrong token is refused, and a login doesn't redirect to other sites.
	for next, want := range map[string]string{
		"/timeline?a=b":      "/login?next=%2Ftimeline%3Fa%3Db&wrong=1",
		"//evil.example":     "/login?wrong=1",
		"https://evil.ex/":   "/login?wrong=1",
		`/\evil.example`:     "/login?wrong=1",
		"/login?next=/login": "/login?wrong=1",
		"javascript:alert()": "/login?wrong=1",
		"":                   "/login?wrong=1",
	} {
		if status, to := login("wrong-token-of-some-length", next); status != 303 || to != want {
			t.Errorf("a wrong token, on to %q: %d to %q, want %q", next, status, to, want)
		}
	}
	v.want("GET", "/", nil, 401, "sorry")
	// The right token logs in.
	resp, _ := v.do("POST", control.PathLogin, url.Values{"token": {token + "\n"}, "next": {"/timeline"}}, "X-Forwarded-Proto", "https")
	if resp.StatusCode != 303 {
		t.Errorf("the right token: resp.StatusCode = %v, want 303", resp.StatusCode)
	}
	if resp.Header.Get("Location") != "/timeline" {
		t.Errorf("the right token: Location = %q, want \"/timeline\"", resp.Header.Get("Location"))
	}
	if len(resp.Cookies()) != 1 {
		t.Fatalf("cookies: %v", resp.Cookies())
	}
	switch c := resp.Cookies()[0]; {
	case !c.HttpOnly:
		t.Error("the cookie: c.HttpOnly: got false, want true")
	case !c.Secure:
		t.Error("the cookie: c.Secure: got false, want true")
	case c.SameSite != http.SameSiteStrictMode:
		t.Errorf("the cookie: c.SameSite: got %v, want %v", c.SameSite, http.SameSiteStrictMode)
	case c.Path != "/":
		t.Errorf(`the cookie: c.Path: got %q, want "/"`, c.Path)
	case c.MaxAge != 12*60*60:
		t.Errorf("the cookie: c.MaxAge: got %v, want %v", c.MaxAge, 12*60*60)
	case strings.Contains(c.Value, token):
		t.Errorf("the cookie: c.Value: got %q, want no %q in it", c.Value, token)
	}
	if status, to := login(token, "//evil.example"); status != 303 || to != "/" { // over HTTP now: the jar sends it back
		t.Errorf("the right token: %d to %q", status, to)
	}
	body := v.want("GET", "/", nil, 200, "who=web:login login=true form=")
	v.want("POST", "/anything", formOf(body), 200, "who=web:login")
	v.want("POST", "/anything", url.Values{}, 403, "sorry: this page is too old")
	// The cookie is good for pages only; the API needs a token in a header.
	v.want("GET", "/v1/status", nil, 401, `"code":"unauthorized"`)
	v.want("POST", "/v1/resume", nil, 401, `"code":"unauthorized"`)
	v.want("GET", "/", nil, 401, "sorry", "Authorization", "Bearer wrong")
	v.want("POST", "/anything", nil, 200, "who=web:token login=false form=", "Authorization", "Bearer "+token)
	// A form secret of another browser is refused.
	other := visit(t, web)
	other.do("POST", control.PathLogin, url.Values{"token": {token}})
	if theirs := other.want("GET", "/", nil, 200, "who=web:login"); cmp.Equal(formOf(theirs), formOf(body)) {
		t.Error("two sessions share a form secret")
	}
	// Log out.
	switch resp, _ := v.do("POST", control.PathLogout, formOf(body)); {
	case resp.StatusCode != 303:
		t.Errorf("log out: resp.StatusCode = %v, want 303\n%+v", resp.StatusCode, resp.Header)
	case resp.Header.Get("Location") != control.PathLogin:
		t.Errorf("log out: Location = %q, want %q", resp.Header.Get("Location"), control.PathLogin)
	case resp.Cookies()[0].MaxAge >= 0:
		t.Errorf("log out: resp.Cookies()[0].MaxAge = %v, want less than 0", resp.Cookies()[0].MaxAge)
	}
	v.want("GET", "/", nil, 401, "sorry")
	// A changed token ends the sessions of the old one; one that can't be read lets nobody in.
	if err := os.WriteFile(path, []byte("another-token-of-some-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	other.want("GET", "/", nil, 401, "sorry")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other.want("GET", "/", nil, 503, "sorry: the daemon can't read its token")
	if resp, _ := other.do("POST", control.PathLogin, url.Values{"token": {token}}); resp.StatusCode != 503 {
		t.Errorf("no token to compare with: %d", resp.StatusCode)
	}
}

func TestAStoppingServerEndsStreams(t *testing.T) {
	pages := &fakePages{make(chan struct{})}
	_, web := start(t, &fake{}, control.Options{Listen: "127.0.0.1:0", Pages: pages})
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+web+"/forever", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	t.Cleanup(func() { // after the server's own
		if took := time.Since(begun); took > 4500*time.Millisecond { // a stream that stays is cut off after 5s
			t.Errorf("the stream held up the end for %s", took)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	})
}
