package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
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
