package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/send/whatsapp/graphfake"
	"campaignd/test/loopback"
)

// waShop is the daemon with a WhatsApp channel whose Meta is a fake that signs its webhooks.
type waShop struct {
	t      *testing.T
	dir    string
	config string
	fake   *graphfake.Server
	listen string
	log    *lockedBuffer
}

const waConfig = `state_dir = %[1]q
campaigns_dir = %[2]q
listen = %[3]q
rescan = "1s"
results_refresh = "1s"
[[inboxes]]
path = %[4]q
application = 1
settle = "20ms"
sidecar_wait = "200ms"
[[applications]]
id = 1
country = "ES"
[applications.channels.wa]
driver = "whatsapp"
base_url = %[5]q
phone_number_id = "106540352242922"
business_account_id = "102290129340398"
templates_refresh = "1h"
token_file = "env:TOKEN"
app_secret_file = "env:SECRET"
verify_token_file = "env:VERIFY"
`

// newWAShop starts a fake Meta, whose listener wrap may change, and configures a daemon.
func newWAShop(t *testing.T, wrap ...func(net.Listener) net.Listener) *waShop {
	t.Helper()
	s := &waShop{t: t, dir: t.TempDir(), log: &lockedBuffer{}, fake: graphfake.New(graphfake.Options{Token: "secret-token"})}
	meta := httptest.NewUnstartedServer(s.fake)
	for _, change := range wrap {
		meta.Listener = change(meta.Listener)
	}
	meta.Start()
	t.Cleanup(meta.Close)
	s.listen = loopback.FreeAddress(t)
	for _, name := range []string{"in", "campaigns"} {
		s.check(os.Mkdir(filepath.Join(s.dir, name), 0o755))
	}
	s.config = filepath.Join(s.dir, "campaignd.toml")
	s.write("campaignd.toml", fmt.Sprintf(waConfig, filepath.Join(s.dir, "var"), filepath.Join(s.dir, "campaigns"), s.listen, filepath.Join(s.dir, "in"), meta.URL))
	return s
}

// start runs the daemon until the test ends.
func (s *waShop) start() {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	var daemon sync.WaitGroup
	daemon.Go(func() { s.run(ctx, s.log, "run") })
	s.t.Cleanup(func() {
		stop()
		daemon.Wait()
		if s.t.Failed() {
			s.t.Logf("the daemon's log ends with:\n%s", s.log.tail())
		}
	})
	s.until("the daemon answers", func() bool {
		resp, err := http.Get("http://" + s.listen + "/healthz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (s *waShop) run(ctx context.Context, out interface{ Write([]byte) (int, error) }, args ...string) int {
	env := map[string]string{"TOKEN": "secret-token", "SECRET": "app-secret", "VERIFY": "verify-me"}
	return run(ctx, append(args, "--config", s.config), strings.NewReader(""), out, out, func(name string) string { return env[name] })
}

func (s *waShop) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *waShop) write(name, text string) {
	s.t.Helper()
	s.check(os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644))
}

// until waits for a fact.
func (s *waShop) until(what string, fact func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !fact() {
		select {
		case <-deadline.C:
			s.t.Fatalf("it isn't so that %s", what)
		case <-tick.C:
		}
	}
}

// drop drops rows for a campaign and returns the text of its report, once it has ended.
func (s *waShop) drop(name string, campaign int, rows string) string {
	s.t.Helper()
	s.write("in/"+name+".layout.json", `{"contact": {"contactCode": "{{phone}}", "channelType": "wa"}, "customFields": {"name": "{{name}}"}}`)
	s.write("in/"+name+".csv", "phone,name\n"+rows)
	s.write("in/"+name+".schedule.json", fmt.Sprintf(`{"campaignId": %d}`, campaign))
	return s.file(name, "report.txt")
}

// file returns a file of a drop that has ended.
func (s *waShop) file(drop, name string) (text string) {
	s.t.Helper()
	s.until("the drop "+drop+" has ended with "+name, func() bool {
		for _, end := range []string{"done", "failed"} {
			if found, _ := filepath.Glob(filepath.Join(s.dir, "in", end, drop+".2*", name)); len(found) > 0 {
				data, err := os.ReadFile(found[0])
				s.check(err)
				text = string(data)
				return true
			}
		}
		return false
	})
	return text
}

// hook calls the webhook with a signed body.
func (s *waShop) hook(body []byte) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+s.listen+"/hooks/whatsapp", bytes.NewReader(body))
	s.check(err)
	req.Header.Set("X-Hub-Signature-256", graphfake.Sign("app-secret", body))
	resp, err := http.DefaultClient.Do(req)
	s.check(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("the webhook answers %d", resp.StatusCode)
	}
}

// got returns to whom Meta was asked to send.
func (s *waShop) got() map[string]int {
	all := map[string]int{}
	for _, m := range s.fake.Messages() {
		all[m.To+m.UserID]++
	}
	return all
}

