// Package internal_test holds the house to its plan: which room may import which.
package internal_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// may lists, room by room, the rooms it may import directly. docs/architecture.md
// says the same in words.
var may = map[string][]string{
	"campaign":        {},
	"calendar":        {},
	"contact":         {},
	"contact/gen":     {},
	"source":          {},
	"failpoint":       {},
	"safeio":          {"campaign", "failpoint"},
	"config":          {"calendar", "campaign", "contact", "plan/document", "source"},
	"plan":            {"calendar", "campaign"},
	"plan/document":   {"calendar", "campaign", "source"},
	"plan/csvfile":    {"campaign"},
	"plan/recipients": {"campaign", "contact", "plan/document", "plan/csvfile"},
	"store":           {"campaign", "failpoint", "plan", "safeio"},
	"send":            {"calendar", "campaign", "failpoint", "plan", "safeio"},
	"send/null":       {"campaign", "send"},
	"send/outbox":     {"campaign", "send"},
	"send/smtp":       {"campaign", "contact", "source", "send"},
	"send/httppost":   {"send"},
	"send/webhook":    {"campaign", "send", "send/httppost"},
	"send/whatsapp":   {"campaign", "contact", "source", "send", "send/httppost"}, // source: the nearest name in a template
	// A fake that shared a line with what it tests would prove nothing.
	"send/whatsapp/graphfake": {},
	"send/sendtest":           {"campaign", "send"},
	"watch":                   {"calendar", "campaign", "safeio"},
	"picture":                 {"campaign", "plan"},
	"preview":                 {"campaign"},
	"report":                  {"calendar", "campaign", "preview", "safeio"},
	"intake": {"campaign", "calendar", "config", "contact", "failpoint", "plan", "plan/document", "plan/csvfile", "plan/recipients",
		"report", "safeio", "send", "store", "watch"},
	"control":           {"calendar", "campaign", "config", "picture", "plan", "safeio", "send", "source"},
	"control/dashboard": {"campaign", "control"},
	"daemon": {"campaign", "calendar", "config", "contact", "control", "control/dashboard", "failpoint", "intake", "source", "plan", "plan/document", "report", "safeio", "send",
		"send/null", "send/outbox", "send/smtp", "send/webhook", "send/whatsapp", "store", "watch"},
}

// modules says which room alone may know a module.
var modules = map[string]string{
	"go.etcd.io/bbolt":                 "store",
	"github.com/fsnotify/fsnotify":     "watch",
	"github.com/robfig/cron/v3":        "calendar",
	"github.com/sosodev/duration":      "calendar",
	"github.com/pelletier/go-toml/v2":  "config",
	"github.com/coreos/go-systemd/v22": "campaignd/cmd/campaignd",
	"github.com/agnivade/levenshtein":  "source",
	"github.com/nyaruka/phonenumbers":  "contact/gen", // its parser is for tests, its metadata for the tables
	"github.com/klauspost/compress/s2": "store",
	"github.com/google/renameio/v2":    "safeio",
	"github.com/wneessen/go-mail":      "send/smtp",
	"github.com/emersion/go-msgauth":   "send/smtp",
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	const prefix = "campaignd/internal/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "campaignd/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		room, isRoom := strings.CutPrefix(fields[0], prefix)
		allowed, known := may[room]
		if isRoom && !known {
			t.Errorf("room %s is on no plan: add it here and to docs/architecture.md", room)
		}
		for _, imported := range fields[1:] {
			if other, ok := strings.CutPrefix(imported, prefix); ok && isRoom && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s, which its plan doesn't allow", room, other)
			}
			for module, owner := range modules {
				// What measures from outside may hold us against a bare module.
				if strings.HasPrefix(imported, module) && room != owner && !strings.HasPrefix(fields[0], "campaignd/test/") {
					t.Errorf("%s imports %s, which %s alone may know", fields[0], imported, owner)
				}
			}
		}
	}
}
