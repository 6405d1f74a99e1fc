package daemon

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Hostile and broken requests are refused in words and leave nothing.
func TestHostileUploads(t *testing.T) {
	l := newLive(t, "max_pending_bytes = \"2MiB\"", "max_file_size = \"1MiB\"")
	kind, _ := form()
	files := []string{"layout@l.json", theLayout, "file@c.csv", theCSV}
	whole := func(parts ...string) string {
		k, body := form(parts...)
		_, boundary, _ := strings.Cut(k, "boundary=")
		return strings.ReplaceAll(body.String(), boundary, "BOUND")
	}
	bound := "multipart/form-data; boundary=BOUND"
	for _, test := range []struct {
		what, kind, body string
		want             int
	}{
		{"no form", "application/json", "{}", 400},
		{"no boundary", "multipart/form-data", "x", 400},
		{"another boundary", "multipart/form-data; boundary=OTHER", whole(files...), 400},
		{"a cut body", bound, strings.TrimSuffix(whole(files...), "--BOUND--\r\n"), 400},
		{"cut in the CSV", bound, whole(files...)[:len(whole(files...))-20], 400},
		{"nothing", kind, "", 400},
		{"no CSV", bound, whole("layout@l.json", theLayout), 400},
		{"no layout", bound, whole("file@c.csv", theCSV), 400},
		{"two layouts", bound, whole(append(files, "layout@l.json", theLayout)...), 400},
		{"two names", bound, whole(append(files, "name", "a", "name", "a")...), 400},
		{"an unknown field", bound, whole(append(files, "scheduledAt", "2026-01-01T00:00:00Z")...), 400},
		{"a key of the path", bound, whole(append(files, "campaignId", "8")...), 400},
		{"a part without a name", bound, "--BOUND\r\nContent-Disposition: form-data\r\n\r\nx\r\n--BOUND--\r\n", 400},
		{"an encoded part", bound, "--BOUND\r\nContent-Disposition: form-data; name=\"file\"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--BOUND--\r\n", 400},
		{"a huge header", bound, "--BOUND\r\nContent-Disposition: form-data; name=\"" + strings.Repeat("x", 200<<10) + "\"\r\n\r\nx\r\n--BOUND--\r\n", 413},
		{"much before the first part", bound, strings.Repeat("x\r\n", 100<<10) + whole(files...), 413},
		{"a huge field", bound, whole("reference", strings.Repeat("x", 1<<20)), 413},
		{"a huge layout", bound, whole("layout@l.json", strings.Repeat(" ", 1<<20+1)), 413},
		{"a huge CSV", bound, whole("file@c.csv", strings.Repeat("x\n", 512<<10+1)), 413},
		{"a field that is no UTF-8", bound, whole(append(files, "reference", "\xff")...), 400},
		{"rows that are no number", bound, whole(append(files, "rows", "two")...), 400},
		{"rows that smuggle a key", bound, whole(append(files, "rows", `2, "campaignId": 8`)...), 400},
		{"rows of another type", bound, whole(append(files, "rows", `"2"`)...), 422},
		{"a wrong time", bound, whole(append(files, "scheduleAt", "tomorrow")...), 422},
	} {
		switch a := l.post(northToken, uploadPath, test.kind, strings.NewReader(test.body)); {
		case a.status != test.want:
			t.Errorf("%s: a.status = %v, want %v\n%+v\n%s", test.what, a.status, test.want, test.want, a.text)
		case a.Detail == "":
			t.Errorf("%s: a.Detail is empty", test.what)
		case a.Title == "":
			t.Errorf("%s: a.Title is empty", test.what)
		}
	}
	for _, name := range []string{"..", "../x", "a/b", `a\b`, "", ".hidden", "x\x00y", "x\ny", strings.Repeat("n", 201), "README", "x.suppress", "x.part/../y"} {
		switch a := l.upload(northToken, append(files, "name", name)...); {
		case a.status != 400:
			t.Errorf("name %q: a.status = %v, want 400\n%s", name, a.status, a.text)
		case len(a.Errors) != 1:
			t.Errorf("name %q: len(a.Errors) = %v, want 1", name, len(a.Errors))
		case a.Errors[0].Field != "name":
			t.Errorf("name %q: a.Errors[0].Field = %q, want \"name\"", name, a.Errors[0].Field)
		}
	}
	l.nothingLeft()
	for i, name := range []string{"../../evil.csv", `C:\x\evil.csv`, "/etc/evil.csv", "evil.CSV", ".csv", ".."} {
		a := l.upload(northToken, "layout@l.json", theLayout, "file@"+name, fmt.Sprintf("code,name\n%d,Ada\n", i))
		if a.status != 202 {
			t.Errorf("file name %q: got status %d, want 202: %s", name, a.status, a.text)
		} else if a.Name != "evil" && a.Name != "upload" {
			t.Errorf("file name %q: got the drop %q, want evil or upload", name, a.Name)
		}
	}
}

