package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"campaignd/internal/api"
	"campaignd/internal/control"
)

const token = "0123456789abcdef0123456789abcdef"

func tokenFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ask makes one request. The headers, which may include "Host", are pairs of name and value.
func ask(t *testing.T, method, url, body string, headers ...string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// bearer returns the header with a token.
func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func TestWebRequests(t *testing.T) {
	f := &fake{checks: []api.Check{{Name: "store", OK: true}}}
	_, web := start(t, f, control.Options{Listen: "127.0.0.1:0", Registry: prometheus.NewRegistry()})
	_, port, err := net.SplitHostPort(web)
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + web
	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		want               string
	}{
		"alive":                  {"GET", "/healthz", "", nil, 200, "ok\n"},
		"ready":                  {"GET", "/readyz", "", nil, 200, `{"ready":true,"checks":[{"name":"store","ok":true}]}` + "\n"},
		"metrics":                {"GET", "/metrics", "", nil, 200, `campaignd_channel_held{application="1",channel="cloud_api"} 1`},
		"status":                 {"GET", "/v1/status", "", nil, 200, `"version":"1.2.3"`},
		"pause":                  {"POST", "/v1/sendings/42/pause", "", nil, 200, `"inFlight":3`},
		"nothing there":          {"GET", "/v2", "", nil, 404, `"code":"notFound"`},
		"nothing there in API":   {"GET", "/v1/frob", "", nil, 404, `the API has no`},
		"wrong method":           {"DELETE", "/v1/sendings/42/pause", "", nil, 405, `use POST`},
		"wrong method to read":   {"POST", "/v1/status", "", nil, 405, `use GET`},
		"no such sending":        {"GET", "/v1/sendings/winter", "", nil, 404, `no sending has the id or the name`},
		"another site's form":    {"POST", "/v1/resume", "", []string{"Origin", "http://evil.example"}, 403, `"code":"forbidden"`},
		"another site's fetch":   {"POST", "/v1/resume", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, `"code":"forbidden"`},
		"form as JSON":           {"POST", "/v1/suppressions", "[]", []string{"Content-Type", "text/plain"}, 400, `want \"application/json\"`},
		"no opt-out":             {"POST", "/v1/suppressions", "[]", []string{"Content-Type", "application/json"}, 400, `list of opt-outs is empty`},
		"opt-out of nobody":      {"POST", "/v1/suppressions", `[{"contactCode":"1"},{}]`, []string{"Content-Type", "application/json; charset=utf-8"}, 400, `opt-out 2 has no contactCode`},
		"unknown key":            {"POST", "/v1/suppressions", `[{"contact":"1"}]`, []string{"Content-Type", "application/json"}, 400, `unknown object member`},
		"two values":             {"POST", "/v1/suppressions", `[] []`, []string{"Content-Type", "application/json"}, 400, `after top-level value`},
		"no JSON":                {"POST", "/v1/suppressions", `{`, []string{"Content-Type", "application/json"}, 400, `read the request's body`},
		"body too long":          {"POST", "/v1/suppressions", `["` + strings.Repeat("x", 1<<20), []string{"Content-Type", "application/json"}, 413, `"code":"tooLarge"`},
		"import of JSON":         {"POST", "/v1/suppressions/import", "[]", []string{"Content-Type", "application/json"}, 400, `text/csv`},
		"resend of nothing":      {"POST", "/v1/sendings/42/resend", `{}`, []string{"Content-Type", "application/json"}, 400, `outcomes is empty`},
		"resend of sent":         {"POST", "/v1/sendings/42/resend", `{"outcomes":["sent"]}`, []string{"Content-Type", "application/json"}, 400, `sent messages can't be sent again`},
		"resend of nonsense":     {"POST", "/v1/sendings/42/resend", `{"outcomes":["frob"]}`, []string{"Content-Type", "application/json"}, 400, `frob messages can't be sent again`},
		"resend without a body":  {"POST", "/v1/sendings/42/resend", ``, nil, 400, `Content-Type`},
		"unknown parameter":      {"GET", "/v1/sendings?sate=paused", "", nil, 400, `unknown parameter`},
		"unknown state":          {"GET", "/v1/sendings?state=asleep", "", nil, 400, `unknown state`},
		"unknown outcome":        {"GET", "/v1/sendings/42/results?outcome=pending", "", nil, 400, `unknown outcome`},
		"bad number":             {"GET", "/v1/timeline?application=-1", "", nil, 400, `whole number`},
		"too large a number":     {"GET", "/v1/timeline?application=99999999999999999999", "", nil, 400, `too large: the largest number is 9223372036854775807`},
		"bad number of list":     {"GET", "/v1/suppressions?application=x", "", nil, 400, `whole number`},
		"bad number of import":   {"POST", "/v1/suppressions/import?application=x", "", nil, 400, `whole number`},
		"bad instant":            {"GET", "/v1/audit?since=yesterday", "", nil, 400, `want an instant`},
		"bad sending of audit":   {"GET", "/v1/audit?sending=winter", "", nil, 404, `no sending`},
		"bad flag":               {"GET", "/v1/doctor?deep=very", "", nil, 400, `true or false`},
		"earlier, bad digest":    {"GET", "/v1/earlier?application=1&digest=ab", "", nil, 400, `digest is the drop`},
		"reserved, no end":       {"GET", "/v1/reserved?application=1", "", nil, 400, `from must be before until`},
		"reserved, bad instants": {"GET", "/v1/reserved?application=1&from=a&until=b", "", nil, 400, `want an instant`},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := ask(t, test.method, base+test.path, test.body, append(test.headers, bearer(token)...)...)
			if status != test.status || !strings.Contains(answer, test.want) {
				t.Errorf("%d %s\nwant %d with %q", status, answer, test.status, test.want)
			}
			if refused := status >= 400 && status != 404; refused && !json.Valid([]byte(answer)) {
				t.Errorf("got %q, want JSON", answer)
			}
		})
	}
	for host, want := range map[string]int{"localhost:" + port: 200, "[::1]:" + port: 200, "evil.example:" + port: 421} {
		if status, answer := ask(t, "GET", base+"/metrics", "", "Host", host); status != want {
			t.Errorf("metrics without a token at the host %s: status %d, want %d\n%s", host, status, want, answer)
		}
	}
	if ask(t, "POST", base+"/v1/sendings/42/cancel", "", bearer(token)...); f.last() != "cancel "+string(theID)+" by web:token" {
		t.Errorf("called with %q", f.last())
	}
	f.checks = []api.Check{{Name: "store", OK: true}, {Name: "inbox", Message: "gone"}}
	switch status, answer := ask(t, "GET", base+"/readyz", "", bearer(token)...); {
	case status != 503:
		t.Errorf("not ready: status = %v, want 503", status)
	case !strings.Contains(answer, `{"name":"inbox","ok":false,"message":"gone"}`):
		t.Errorf("not ready: answer = %q, want `{\"name\":\"inbox\",\"ok\":false,\"message\":\"gone\"}` in it", answer)
	}
	f.fail = errors.New("no")
	if _, answer := ask(t, "GET", base+"/metrics", ""); !strings.Contains(answer, "campaignd_up 0") {
		t.Errorf("metrics of a daemon that can't say how it is:\n%s", answer)
	}
}

