package daemon

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// An upload becomes a drop of the partner's inbox, and the answer says which and where to look.
func TestUpload(t *testing.T) {
	l := newLive(t, "", "")
	a := l.upload(northToken, "layout@l.json", theLayout, "file@contacts.csv", theCSV, "name", "spring", "reference", "order 7", "rows", "2")
	switch {
	case a.status != 202:
		t.Fatalf("a.status: got %v, want 202", a.status)
	case a.Name != "spring":
		t.Fatalf(`a.Name: got %q, want "spring"`, a.Name)
	case !a.ID.Valid():
		t.Fatal("a.ID.Valid(): got false, want true")
	case a.location != "/v1/sendings/"+string(a.ID):
		t.Fatalf("a.location: got %q, want %q", a.location, "/v1/sendings/"+string(a.ID))
	}
	if a.Recipients.Accepted != 2 {
		t.Errorf("a.Recipients.Accepted = %v, want 2", a.Recipients.Accepted)
	}
	if a.Planned != 2 {
		t.Errorf("a.Planned = %v, want 2", a.Planned)
	}
	if a.Reference != "order 7" {
		t.Errorf("a.Reference = %q, want \"order 7\"", a.Reference)
	}
	status, text := l.get(northToken, a.location)
	if status != 200 {
		t.Errorf("GET of the sending: status = %v, want 200", status)
	}
	if !strings.Contains(text, `"inbox"`) {
		t.Errorf("GET of the sending: want `\"inbox\"` in:\n%s", text)
	}
	if strings.Contains(text, `"folder"`) {
		t.Errorf("GET of the sending: want no `\"folder\"` in:\n%s", text)
	}
	l.waitDone(a.ID)
	for name, want := range map[string]string{"spring.csv": theCSV, "spring.layout.json": theLayout} {
		got, err := os.ReadFile(filepath.Join(l.inbox("north"), "done", "spring."+string(a.ID), name))
		l.check(err)
		if string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	l.nothingLeft()
}

// A compressed CSV is uploaded as it is.
func TestUploadOfAnArchive(t *testing.T) {
	l := newLive(t, "", "")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, theCSV)
	l.check(errors.Join(err, w.Close()))
	a := l.upload(northToken, "layout@l.json", theLayout, "file@Night.CSV.gz", packed.String())
	if a.status != 202 {
		t.Fatalf("a.status = %v, want 202\n%s", a.status, a.text)
	}
	if a.Name != "Night" {
		t.Fatalf("a.Name = %q, want \"Night\"", a.Name)
	}
	if a.Recipients.Accepted != 2 {
		t.Fatalf("a.Recipients.Accepted = %v, want 2", a.Recipients.Accepted)
	}
	l.waitDone(a.ID)
	switch got, err := os.ReadFile(filepath.Join(l.inbox("north"), "done", "Night."+string(a.ID), "Night.csv.gz")); {
	case err != nil:
		t.Errorf("the original isn't there as it came: %v", err)
	case !bytes.Equal(got, packed.Bytes()):
		t.Errorf("the original isn't there as it came: got %q, want %q", got, packed.Bytes())
	}
}

