package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const docs = "../../docs/configuration.md"

const (
	begin = "<!-- keys: written by go test ./internal/config -update -->\n"
	end   = "<!-- end of keys -->\n"
)

// reference returns the part of the documentation that the list of keys gives.
func reference() string {
	titles := map[Scope]string{
		ScopeTop:         "At the top of the file",
		ScopeLog:         "`[log]`",
		ScopeInbox:       "`[[inboxes]]`, one for each drop folder",
		ScopeApplication: "`[[applications]]`, one for each sender",
		ScopeSlicing:     "`[applications.slicing]`, or `slicing = {…}` under the application",
		ScopeChannel:     "`[applications.channels.NAME]`, for every driver",
	}
	var b strings.Builder
	table := func(title string, keys []Key, driver string) {
		fmt.Fprintf(&b, "\n### %s\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n", title)
		for _, k := range keys {
			def := "`" + k.DefaultFor(driver) + "`"
			switch {
			case k.Required:
				def = "required"
			case k.DefaultFor(driver) == "":
				def = "none"
			}
			if driver == "" {
				for _, d := range Drivers() {
					if own, ok := k.Defaults[d]; ok {
						def += fmt.Sprintf(", %s `%s`", d, own)
					}
				}
			}
			kind := k.Kind
			if k.Limits != "" {
				kind += ": " + k.Limits
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s. |\n", k.Name, kind, def, strings.ReplaceAll(k.Meaning, "|", `\|`))
		}
	}
	keys := Keys()
	for _, scope := range []Scope{ScopeTop, ScopeLog, ScopeInbox, ScopeApplication, ScopeSlicing, ScopeChannel} {
		table(titles[scope], slices.DeleteFunc(slices.Clone(keys), func(k Key) bool {
			return k.Scope != scope || len(k.Drivers) > 0
		}), "")
	}
	for _, driver := range Drivers() {
		own := slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return !slices.Contains(k.Drivers, driver) })
		if len(own) > 0 {
			table("The `"+driver+"` driver's own", own, driver)
		}
	}
	return b.String() + "\n"
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
	golden(t, docs, before+begin+reference()+end+after)
}

func TestKeysAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		id := string(k.Scope) + " " + k.Name
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		if k.Meaning == "" || strings.HasSuffix(k.Meaning, ".") || k.Kind == "" {
			t.Errorf("%s: meaning %q, kind %q", id, k.Meaning, k.Kind)
		}
		if k.Required && k.Default != "" {
			t.Errorf("%s is required and has a default", id)
		}
	}
}