func TestWebWithAToken(t *testing.T) {
	f := &fake{checks: []api.Check{{Name: "inbox", Message: "gone"}}}
	path := tokenFile(t, token+"\n")
	_, web := start(t, f, control.Options{Listen: "0.0.0.0:0", TokenFile: path, Registry: prometheus.NewRegistry()})
	_, port, err := net.SplitHostPort(web)
	if err != nil {
		t.Fatal(err)
	}
	base := "http://127.0.0.1:" + port
	for name, test := range map[string]struct {
		path    string
		headers []string
		status  int
		want    string
	}{
		"health needs none":        {"/healthz", nil, 200, "ok"},
		"ready says less without":  {"/readyz", nil, 503, `{"name":"inbox","ok":false}`},
		"ready says all with it":   {"/readyz", bearer(token), 503, `"message":"gone"`},
		"metrics need one":         {"/metrics", nil, 401, `"code":"unauthorized"`},
		"the API needs one":        {"/v1/status", nil, 401, `"code":"unauthorized"`},
		"nothing there needs one":  {"/v2", nil, 401, `"code":"unauthorized"`},
		"the right one":            {"/v1/status", bearer(token), 200, `"version"`},
		"its scheme has no case":   {"/v1/status", []string{"Authorization", "bearer " + token}, 200, `"version"`},
		"metrics with it":          {"/metrics", bearer(token), 200, "campaignd_up 1"},
		"a wrong one":              {"/v1/status", bearer(token[1:]), 401, ""},
		"an empty one":             {"/v1/status", bearer(""), 401, ""},
		"another scheme":           {"/v1/status", []string{"Authorization", "Basic " + token}, 401, ""},
		"any name, for it has one": {"/v1/status", append(bearer(token), "Host", "campaigns.example"), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if status, answer := ask(t, "GET", base+test.path, "", test.headers...); status != test.status || !strings.Contains(answer, test.want) {
				t.Errorf("%d %s\nwant %d with %q", status, answer, test.status, test.want)
			}
		})
	}
	if ask(t, "POST", base+"/v1/reload", "", bearer(token)...); f.last() != "reload by web:token" {
		t.Errorf("called with %q", f.last())
	}
	// A changed token counts at once; one that can't be read lets nobody in.
	if err := os.WriteFile(path, []byte("another-token-of-some-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, "GET", base+"/v1/status", "", bearer(token)...); status != 401 {
		t.Errorf("the old token: %d", status)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, "GET", base+"/v1/status", "", bearer("")...); status != 503 {
		t.Errorf("no token to compare with: %d", status)
	}
}

