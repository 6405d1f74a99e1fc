package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"campaignd/internal/campaign"
	"campaignd/internal/watch"
)

// dropCase is one case of test/cases: files of a drop and what must come back. README.md there has
// the format.
type dropCase struct {
	kind, name string
	base       string            // NAME of its drop
	files      map[string][]byte // in the inbox, by file name
	inbox      string            // path of the inbox
	own        bool              // the inbox is its own, because its file names may be near others'
	want       []string          // lines
}

// verdict holds the outcome of a drop.
type verdict struct {
	State      campaign.State
	Recipients struct{ Total, Accepted, Rejected, Duplicate uint32 }
	Errors     []campaign.Problem
	Warnings   []campaign.Problem
	text       string
	results    [][]string // lines of results.csv, for a drop
}

const (
	caseLayout  = `{"contact": {"contactCode": "{{phone}}", "channelType": "cloud_api"}, "customFields": {"name": "{{first}}"}}`
	caseSidecar = `{}`
	caseCSV     = "phone,first\n34666777888,Ada\n34666555666,Grace\n"
)

// TestCases drops every case of test/cases into one daemon, and checks it with campaignd check: both
// must come to the wanted verdict.
func TestCases(t *testing.T) {
	dir := t.TempDir()
	cases := loadCases(t, dir)
	if len(cases) < 150 {
		t.Errorf("%d cases, want at least 150", len(cases))
	}
	run, checkConfig := caseConfigs(t, dir, cases)
	ctx, stop := context.WithCancel(t.Context())
	var log lockedBuffer
	var daemon sync.WaitGroup
	daemon.Go(func() { mainRun(ctx, &log, "run", "--config", run) })
	t.Cleanup(func() {
		stop()
		daemon.Wait()
		if t.Failed() {
			t.Logf("the daemon's log ends with:\n%s", log.tail())
		}
	})
	for _, c := range cases {
		for name, content := range c.files {
			if err := os.WriteFile(filepath.Join(c.inbox, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("all", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.kind+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, checkConfig)
			})
		}
	})
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) tail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()[max(0, b.text.Len()-5000):]
}

// mainRun runs a command line in this process and returns its exit status.
func mainRun(ctx context.Context, out io.Writer, args ...string) int {
	return run(ctx, args, strings.NewReader(""), out, out, func(string) string { return "" })
}

func (c *dropCase) run(t *testing.T, checkConfig string) {
	for _, line := range c.want {
		if text, ok := strings.CutPrefix(line, "waits "); ok {
			if v := c.check(t, checkConfig); v.State != campaign.StateRejected || !strings.Contains(v.text, text) {
				t.Errorf("campaignd check: state %s, want it to wait and to say %q\n%s", v.State, text, v.text)
			}
			c.waits(t, text)
			return
		}
	}
	c.compare(t, "campaignd check", c.check(t, checkConfig))
	c.compare(t, "the daemon", c.dropped(t))
}

// check returns the verdict of campaignd check, on copies of the files.
func (c *dropCase) check(t *testing.T, config string) verdict {
	waits := slices.ContainsFunc(c.want, func(line string) bool { return strings.HasPrefix(line, "waits ") })
	dir := t.TempDir()
	args := []string{"check", "--config", config, "--inbox", c.inbox}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		n := watch.ParseName(name)
		if n.Kind != watch.KindForeign && n.Kind < watch.KindCSV || !waits && n.Kind != watch.KindForeign && n.Base != c.base {
			continue // nothing that check takes, or another drop
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.files[name], 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	var out, text bytes.Buffer
	mainRun(t.Context(), &out, append(args, "--json")...)
	mainRun(t.Context(), &text, args...)
	var v verdict
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatalf("campaignd check --json printed %q: %v", out.String(), err)
	}
	v.text = text.String()
	return v
}

// dropped waits for the report on the drop.
func (c *dropCase) dropped(t *testing.T) verdict {
	t.Helper()
	var v verdict
	c.until(t, "the report", func() bool {
		for _, place := range []string{"done", "failed"} {
			found, _ := filepath.Glob(filepath.Join(c.inbox, place, globEscape(c.base)+".2*", "report.json"))
			if len(found) == 0 {
				continue
			}
			data, err := os.ReadFile(found[0])
			if err != nil {
				return false // moved this moment
			}
			if err := json.Unmarshal(data, &v); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(filepath.Dir(found[0]), "report.txt"))
			if err != nil {
				t.Fatal(err)
			}
			v.text = string(text)
			if results, err := os.ReadFile(filepath.Join(filepath.Dir(found[0]), "results.csv")); err == nil {
				if v.results, err = csv.NewReader(bytes.NewReader(results)).ReadAll(); err != nil {
					t.Fatal(err)
				}
			}
			return true
		}
		return false
	})
	return v
}