// A rejected drop is answered with its located errors, the same drop again with the earlier id.
func TestUploadIsRefused(t *testing.T) {
	l := newLive(t, "", "")
	a := l.upload(northToken, "layout@l.json", `{"contact": {"contactCode": "{{kode}}", "channelType": "push"}, "customFields": {"name": "{{name}}"}}`, "file@c.csv", theCSV)
	switch {
	case a.status != 422:
		t.Errorf("a wrong layout: a.status: got %v, want 422", a.status)
	case a.Code != api.CodeRejected:
		t.Errorf("a wrong layout: a.Code: got %v, want %v", a.Code, api.CodeRejected)
	case len(a.Errors) != 1:
		t.Errorf("a wrong layout: len(a.Errors): got %v, want 1: %+v", len(a.Errors), a.Errors)
	case a.Errors[0].Line != 1:
		t.Errorf("a wrong layout: a.Errors[0].Line: got %v, want 1", a.Errors[0].Line)
	case a.Errors[0].File != "c.layout.json":
		t.Errorf(`a wrong layout: a.Errors[0].File: got %q, want "c.layout.json"`, a.Errors[0].File)
	case !a.Sending.Valid():
		t.Error("a wrong layout: a.Sending.Valid(): got false, want true")
	}
	first := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	second := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	if second.status != 409 {
		t.Errorf("the same drop twice: second.status = %v, want 409\n%s", second.status, second.text)
	}
	if !strings.Contains(second.Detail, string(first.ID)) {
		t.Errorf("the same drop twice: second.Detail = %q, want %q in it", second.Detail, string(first.ID))
	}
	if again := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV, "resend", "true"); again.status != 202 {
		t.Errorf("with resend: %d %s", again.status, again.text)
	}
	if a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", "code,name\nx,Ada\ny,Bob\n", "rows", "3"); a.status != 422 {
		t.Errorf("with a wrong proof: %d %s", a.status, a.text)
	}
	l.counts(`campaignd_uploads_total{result="accepted"} 2`, `campaignd_uploads_total{result="rejected"} 2`, `campaignd_uploads_total{result="conflict"} 1`,
		`campaignd_upload_bytes_total `+fmt.Sprint(5*(len(theLayout)+len(theCSV))+len("true3")))
	l.nothingLeft()
}