func TestWebRefusesToStart(t *testing.T) {
	for name, test := range map[string]struct {
		listen, tokenFile, want string
	}{
		"open to all without a token":  {"0.0.0.0:0", "", "other machines can reach this address"},
		"no host is every address":     {":0", "", "other machines can reach this address"},
		"a short token":                {"127.0.0.1:0", tokenFile(t, "short"), "16 characters or more"},
		"a token that can't be read":   {"127.0.0.1:0", "/nonexistent/token", "read token"},
		"an address that can't be had": {"nonsense", "", `listen on "nonsense"`},
	} {
		opts := control.Options{Socket: filepath.Join(t.TempDir(), "s"), Listen: test.listen, TokenFile: test.tokenFile}
		err := control.New(&fake{}, opts).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want something with %q", name, err, test.want)
		}
	}
}

// panicky panics while it answers.
type panicky struct{ fake }

func (*panicky) Status(context.Context) (api.Status, error) { panic("a bug") }

func TestAPanicEndsOneRequest(t *testing.T) {
	socket, _ := start(t, &panicky{}, control.Options{})
	c := dial(t, socket)
	if _, err := c.Status(t.Context()); api.CodeOf(err) != api.CodeInternal {
		t.Errorf("got %v, want an internal error", err)
	}
	if _, err := c.Doctor(t.Context(), false); err != nil {
		t.Errorf("the request after it: %v", err)
	}
}

// A path that the server would tidy up must not become another request: "resume
// .." is not "resume all".
func TestASendingsNameIsNeverAPath(t *testing.T) {
	f := &fake{}
	socket, _ := start(t, f, control.Options{})
	c := dial(t, socket)
	for _, text := range []string{"..", ".", "", "../..", "42/results?x", "%2e%2e"} {
		for verb, do := range map[string]func(context.Context, string) (api.Change, error){"resume": c.Resume, "cancel": c.Cancel} {
			if _, err := do(t.Context(), text); err == nil {
				t.Errorf("%s %q did something", verb, text)
			}
		}
		if _, err := c.Resend(t.Context(), text, []api.ResendOutcome{api.ResendFailed}, false); err == nil {
			t.Errorf("resend %q did something", text)
		}
	}
	if f.last() != "" {
		t.Errorf("the service was called: %s", f.last())
	}
}
