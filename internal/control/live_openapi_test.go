package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"campaignd/internal/control"
)

// liveServer calls a running server over one of its two ways.
type liveServer struct {
	name  string
	base  string
	token string
	http  *http.Client
}

// call is one request to an operation.
type call struct {
	what        string
	query       string
	body        any
	contentType string
	want        int
}

func (l liveServer) do(t *testing.T, method, path string, c call) (int, []byte) {
	t.Helper()
	var body io.Reader
	if c.body != nil {
		data, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	if c.contentType == "text/csv" {
		body = strings.NewReader("contactCode\n1\n")
	}
	if strings.HasPrefix(c.contentType, "multipart/form-data") {
		body = strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"layout\"\r\n\r\n{}\r\n--b--\r\n")
		c.contentType = "multipart/form-data; boundary=b"
	}
	target := l.base + strings.NewReplacer("{id}", "42", "{applicationId}", "1", "{campaignId}", "7").Replace(path)
	if c.query != "" {
		target += "?" + c.query
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	if c.contentType != "" {
		r.Header.Set("Content-Type", c.contentType)
	}
	if l.token != "" {
		r.Header.Set("Authorization", "Bearer "+l.token)
	}
	resp, err := l.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, data
}

// TestLiveServerIsAsDescribed sends requests that are derived from openapi.json to a running server, over socket and HTTP.
func TestLiveServerIsAsDescribed(t *testing.T) {
	var d description
	if err := json.Unmarshal([]byte(control.OpenAPI), &d); err != nil {
		t.Fatal(err)
	}
	socket, web := start(t, &fake{}, control.Options{Listen: "127.0.0.1:0", Pages: &fakePages{make(chan struct{})}})
	overSocket := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", socket)
	}}}
	t.Cleanup(overSocket.CloseIdleConnections)
	overHTTP := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(overHTTP.CloseIdleConnections)
	for _, l := range []liveServer{{"socket", "http://campaignd", "", overSocket}, {"HTTP", "http://" + web, token, overHTTP}} {
		for path, operations := range d.Paths {
			for verb, op := range operations {
				for _, c := range d.calls(op) {
					d.try(t, l, strings.ToUpper(verb), path, op, c)
				}
				if status, _ := l.do(t, "PATCH", path, call{}); status != 405 {
					t.Errorf("%s PATCH %s: %d, want 405", l.name, path, status)
				}
			}
		}
	}
}

// try makes one call and checks its status and its answer.
func (d *description) try(t *testing.T, l liveServer, verb, path string, op described, c call) {
	t.Helper()
	status, answer := l.do(t, verb, path, c)
	want := c.want
	if onlySocket := path == "/v1/send-test" || path == "/v1/login-code"; onlySocket && l.name == "HTTP" && status == 403 {
		return
	}
	if status != want {
		t.Errorf("%s %s %s, %s: %d %s, want %d", l.name, verb, path, c.what, status, answer, want)
		return
	}
	response, kind := op.Responses[fmt.Sprint(status)], "application/json"
	if _, isUpload := op.Responses["202"]; isUpload && status != 202 {
		kind = "application/problem+json"
		response.Content = map[string]struct{ Schema schema }{kind: {schema{"$ref": "#/components/schemas/ProblemDetails"}}}
	} else if status >= 300 {
		response.Content = map[string]struct{ Schema schema }{"application/json": {schema{"type": "object", "required": []any{"error"},
			"properties": map[string]any{"error": map[string]any{"$ref": "#/components/schemas/Error"}}}}}
	}
	content, ok := response.Content[kind]
	if !ok {
		return
	}
	var value any
	if err := json.Unmarshal(answer, &value); err != nil {
		t.Errorf("%s %s %s, %s: %v", l.name, verb, path, c.what, err)
		return
	}
	if err := d.check("answer", content.Schema, value); err != nil {
		t.Errorf("%s %s %s, %s: %v", l.name, verb, path, c.what, err)
	}
}

// TestAbsentDryRunSendsNothing: a request that forgets dryRun only counts.
func TestAbsentDryRunSendsNothing(t *testing.T) {
	f := &fake{}
	_, web := start(t, f, control.Options{Listen: "127.0.0.1:0"})
	headers := append(bearer(token), "Content-Type", "application/json")
	ask(t, "POST", "http://"+web+"/v1/sendings/42/resend", `{"outcomes":["failed"]}`, headers...)
	if got, want := f.last(), "resend "+string(theID)+" [failed] true by web:token"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	ask(t, "POST", "http://"+web+"/v1/sendings/42/resend", `{"outcomes":["failed"],"dryRun":false}`, headers...)
	if got, want := f.last(), "resend "+string(theID)+" [failed] false by web:token"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