// An inbox that is full refuses further uploads, even while the first ones arrive.
func TestFullInbox(t *testing.T) {
	l := newLive(t, "max_drops = 1", "windows = [\"CRON_TZ=UTC 0 0 1 1 *\"]")
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV); a.status != 202 {
		t.Fatal(a.text)
	}
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@d.csv", "code,name\nd,Dan\n"); a.status != 429 {
		t.Errorf("a second drop: %d %s", a.status, a.text)
	}
	if a := l.upload(southToken, "layout@l.json", theLayout, "file@d.csv", "code,name\nd,Dan\n"); a.status != 202 {
		t.Errorf("another partner's: %d %s", a.status, a.text)
	}
	l.nothingLeft()
}

// An upload whose connection breaks leaves nothing, and its room is free again.
func TestCutUpload(t *testing.T) {
	l := newLive(t, "max_drops = 1", "")
	kind, body := form("layout@l.json", theLayout, "file@c.csv", strings.Repeat(theCSV, 10_000))
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.base, "http://"))
	l.check(err)
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", uploadPath, northToken, kind, body.Len())
	l.check(err)
	_, err = conn.Write(body.Bytes()[:body.Len()/2])
	l.check(err)
	pattern := filepath.Join(l.inbox("north"), "accepted", ".campaignd-upload-*", "*")
	l.wait("the upload has begun", func() bool { found, _ := filepath.Glob(pattern); return len(found) > 1 })
	l.check(conn.Close())
	l.wait("the upload is gone", func() bool { found, _ := filepath.Glob(filepath.Dir(pattern)); return len(found) == 0 })
	l.counts(`campaignd_uploads_total{result="cut"} 1`)
	l.nothingLeft()
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV); a.status != 202 {
		t.Errorf("afterwards: %d %s", a.status, a.text)
	}
}

// A refusal reaches a client that sends its whole body before it looks for an answer.
func TestRefusalOfALargeUploadArrives(t *testing.T) {
	l := newLive(t, "", "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.base, "http://"))
	l.check(err)
	defer conn.Close()
	begin := "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.csv\"\r\n\r\n"
	const blocks, block = 64, 1 << 20
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n%s",
		strings.Replace(uploadPath, "/1/", "/99/", 1), northToken, len(begin)+blocks*block, begin)
	l.check(err)
	for range blocks {
		if _, err := conn.Write(make([]byte, block)); err != nil {
			t.Fatalf("the connection was closed before the body was sent: %v", err)
		}
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	l.check(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("got %s, want 404", answer.Status)
	}
}

// begin begins an upload with the north partner's token and sends only the first bytes of its body.
func (l *live) begin(kind string, body []byte, first int) net.Conn {
	l.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.base, "http://"))
	l.check(err)
	l.t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		uploadPath, northToken, kind, len(body), body[:first])
	l.check(err)
	return conn
}

// An upload into an inbox that is away is answered before its body was sent, and one whose inbox
// goes away meanwhile at its end, with words that help.
func TestUploadIntoAnInboxThatIsAway(t *testing.T) {
	l := newLive(t, "", "")
	kind, body := form("layout@l.json", theLayout, "file@c.csv", strings.Repeat(theCSV, 10_000))
	unavailable := func(what string, conn net.Conn) {
		t.Helper()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		l.check(err)
		defer answer.Body.Close()
		if answer.ContentLength <= 0 {
			t.Errorf("%s: the answer's length is %d: it ends when the rest of the request was read", what, answer.ContentLength)
		}
		var detail struct{ Detail string }
		l.check(json.NewDecoder(answer.Body).Decode(&detail))
		if answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: got %s, want 503", what, answer.Status)
		}
		if want := "the inbox isn't there"; !strings.Contains(detail.Detail, want) {
			t.Errorf("%s: got %q, want %q in it", what, detail.Detail, want)
		}
	}
	away := l.inbox("north") + "-away"
	l.check(os.Rename(l.inbox("north"), away))
	unavailable("away from the beginning", l.begin(kind, body.Bytes(), 100))
	l.check(os.Rename(away, l.inbox("north")))

	conn := l.begin(kind, body.Bytes(), body.Len()/2)
	pattern := filepath.Join(l.inbox("north"), "accepted", ".campaignd-upload-*", "*")
	l.wait("the upload has begun", func() bool { found, _ := filepath.Glob(pattern); return len(found) > 1 })
	l.check(os.Rename(l.inbox("north"), away))
	_, err := conn.Write(body.Bytes()[body.Len()/2:])
	l.check(err)
	unavailable("away in the middle", conn)
	l.check(os.Rename(away, l.inbox("north")))
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV); a.status != 202 {
		t.Errorf("afterwards: %d %s", a.status, a.text)
	}
}
