package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// phoneApplications returns the applications whose channel takes phone numbers, by their country: most have the id
// of its calling code.
func phoneApplications() map[string]int {
	return map[string]int{"": 100, "US": 101, "FR": 33, "ES": 34, "IT": 39, "GB": 44, "DE": 49, "MX": 52, "AR": 54, "BR": 55, "TR": 90}
}

// loadCases reads the cases and makes their inboxes below dir.
func loadCases(t *testing.T, dir string) []*dropCase {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "test", "cases", "*.txtar"))
	switch {
	case err != nil:
		t.Fatal(err)
	case len(paths) == 0:
		t.Fatal("len(paths) is 0")
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
