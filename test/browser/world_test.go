//go:build browser

package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaignd/test/loopback"
)

// world is a daemon with sendings in most states, a
// held channel, a drop that waits and slots of two lengths.
type world struct {
	url   string
	bin   string
	dir   string
	inbox string
}

const configuration = `state_dir = "var"
campaigns_dir = "campaigns"
listen = "%s"
%s
rescan = "@every 1s"

[log]
format = "json"

[[inboxes]]
path = "inbox"
settle = "50ms"
sidecar_wait = "5s"

[[applications]]
id = 1
name = "Demo shop"
timezone = "Europe/Madrid"
slicing = {enabled = true, activation_recipients = 1000, slot = "5m", capacity = 600}
[applications.channels.cloud_api]
driver = "outbox"
path = "var/outbox.jsonl"
rate = 15
[applications.channels.partner_hook]
driver = "webhook"
url = "%s"
rate = 50

[[applications]]
id = 2
name = "Clinic reminders"
timezone = "America/Bogota"
windows = ["* 7-21 * * *"]
slicing = {enabled = true, activation_recipients = 10, slot = "1m", capacity = 40}
[applications.channels.cloud_api]
driver = "outbox"
path = "var/outbox.jsonl"

[[applications]]
id = 3
name = "Newsletter"
timezone = "Europe/Berlin"
[applications.channels.cloud_api]
driver = "outbox"
path = "var/outbox.jsonl"
`

// start runs the binary until the test ends. token is the token of the pages; "" lets the daemon create one.
func start(t *testing.T, token string) *world {
	t.Helper()
	bin, err := filepath.Abs(os.Getenv("CAMPAIGND_BIN"))
	if err != nil || os.Getenv("CAMPAIGND_BIN") == "" {
		t.Fatal("CAMPAIGND_BIN is not set: use make test-browser")
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(refusing.Close)
	dir := t.TempDir()
	w := &world{bin: bin, dir: dir, inbox: filepath.Join(dir, "inbox")}
	tokenLine := ""
	if token != "" {
		write(t, filepath.Join(dir, "token"), token)
		tokenLine = `token_file = "token"`
	}
	write(t, filepath.Join(dir, "campaignd.toml"), fmt.Sprintf(configuration, loopback.FreeAddress(t), tokenLine, refusing.URL))
	for id, application := range map[int]int{7: 1, 8: 1, 20: 2, 30: 3} {
		channels := `"cloud_api"`
		if id == 8 {
			channels = `"partner_hook"`
		}
		write(t, filepath.Join(dir, "campaigns", fmt.Sprintf("%d.json", id)), fmt.Sprintf(
			`{"id":%d,"applicationId":%d,"title":"News","enabled":true,"channelTypes":[%s],"messageContent":[{"body":"Hello {{name}}"}]}`, id, application, channels))
	}
	cmd := exec.Command(bin, "run", "--config", "campaignd.toml")
	cmd.Dir = dir
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, address, said, drained := bufio.NewReader(log), "", "", make(chan struct{})
	for address == "" {
		line, err := lines.ReadString('\n')
		said += line
		if err != nil {
			t.Fatalf("the daemon did not start: %v\n%s", err, said)
		}
		var entry struct{ Msg, HTTP string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "listening" {
			address = entry.HTTP
		}
	}
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines) // so that the daemon never waits for a reader
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("the daemon exited with %v", err)
		}
	})
	w.url = "http://" + address
	return w
}

// login returns an address that logs in.
func (w *world) login(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(w.bin, "dashboard", "--json", "--config", "campaignd.toml")
	cmd.Dir = w.dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("campaignd dashboard: %v", err)
	}
	var code struct{ Address string }
	if err := json.Unmarshal(out, &code); err != nil {
		t.Fatal(err)
	}
	return code.Address
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// contact is a number that must not be on any page.
const contact = 34600000000

// drop puts a campaign with rows recipients into the inbox; bad of them are invalid.
func (w *world) drop(t *testing.T, name string, application, campaign, rows, bad int, schedule string) {
	t.Helper()
	channel := "cloud_api"
	if campaign == 8 {
		channel = "partner_hook"
	}
	var csv strings.Builder
	csv.WriteString("phone,name\n")
	for i := range rows {
		phone := fmt.Sprint(contact + i)
		if i < bad {
			phone = "3.46E+10"
		}
		fmt.Fprintf(&csv, "%s,Ada %d\n", phone, i)
	}
	write(t, filepath.Join(w.inbox, name+".csv"), csv.String())
	write(t, filepath.Join(w.inbox, name+".layout.json"), fmt.Sprintf(
		`{"contact":{"contactCode":"{{phone}}","channelType":"%s"},"customFields":{"name":"{{name}}"}}`, channel))
	if schedule != "" {
		schedule = "," + schedule
	}
	write(t, filepath.Join(w.inbox, name+".schedule.json"), fmt.Sprintf(`{"applicationId":%d,"campaignId":%d%s}`, application, campaign, schedule))
}

// fill drops one campaign of every kind.
func (w *world) fill(t *testing.T) {
	t.Helper()
	in := func(d time.Duration) string {
		return `"scheduleAt":"` + time.Now().Add(d).UTC().Format(time.RFC3339) + `"`
	}
	w.drop(t, "welcome", 1, 7, 60, 3, `"reference":"order 4711"`)
	w.drop(t, "spring-sale", 1, 7, 4200, 11, "")
	w.drop(t, "autumn", 1, 7, 9000, 0, in(5*time.Hour))
	w.drop(t, "winter-warmers", 1, 7, 5200, 0, in(7*time.Hour)+`,"slicingCondition":"deferredConsecutiveSlots"`)
	w.drop(t, "members-only", 1, 7, 12000, 4, in(19*time.Hour))
	w.drop(t, "partners", 1, 8, 300, 0, "")
	w.drop(t, "check-ups", 2, 20, 9000, 0, "")
	w.drop(t, "vaccinations", 2, 20, 14000, 0, in(11*time.Hour))
	w.drop(t, "news-7", 3, 30, 2500, 20, "")
	w.drop(t, "news-8", 3, 30, 800, 0, in(26*time.Hour))
	write(t, filepath.Join(w.inbox, "broken.csv"), "phone,name\n1,Ada\n")
	write(t, filepath.Join(w.inbox, "broken.layout.json"), `{"contact":{"contactCode":"{{telephone}}","channelType":"cloud_api"},"customFields":{"name":"{{nmae}}"}}`)
	write(t, filepath.Join(w.inbox, "broken.schedule.json"), `{"applicationId":1,"campaignId":7}`)
	write(t, filepath.Join(w.inbox, "half-a-drop.csv"), "phone,name\n1,Ada\n")
	w.drop(t, "flash-offer", 1, 7, 900, 0, `"reference":"live"`)
}