// A partner's token reaches its own inbox's sendings and nothing else.
func TestPartnerReachesOnlyItsOwn(t *testing.T) {
	l := newLive(t, "", "windows = [\"CRON_TZ=UTC 0 0 1 1 *\"]")
	north := l.upload(northToken, "layout@l.json", theLayout, "file@north.csv", theCSV)
	south := l.upload(southToken, "layout@l.json", theLayout, "file@autumn.csv", "code,name\nc,Cid\n")
	if north.status != 202 {
		t.Fatalf("north.status = %v, want 202\n%s\n%s", north.status, south.text, north.text)
	}
	if south.status != 202 {
		t.Fatalf("south.status = %v, want 202\n%s\n%s", south.status, south.text, north.text)
	}
	switch status, text := l.get(northToken, "/v1/sendings"); {
	case status != 200:
		t.Errorf("the list: status = %v, want 200", status)
	case !strings.Contains(text, string(north.ID)):
		t.Errorf("the list: want %q in:\n%s", string(north.ID), text)
	case strings.Contains(text, string(south.ID)):
		t.Errorf("the list: want no %q in:\n%s", string(south.ID), text)
	}
	_, unknown := l.get(northToken, "/v1/sendings/nothing")
	for _, other := range []string{string(south.ID), "autumn", string(south.ID)[9:]} {
		status, text := l.get(northToken, "/v1/sendings/"+other)
		if want := strings.ReplaceAll(unknown, "nothing", other); status != 404 || text != want {
			t.Errorf("another partner's sending %s: %d %s, want %s", other, status, text, want)
		}
		if status, _ := l.get(northToken, "/v1/sendings/"+other+"/results"); status != 404 {
			t.Errorf("results of another partner's sending: %d", status)
		}
		for _, verb := range []string{"pause", "resume", "cancel"} {
			if a := l.postJSON(northToken, "/v1/sendings/"+other+"/"+verb); a != 404 {
				t.Errorf("%s of another partner's sending: %d", verb, a)
			}
		}
	}
	for _, path := range []string{"/", "/metrics", "/openapi.json", "/v1/status", "/v1/timeline", "/v1/audit", "/v1/doctor", "/v1/suppressions", "/v1/backup", "/v1/nothing", "/sendings"} {
		if status, text := l.get(northToken, path); status != 404 && !(path == "/metrics" && status == 200) {
			t.Errorf("GET %s: %d %.100s", path, status, text)
		}
	}
	for _, path := range []string{"/v1/resume", "/v1/reload", "/v1/forget", "/v1/sendings/" + string(north.ID) + "/resend", "/v1/suppressions", "/v1/login-code", "/v1/send-test", "/login"} {
		if status := l.postJSON(northToken, path); status != 404 && path != "/login" {
			t.Errorf("POST %s: %d", path, status)
		}
	}
	kind, body := form("layout@l.json", theLayout, "file@c.csv", theCSV)
	for _, path := range []string{"/v1/applications/2/campaigns/7/send/csv", "/v1/applications/99/campaigns/7/send/csv"} {
		if a := l.post(northToken, path, kind, bytes.NewReader(body.Bytes())); a.status != 404 {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
	if status := l.postJSON(northToken, "/v1/sendings/north/cancel"); status != 200 {
		t.Errorf("cancel of its own: %d", status)
	}
	if a := l.upload("guess-0123456789abcdef", "layout@l.json", theLayout, "file@c.csv", theCSV); a.status != 401 {
		t.Errorf("an unknown token: %d %s", a.status, a.text)
	}
}

// A partner's request for a campaign that its inbox may not send is answered with that error.
func TestUploadOfACampaignThatIsNotAllowed(t *testing.T) {
	l := newLive(t, "allow_campaigns = [99]", "")
	a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	switch {
	case a.status != 422:
		t.Errorf("a.status = %v, want 422\n%s", a.status, a.text)
	case len(a.Errors) != 1:
		t.Errorf("len(a.Errors) = %v, want 1", len(a.Errors))
	case a.Errors[0].Code != "campaign-not-allowed":
		t.Errorf("a.Errors[0].Code = %q, want \"campaign-not-allowed\"\n%s", a.Errors[0].Code, a.text)
	}
}

// An operator names the inbox, before the files.
func TestOperatorNamesTheInbox(t *testing.T) {
	l := newLive(t, "", "")
	parts := []string{"layout@l.json", theLayout, "file@c.csv", theCSV}
	switch a := l.upload(operatorToken, parts...); {
	case a.status != 400:
		t.Errorf("without an inbox: a.status = %v, want 400\n%s", a.status, a.text)
	case len(a.Errors) != 1:
		t.Errorf("without an inbox: len(a.Errors) = %v, want 1", len(a.Errors))
	case a.Errors[0].Field != "inbox":
		t.Errorf("without an inbox: a.Errors[0].Field = %q, want \"inbox\"", a.Errors[0].Field)
	}
	if a := l.upload(operatorToken, append(parts, "inbox", "north-inbox")...); a.status != 400 {
		t.Errorf("an inbox after the files: %d %s", a.status, a.text)
	}
	for _, text := range []string{"nowhere", "../north-inbox", "", "/etc", l.inbox("north") + "/accepted"} {
		if a := l.upload(operatorToken, append([]string{"inbox", text}, parts...)...); a.status != 400 {
			t.Errorf("inbox %q: %d %s", text, a.status, a.text)
		}
	}
	if a := l.upload(northToken, append([]string{"inbox", "south-inbox"}, parts...)...); a.status != 400 {
		t.Errorf("a partner that names an inbox: %d %s", a.status, a.text)
	}
	if a := l.upload(operatorToken, append([]string{"inbox", "south-inbox"}, parts...)...); a.status != 202 {
		t.Errorf("by its last part: %d %s", a.status, a.text)
	}
	l.nothingLeft()
}

// The same key and content gets the same answer, at the same time, later and after a restart;
// other content is refused.
func TestIdempotencyKey(t *testing.T) {
	l := newLive(t, "", "")
	kind, body := form("layout@l.json", theLayout, "file@c.csv", theCSV)
	post := func(token, key string, body []byte) answer {
		return l.post(token, uploadPath, kind, bytes.NewReader(body), "Idempotency-Key", key)
	}
	answers := make([]answer, 8)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = post(northToken, "key-1", body.Bytes()) })
	}
	group.Wait()
	if answers[0].status != 202 {
		t.Fatalf("%d %s", answers[0].status, answers[0].text)
	}
	for i, a := range answers {
		if a.status != 202 || a.text != answers[0].text {
			t.Errorf("request %d: %d %s, want %s", i, a.status, a.text, answers[0].text)
		}
	}
	l.waitDone(answers[0].ID)
	l.stop()
	l.start()
	if a := post(northToken, "key-1", body.Bytes()); a.text != answers[0].text {
		t.Errorf("after a restart: %d %s, want %s", a.status, a.text, answers[0].text)
	}
	other := bytes.ReplaceAll(body.Bytes(), []byte("Ada"), []byte("Eva"))
	switch a := post(northToken, "key-1", other); {
	case a.status != 422:
		t.Errorf("other content: a.status = %v, want 422\n%s", a.status, a.text)
	case a.Code != api.CodeKeyReused:
		t.Errorf("other content: a.Code = %q, want %q\n%s", a.Code, api.CodeKeyReused, a.text)
	}
	if a := post(southToken, "key-1", body.Bytes()); a.status != 409 {
		t.Errorf("another partner's key is its own: %d %s", a.status, a.text)
	}
	wrong := bytes.ReplaceAll(body.Bytes(), []byte("{{code}}"), []byte("{{kode}}"))
	switch one, two := post(northToken, "key-2", wrong), post(northToken, "key-2", wrong); {
	case one.status != 422:
		t.Errorf("a refusal is remembered too: one.status = %v, want 422\n%s", one.status, one.text)
	case two.text != one.text:
		t.Errorf("a refusal is remembered too: two.text = %q, want %q", two.text, one.text)
	}
	if all, err := l.Sendings(t.Context(), api.Filter{}); err != nil || len(all) != 3 {
		t.Errorf("%d sendings (%v), want 3", len(all), err)
	}
}

