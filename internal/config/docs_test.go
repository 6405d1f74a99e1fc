package config_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"campaignd/internal/config"
	"campaignd/internal/send/drivers"
	"campaignd/test/golden"
)

const docs = "../../docs/configuration.md"

const (
	begin = "<!-- keys: written by go test ./internal/config -update -->\n"
	end   = "<!-- end of keys -->\n"
)

// reference returns the part of the documentation that the list of keys gives.
func reference() string {
	titles := map[config.Scope]string{
		config.ScopeTop:         "At the top of the file",
		config.ScopeLog:         "`[log]`",
		config.ScopeNATS:        "`[nats]`, for workers on other machines",
		config.ScopeStandby:     "`[standby]`, for a second machine that takes over",
		config.ScopeInbox:       "`[[inboxes]]`, one for each drop folder",
		config.ScopeApplication: "`[[applications]]`, one for each sender",
		config.ScopeSlicing:     "`[applications.slicing]`, or `slicing = {…}` under the application",
		config.ScopeChannel:     "`[applications.channels.NAME]`, for every driver",
	}
	var b strings.Builder
	table := func(keys []config.Key) {
		fmt.Fprint(&b, "\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n")
		for _, k := range keys {
			kind := k.Kind
			if k.Limits != "" {
				kind += ": " + k.Limits
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s. |\n", k.Name, kind, defaults(k), strings.ReplaceAll(k.Meaning, "|", `\|`))
		}
	}
	for _, scope := range []config.Scope{config.ScopeTop, config.ScopeLog, config.ScopeNATS, config.ScopeStandby, config.ScopeInbox, config.ScopeApplication, config.ScopeSlicing, config.ScopeChannel} {
		fmt.Fprintf(&b, "\n### %s\n", titles[scope])
		table(slices.DeleteFunc(config.Keys(drivers.All()), func(k config.Key) bool { return k.Scope != scope }))
	}
	for _, d := range drivers.All() {
		fmt.Fprintf(&b, "\n### Driver `%s`\n\n%s.\n", d.Name, d.Meaning)
		if len(d.Keys) > 0 {
			table(d.Keys)
		}
	}
	return b.String() + "\n"
}

// defaults returns a key's default in words, with those of the drivers that have another.
func defaults(k config.Key) string {
	switch {
	case k.Required:
		return "required"
	case k.Default == "":
		return "none"
	}
	def := "`" + k.Default + "`"
	if k.Scope != config.ScopeChannel {
		return def
	}
	common := slices.DeleteFunc(config.Keys(drivers.All()), func(k config.Key) bool { return k.Scope != config.ScopeChannel })
	for _, d := range drivers.All() {
		for _, own := range config.ChannelKeys(drivers.All(), &d)[:len(common)] {
			if own.Name == k.Name && own.Default != k.Default {
				def += fmt.Sprintf(", %s `%s`", d.Name, own.Default)
			}
		}
	}
	return def
}

func TestDocumentationIsCurrent(t *testing.T) {
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", docs, begin, end)
	}
	golden.Compare(t, docs, before+begin+reference()+end+after)
}

// TestEveryDriverHasItsPart: an operator finds how a channel of the driver is set up.
func TestEveryDriverHasItsPart(t *testing.T) {
	page, err := os.ReadFile("../../docs/channels.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drivers.All() {
		if heading := "\n## `" + d.Name + "`"; !d.Silent && !strings.Contains(string(page), heading) {
			t.Errorf("docs/channels.md has no heading%s", heading)
		}
	}
}

func TestKeysAreComplete(t *testing.T) {
	complete := func(scope string, keys []config.Key) {
		seen := map[string]bool{}
		for _, k := range keys {
			id := scope + string(k.Scope) + " " + k.Name
			if seen[id] {
				t.Errorf("%s is there twice", id)
			}
			seen[id] = true
			if k.Meaning == "" {
				t.Errorf("%s: k.Meaning is empty", id)
			}
			if strings.HasSuffix(k.Meaning, ".") {
				t.Errorf("%s: k.Meaning = %q, want no \".\" at the end", id, k.Meaning)
			}
			if k.Kind == "" {
				t.Errorf("%s: k.Kind is empty", id)
			}
			if k.Required && k.Default != "" {
				t.Errorf("%s is required and has a default", id)
			}
		}
	}
	complete("", config.Keys(drivers.All()))
	for _, d := range drivers.All() {
		complete(d.Name+" ", config.ChannelKeys(drivers.All(), &d))
	}
}