func wantText(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, text)
		}
	}
}

// TestWhatsAppOptOuts: who opts out by a stop word, a preference, a user id or a list gets nothing more, in any
// spelling, and replies are in the files; judged by what Meta got.
func TestWhatsAppOptOuts(t *testing.T) {
	s := newWAShop(t)
	s.fake.SetTemplates(graphfake.NewTemplate("welcome", "es", "Hola {{1}}"))
	s.write("campaigns/7.json", `{"id": 7, "applicationId": 1, "channelTypes": ["wa"], "messageContent": [{"template": {"name": "welcome", "language": "es",
		"components": [{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}}]}`)
	s.start()
	s.drop("first", 7, "34666000111,Ada\n+34 666 000 222,Grace\n666000333,Edith\n34666000444,Joan\n34666000555,Mary\n")
	switch got := s.got(); {
	case len(got) != 5:
		t.Fatalf("len(got) = %v, want 5: %+v", len(got), got)
	case got["34666000333"] != 1:
		t.Fatalf("got[\"34666000333\"] = %v, want 1", got["34666000333"])
	}
	const number = "106540352242922"
	sent := s.fake.Messages()
	now := time.Now()
	status := func(i int, userID string) graphfake.Status {
		return graphfake.Status{ID: sent[i].ID, Status: "delivered", At: now, Recipient: sent[i].To, UserID: userID, Key: sent[i].Key}
	}
	of := func(to string) int {
		for i, m := range sent {
			if m.To == to {
				return i
			}
		}
		t.Fatalf("nothing went to %s", to)
		return 0
	}
	s.hook(graphfake.Notification(number, status(of("34666000333"), "ES.333"), status(of("34666000444"), "ES.444")))
	s.hook(graphfake.Replies(number, graphfake.TextReply("wamid.r1", "34666000111", "¡Baja!", "", now), graphfake.TextReply("wamid.r2", "34666000555", "thanks", sent[of("34666000555")].ID, now)))
	s.hook(graphfake.OptOut(number, "34666000222", "stop", now))
	s.hook(graphfake.OptOutByUserID(number, "ES.333", "stop", now))
	s.write("in/x.suppress.csv", "contactCode\n0034 666-000-444\nnobody\n")
	s.until("the list is taken in", func() bool {
		found, _ := filepath.Glob(filepath.Join(s.dir, "in", "done", "x.suppress.csv*.report.txt"))
		if len(found) == 0 {
			return false
		}
		data, err := os.ReadFile(found[0])
		s.check(err)
		wantText(t, "the answer", string(data), "1 line was refused (line 3), and 1 opt-out taken in")
		return true
	})
	var checked bytes.Buffer
	s.write("x.suppress.csv", "contactCode\n0034 666-000-444\nnobody\n")
	if status := s.run(t.Context(), &checked, "check", filepath.Join(s.dir, "x.suppress.csv")); status != exitProblems {
		t.Errorf("check ends with %d", status)
	}
	wantText(t, "check", checked.String(), "1 line was refused (line 3), and 1 opt-out taken in")

	s.drop("second", 7, "+34666000111,Ada\n34666000222,Grace\n34 666 000 333,Edith\n34666000444,Joan\nES.444,Joan\n34666000555,Mary\n")
	got := s.got()
	for _, to := range []string{"34666000111", "34666000222", "34666000333", "34666000444"} {
		if got[to] != 1 {
			t.Errorf("Meta got %d messages to %s, want the first alone", got[to], to)
		}
	}
	if got["ES.444"] != 0 || got["34666000555"] != 2 {
		t.Errorf("Meta got %v; want none to ES.444 and two to 34666000555", got)
	}
	if faults := s.fake.Faults(); len(faults) > 0 {
		t.Errorf("Meta finds faults: %q", faults)
	}
}

