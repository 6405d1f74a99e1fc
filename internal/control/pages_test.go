package control_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/control"
)

// sheets is a dashboard that says who asks.
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

func (s *fakePages) WriteError(w http.ResponseWriter, _ *http.Request, err *control.Error) {
	w.WriteHeader(err.Code.Status())
	fmt.Fprintf(w, "sorry: %s", err.Message)
}

func (s *fakePages) Close() { close(s.closed) }

// visitor is a browser: it keeps cookies and follows nothing by itself.
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

// want is do, held to a status and a part of the body.
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

func TestPagesWithoutAToken(t *testing.T) {
	_, web := start(t, &fake{}, control.Options{Listen: "127.0.0.1:0", Pages: &fakePages{make(chan struct{})}})
	v := visit(t, web)
	body := v.want("GET", "/anything", nil, 200, "GET /anything who=web:local login=false form=")
	v.want("POST", "/anything", formOf(body), 200, "POST /anything who=web:local")
	// Forms of other sites, and those that never saw a page.
	v.want("POST", "/anything", url.Values{}, 403, "sorry: this page is too old")
	v.want("POST", "/anything", url.Values{control.FormField: {"guessed"}}, 403, "sorry: this page is too old")
	v.want("POST", "/anything", formOf(body), 403, "sorry: the request comes from another web site", "Origin", "http://evil.example")
	v.want("POST", "/anything", url.Values{control.FormField: {strings.Repeat("x", 70<<10)}}, 403, "sorry")
	// Nothing to log in to.
	if resp, _ := v.do("POST", control.PathLogin, url.Values{"next": {"/timeline"}, control.FormField: formOf(body)[control.FormField]}); resp.StatusCode != 303 || resp.Header.Get("Location") != "/timeline" {
		t.Errorf("login without need: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	// The API's own answers stay JSON, and its errors too.
	v.want("GET", "/v1/status", nil, 200, `"version"`)
	v.want("GET", "/v1/frob", nil, 404, `"code":"notFound"`)
	v.want("GET", "/healthz", nil, 200, "ok")
	v.want("GET", "/openapi.json", nil, 200, `"openapi": "3.1.0"`)
	if resp, _ := v.do("GET", "/", nil); resp.Header.Get("Referrer-Policy") != "no-referrer" || resp.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", resp.Header)
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
	// Before: the login page and its files alone.
	v.want("GET", "/", nil, 401, "sorry: the token is missing")
	v.want("GET", "/v1/status", nil, 401, `"code":"unauthorized"`)
	v.want("GET", "/openapi.json", nil, 401, "sorry")
	v.want("GET", control.PathLogin, nil, 200, "who= login=false")
	v.want("GET", control.PathAssets+"x.css", nil, 200, "who= login=false")
	v.want("POST", "/anything", url.Values{}, 401, "sorry")
	// A wrong token, and places that a login must not lead to.
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
	// The right one.
	resp, _ := v.do("POST", control.PathLogin, url.Values{"token": {token + "\n"}, "next": {"/timeline"}}, "X-Forwarded-Proto", "https")
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/timeline" {
		t.Errorf("the right token: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if len(resp.Cookies()) != 1 {
		t.Fatalf("cookies: %v", resp.Cookies())
	}
	if c := resp.Cookies()[0]; !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge != 12*60*60 || strings.Contains(c.Value, token) {
		t.Errorf("the cookie: %+v", c)
	}
	if status, to := login(token, "//evil.example"); status != 303 || to != "/" { // over HTTP now: the jar sends it back
		t.Errorf("the right token: %d to %q", status, to)
	}
	body := v.want("GET", "/", nil, 200, "who=web:login login=true form=")
	v.want("POST", "/anything", formOf(body), 200, "who=web:login")
	v.want("POST", "/anything", url.Values{}, 403, "sorry: this page is too old")
	// The cookie opens pages alone; a token in a header counts for itself.
	v.want("GET", "/v1/status", nil, 401, `"code":"unauthorized"`)
	v.want("POST", "/v1/resume", nil, 401, `"code":"unauthorized"`)
	v.want("GET", "/", nil, 401, "sorry", "Authorization", "Bearer wrong")
	v.want("POST", "/anything", nil, 200, "who=web:token login=false form=", "Authorization", "Bearer "+token)
	// Another browser's form secret is no use.
	other := visit(t, web)
	other.do("POST", control.PathLogin, url.Values{"token": {token}})
	if theirs := other.want("GET", "/", nil, 200, "who=web:login"); cmp.Equal(formOf(theirs), formOf(body)) {
		t.Error("two sessions share a form secret")
	}
	// Out again.
	if resp, _ := v.do("POST", control.PathLogout, formOf(body)); resp.StatusCode != 303 || resp.Header.Get("Location") != control.PathLogin || resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("log out: %d %v", resp.StatusCode, resp.Header)
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