// waits waits for the note on the drop and checks that nothing was taken.
func (c *dropCase) waits(t *testing.T, want string) {
	t.Helper()
	note := ""
	c.until(t, "the note", func() bool {
		notes, _ := filepath.Glob(filepath.Join(c.inbox, "*.note.txt"))
		note = ""
		for _, path := range notes {
			text, err := os.ReadFile(path)
			if err == nil {
				note += string(text)
			}
		}
		return strings.Contains(note, want)
	})
	for _, place := range []string{"accepted", "done"} {
		if names, _ := filepath.Glob(filepath.Join(c.inbox, place, "*.2*")); len(names) > 0 {
			t.Errorf("the drop was taken: %q", names)
		}
	}
}

// until waits for a fact on the disk that the daemon brings about.
func (c *dropCase) until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for !fact() {
		select {
		case <-tick.C:
		case <-limit:
			names, _ := filepath.Glob(filepath.Join(c.inbox, "*"))
			t.Fatalf("%s never came; the inbox has %q", what, names)
		}
	}
}

// compare compares a verdict with the wanted lines.
func (c *dropCase) compare(t *testing.T, who string, v verdict) {
	t.Helper()
	refused := false
	for _, line := range c.want {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "sent", "rejected", "duplicate":
			n, err := strconv.ParseUint(rest, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]uint32{"sent": v.Recipients.Accepted, "rejected": v.Recipients.Rejected, "duplicate": v.Recipients.Duplicate}[word]
			if got != uint32(n) {
				t.Errorf("%s: %d rows %s, want %d\n%s", who, got, word, n, v.text)
			}
		case "refused":
			refused = true
			for _, code := range strings.Fields(rest) {
				if !slices.ContainsFunc(v.Errors, func(p campaign.Problem) bool { return p.Code == code }) {
					t.Errorf("%s: no error has the code %s\n%s\n%+v", who, code, v.text, v.Errors)
				}
			}
		case "code":
			if !slices.ContainsFunc(v.Errors, func(p campaign.Problem) bool { return p.Code == rest }) {
				t.Errorf("%s: no error has the code %s\n%s\n%+v", who, rest, v.text, v.Errors)
			}
		case "to":
			if got := v.sentTo(); v.results != nil && got != rest {
				t.Errorf("%s: sent to %s, want %s\n%s", who, got, rest, v.text)
			}
		case "results":
			if v.results != nil && !slices.ContainsFunc(v.results, func(line []string) bool { return strings.Join(line, ",") == rest }) {
				t.Errorf("%s: results.csv lacks %q:\n%q", who, rest, v.results)
			}
		case "warns":
			if !slices.ContainsFunc(v.Warnings, func(p campaign.Problem) bool { return strings.Contains(p.String(), rest) }) {
				t.Errorf("%s: no warning contains %q\n%s", who, rest, v.text)
			}
		case "says":
			if !strings.Contains(v.text, rest) {
				t.Errorf("%s: the report doesn't contain %q\n%s", who, rest, v.text)
			}
		case "silent":
			if strings.Contains(v.text, rest) {
				t.Errorf("%s: the report contains %q\n%s", who, rest, v.text)
			}
		default:
			t.Errorf("unknown line %q", line)
		}
	}
	if got := v.State == campaign.StateRejected; got != refused {
		t.Errorf("%s: the drop is %s, want refused %v\n%s", who, v.State, refused, v.text)
	}
}

// sentTo returns the normal forms of the contacts that a message was sent to.
func (v *verdict) sentTo() string {
	var all []string
	for _, line := range v.results {
		if line[4] == "sent" {
			all = append(all, line[12])
		}
	}
	return strings.Join(all, " ")
}

// phoneApplications returns the applications whose channel takes phone numbers, by their country: most have the id
// of its calling code.
func phoneApplications() map[string]int {
	return map[string]int{"": 100, "US": 101, "FR": 33, "ES": 34, "IT": 39, "GB": 44, "DE": 49, "MX": 52, "AR": 54, "BR": 55, "TR": 90}
}

// loadCases reads the cases and makes their inboxes below dir.
func loadCases(t *testing.T, dir string) []*dropCase {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "test", "cases", "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	var all []*dropCase
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]*dropCase{}
		for _, f := range archive.Files {
			name, file, ok := strings.Cut(f.Name, "/")
			if !ok {
				t.Fatalf("%s: section %q has no case", path, f.Name)
			}
			c := byName[name]
			if c == nil {
				c = &dropCase{kind: strings.TrimSuffix(filepath.Base(path), ".txtar"), name: name, files: map[string][]byte{},
					base: fmt.Sprintf("c%03d", len(all))}
				byName[name] = c
				all = append(all, c)
			}
			c.add(t, file, f.Data)
		}
	}
	for _, c := range all {
		c.finish(t, dir)
	}
	return all
}