// TestWhatsAppTemplates: a drop whose template Meta doesn't have is refused before its first message, in the words of
// check; one that Meta pauses sends nothing more.
func TestWhatsAppTemplates(t *testing.T) {
	s := newWAShop(t)
	s.fake.SetTemplates(graphfake.NewTemplate("welcome", "es", "Hola {{1}}"), graphfake.NewTemplate("autumn", "es", "Hola {{1}}"))
	s.fake.PageTemplates(1)
	item := `{"id": %d, "applicationId": 1, "channelTypes": ["wa"], "messageContent": [{"template": {"name": "%s", "language": "%s", "components": [{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}}]}`
	for id, name := range map[int][2]string{7: {"welcome", "es"}, 8: {"welcome", "fr"}, 9: {"autumn", "es"}} {
		s.write(fmt.Sprintf("campaigns/%d.json", id), fmt.Sprintf(item, id, name[0], name[1]))
	}
	var alone bytes.Buffer
	if status := s.run(t.Context(), &alone, "campaign", "templates"); status != 0 {
		t.Errorf("campaign templates without a daemon ends with %d", status)
	}
	wantText(t, "campaign templates without a daemon", alone.String(), "autumn", "welcome")
	alone.Reset()
	noSecrets := func(args ...string) int {
		return run(t.Context(), append(args, "--config", s.config), strings.NewReader(""), &alone, &alone, func(string) string { return "" })
	}
	if status := noSecrets("campaign", "templates"); status != exitUsage {
		t.Errorf("campaign templates without daemon and secrets ends with %d", status)
	}
	wantText(t, "campaign templates without daemon and secrets", alone.String(), "no daemon is running", "token_file")
	s.start()
	alone.Reset()
	if status := noSecrets("campaign", "templates"); status != 0 {
		t.Errorf("campaign templates of somebody who can't read the secrets ends with %d", status)
	}
	wantText(t, "campaign templates of somebody who can't read the secrets", alone.String(), "autumn", "welcome")
	const why = `the account has the template "welcome" in es, not in fr`
	wantText(t, "the report", s.drop("french", 8, "34666000111,Ada\n"), why)
	if got := s.got(); len(got) != 0 {
		t.Errorf("Meta got %v for a template that it doesn't have", got)
	}
	s.drop("spanish", 7, "34666000111,Ada\n")
	var out bytes.Buffer
	if status := s.run(t.Context(), &out, "campaign", "templates"); status != 0 {
		t.Errorf("campaign templates ends with %d", status)
	}
	wantText(t, "campaign templates", out.String(), "autumn", "welcome", "APPROVED", "MARKETING", "body 1")
	s.fake.RefuseTemplates(&graphfake.Answer{Code: 200})
	out.Reset()
	if status := s.run(t.Context(), &out, "campaign", "templates"); status != exitFailed {
		t.Errorf("campaign templates without the permission ends with %d", status)
	}
	wantText(t, "campaign templates", out.String(), "the token lacks the permission whatsapp_business_management")

	s.hook(s.fake.TemplateStatus("PAUSED", "autumn", "es"))
	s.write("in/late.layout.json", `{"contact": {"contactCode": "{{phone}}", "channelType": "wa"}, "customFields": {"name": "{{name}}"}}`)
	s.write("in/late.csv", "phone,name\n34666000222,Ada\n")
	s.write("in/late.schedule.json", `{"campaignId": 9}`)
	s.until("the sending is held", func() bool {
		found, _ := filepath.Glob(filepath.Join(s.dir, "in", "accepted", "late.*", "status.json"))
		if len(found) == 0 {
			return false
		}
		data, _ := os.ReadFile(found[0])
		return strings.Contains(string(data), "the template autumn (es) is PAUSED at WhatsApp")
	})
	if got := s.got(); got["34666000222"] != 0 {
		t.Errorf("Meta got %v although the template is paused", got)
	}
}

// TestWhatsAppUndelivered: what Meta accepted and then reported as undeliverable is in the first line of the
// report, in show and among the failures, and resend --undelivered sends that and nothing else.
func TestWhatsAppUndelivered(t *testing.T) {
	s := newWAShop(t)
	s.fake.SetTemplates(graphfake.NewTemplate("welcome", "es", "Hola {{1}}"))
	s.write("campaigns/7.json", `{"id": 7, "applicationId": 1, "channelTypes": ["wa"], "messageContent": [{"template": {"name": "welcome", "language": "es",
		"components": [{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}}]}`)
	s.start()
	wantText(t, "the report", s.drop("spring", 7, "34666000111,Ada\n34666000222,Grace\n34666000333,Edith\n"), "Done: all 3 messages were sent.")
	for _, m := range s.fake.Messages() {
		status := graphfake.Status{ID: m.ID, Status: "delivered", At: time.Now(), Recipient: m.To, Key: m.Key}
		if m.To != "34666000111" {
			status.Status, status.Code = "failed", 131026
		}
		s.hook(graphfake.Notification("106540352242922", status))
	}
	s.until("the report counts what was not delivered", func() bool {
		first, _, _ := strings.Cut(s.file("spring", "report.txt"), "\n")
		return strings.Contains(first, "2 were accepted but not delivered") && !strings.Contains(first, "nothing to do")
	})
	wantText(t, "the report", s.file("spring", "report.txt"), "2 × 131026")
	var out bytes.Buffer
	if status := s.run(t.Context(), &out, "resend", "spring", "--undelivered"); status != 0 {
		t.Errorf("resend ends with %d", status)
	}
	wantText(t, "resend", out.String(), "2 messages are sent again", "2 undelivered")
	s.until("Meta has got them again", func() bool { return len(s.fake.Messages()) == 5 })
	if diff := cmp.Diff(map[string]int{"34666000111": 1, "34666000222": 2, "34666000333": 2}, s.got()); diff != "" {
		t.Errorf("messages at Meta (-want +got):\n%s", diff)
	}
}