// Fifty clients at once each get the id of their own drop.
func TestFiftyClientsAtOnce(t *testing.T) {
	l := newLive(t, "", "")
	ids := make([]campaign.ID, 50)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			token := northToken
			if i%2 == 1 {
				token = southToken
			}
			a := l.upload(token, "layout@l.json", theLayout, "file@contacts.csv", fmt.Sprintf("code,name\nclient-%d,Ada\n", i))
			if ids[i] = a.ID; a.status != 202 {
				t.Errorf("client %d: %d %s", i, a.status, a.text)
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	for i, id := range ids {
		l.waitDone(id)
		inbox := l.inbox([]string{"north", "south"}[i%2])
		text, err := os.ReadFile(filepath.Join(inbox, "done", "contacts."+string(id), "contacts.csv"))
		if err != nil || !strings.Contains(string(text), fmt.Sprintf("client-%d,", i)) {
			t.Errorf("client %d got the drop of another: %q %v", i, text, err)
		}
	}
	l.nothingLeft()
}

// The end of each drop is announced to the partner with a signature, also after a restart.
func TestEndIsAnnounced(t *testing.T) {
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var down atomic.Bool
	events := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		switch {
		case err != nil:
			t.Errorf("the request isn't authentic: %v", err)
		case down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
			events <- "down"
		default:
			var e struct {
				Type string
				Data struct {
					ID       campaign.ID
					Messages api.Messages
				}
			}
			if err := json.Unmarshal(body, &e); err != nil || bytes.Contains(body, []byte("Ada")) {
				t.Errorf("body %s: %v", body, err)
			}
			events <- fmt.Sprint(e.Type, " ", e.Data.ID, " ", e.Data.Messages.Sent)
		}
	}))
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLive(t, fmt.Sprintf("notify_url = %q\nnotify_secret_file = %q", receiver.URL, file), "")
	a := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	if got, want := <-events, "sending.completed "+string(a.ID)+" 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	down.Store(true)
	refused := l.upload(northToken, "layout@l.json", theLayout, "file@c.csv", theCSV)
	if got := <-events; got != "down" {
		t.Errorf("got %q", got)
	}
	l.stop()
	down.Store(false)
	l.start()
	if got, want := <-events, "sending.rejected "+string(refused.Sending)+" 0"; got != want {
		t.Errorf("after a restart: got %q, want %q", got, want)
	}
	l.counts(`campaignd_notices_total{result="delivered"} 1`, `campaignd_notices_total{result="given_up"} 0`)
	l.wait("no notice is left", func() bool { list, err := l.store.Notices(); return err == nil && len(list) == 0 })
}