// add adds a section of a case.
func (c *dropCase) add(t *testing.T, file string, data []byte) {
	t.Helper()
	if rest, ok := strings.CutSuffix(file, " %q"); ok {
		text, err := strconv.Unquote(`"` + strings.TrimSuffix(string(data), "\n") + `"`)
		if err != nil {
			t.Fatalf("%s/%s: %s: %v", c.kind, c.name, file, err)
		}
		file, data = rest, []byte(text)
	}
	switch file {
	case "want":
		c.want = strings.Split(strings.TrimSpace(string(data)), "\n")
	case "csv", "layout", "sidecar":
		c.files[file] = data
	default:
		if text, err := strconv.Unquote(file); err == nil {
			file = text
		}
		c.own = true
		c.files[file] = data
	}
}

// finish names the parts and fills in those that the case doesn't have.
func (c *dropCase) finish(t *testing.T, dir string) {
	t.Helper()
	c.inbox = filepath.Join(dir, c.kind)
	if c.own {
		c.inbox = filepath.Join(dir, c.kind+"-"+c.base)
		c.base = "spring"
	}
	for part, ending := range map[string]string{"csv": ".csv", "layout": ".layout.json", "sidecar": ".schedule.json"} {
		data, given := c.files[part]
		delete(c.files, part)
		if !given && !c.own {
			data, given = []byte(map[string]string{"csv": caseCSV, "layout": caseLayout, "sidecar": caseSidecar}[part]), true
		}
		if given && strings.TrimSpace(string(data)) != "none" {
			c.files[c.base+ending] = data
		}
	}
	if len(c.want) == 0 {
		t.Fatalf("%s/%s wants nothing", c.kind, c.name)
	}
	if err := os.MkdirAll(c.inbox, 0o755); err != nil {
		t.Fatal(err)
	}
}

// caseConfigs writes the daemon's configuration, and that of check: the same with another state
// folder, so that check compares with no earlier drop.
func caseConfigs(t *testing.T, dir string, cases []*dropCase) (run, check string) {
	t.Helper()
	var inboxes []string
	for _, c := range cases {
		if !slices.Contains(inboxes, c.inbox) {
			inboxes = append(inboxes, c.inbox)
		}
	}
	campaigns := filepath.Join(dir, "campaigns")
	if err := os.Mkdir(campaigns, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"7.json":  `{"id": 7, "applicationId": 1, "title": "a", "enabled": true, "channelTypes": ["cloud_api", "sms"], "messageContent": [{"body": "Hola {{name}}"}]}`,
		"8.json":  `{"id": 8, "applicationId": 1, "title": "plain", "enabled": true, "channelTypes": ["cloud_api", "sms"], "messageContent": [{"body": "Hola"}]}`,
		"9.json":  `{"id": 9, "applicationId": 1, "title": "off", "enabled": false, "channelTypes": ["cloud_api"], "messageContent": [{"body": "Hola"}]}`,
		"10.json": `{"id": 10, "applicationId": 1, "title": "answers", "enabled": true, "sendType": "reactive", "channelTypes": ["cloud_api"], "messageContent": [{"body": "Hola"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(campaigns, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	applications, allowed := "", "[1"
	for country, id := range phoneApplications() {
		allowed += fmt.Sprintf(", %d", id)
		applications += fmt.Sprintf("[[applications]]\nid = %d\ncountry = %q\n[applications.channels.cloud_api]\ndriver = \"null\"\ncontacts = \"phone\"\n", id, country)
		text := fmt.Sprintf(`{"id": %d, "applicationId": %d, "title": "a", "enabled": true, "channelTypes": ["cloud_api"], "messageContent": [{"body": "Hola {{name}}"}]}`, id, id)
		if err := os.WriteFile(filepath.Join(campaigns, fmt.Sprintf("%d.json", 1000+id)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	allowed += "]"
	paths := make([]string, 2)
	for i, state := range []string{"v", "w"} {
		var b strings.Builder
		fmt.Fprintf(&b, "state_dir = %q\ncampaigns_dir = %q\nrescan = \"1s\"\n", filepath.Join(dir, state), campaigns)
		for _, path := range inboxes {
			fmt.Fprintf(&b, "[[inboxes]]\npath = %q\napplication = 1\ncampaign = 7\nallow_applications = %s\nsettle = \"100ms\"\nsidecar_wait = \"1500ms\"\n"+
				"unterminated_wait = \"1s\"\nnote_after = \"1s\"\npair_timeout = \"5m\"\n", path, allowed)
		}
		b.WriteString("[[applications]]\nid = 1\ntimezone = \"Europe/Madrid\"\nduplicate_window = \"1ms\"\n[applications.channels.cloud_api]\ndriver = \"null\"\n[applications.channels.sms]\ndriver = \"null\"\n" +
			"[[applications]]\nid = 2\n[applications.channels.cloud_api]\ndriver = \"null\"\n" + applications)
		if err := os.Mkdir(filepath.Join(dir, state), 0o755); err != nil {
			t.Fatal(err)
		}
		paths[i] = filepath.Join(dir, state+".toml")
		if err := os.WriteFile(paths[i], []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return paths[0], paths[1]
}

func globEscape(s string) string {
	return strings.NewReplacer("[", `\[`, "*", `\*`, "?", `\?`).Replace(s)
}
