// Package internal_test holds the house to its plan: which room may import which.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// may lists, room by room, the rooms it may import directly. docs/architecture.md
// says the same in words.
var may = map[string][]string{
	"campaign":        {},
	"display":         {},
	"calendar":        {"display"},
	"codec":           {},
	"contact":         {},
	"contact/gen":     {},
	"source":          {"campaign"},
	"failpoint":       {},
	"keylock":         {},
	"media":           {"campaign", "keylock", "safeio"},
	"receipts":        {},
	"safeio":          {"campaign", "failpoint"},
	"config":          {"display", "calendar", "campaign", "contact", "plan", "plan/document", "receipts", "send", "source"}, // send: what a driver opens is a send.Channel
	"plan":            {"calendar", "campaign", "display"},
	"plan/document":   {"display", "calendar", "campaign", "source"},
	"plan/csvfile":    {"campaign", "display"},
	"plan/recipients": {"campaign", "contact", "display", "plan/document", "plan/csvfile"},
	"store":           {"campaign", "codec", "failpoint", "plan", "store/db", "store/inbound", "store/optout", "store/quota", "store/slots", "store/tables"},
	"store/db":        {"codec", "failpoint", "safeio"},
	"store/inbound":   {"campaign", "codec", "store/db", "store/optout"},
	"store/optout":    {"campaign", "codec", "store/db"},
	"store/quota":     {"store/db"},
	"store/slots":     {"campaign", "codec", "plan", "store/db"},
	"store/tables":    {"campaign", "store/db"},
	"send":            {"display", "calendar", "campaign", "failpoint", "plan", "safeio"},
	"send/drivers":    {"config"}, // and every driver
	"send/httppost":   {"display", "send", "send/idle", "send/tlsfault"},
	"send/idle":       {},
	"send/tlsfault":   {"display"},
	// Tests alone import sheettest.
	"plan/archive":               {"campaign", "display"},
	"plan/spreadsheet":           {"campaign", "display", "plan/archive", "plan/csvfile"},
	"plan/spreadsheet/sheettest": {},
	// A fake that shared a line with what it tests would prove nothing.
	"send/whatsapp/graphfake": {},
	"send/sendtest":           {"campaign", "send"},
	"relay":                   {"campaign", "codec", "failpoint", "send", "store"},
	"watch":                   {"calendar", "campaign", "display", "safeio"},
	"picture":                 {"display", "plan"},
	"notify":                  {"campaign", "store"},
	"preview":                 {"campaign"},
	"report":                  {"display", "calendar", "campaign", "preview", "safeio"},
	"rarelog":                 {},
	"filing":                  {"campaign", "config", "failpoint", "folders", "keylock", "plan", "plan/archive", "rarelog", "report", "safeio", "store", "watch"},
	"folders":                 {"campaign", "config", "safeio", "store"},
	"check": {"calendar", "campaign", "config", "contact", "display", "plan", "plan/archive", "plan/csvfile", "plan/document", "plan/recipients", "plan/spreadsheet",
		"report", "safeio", "send", "watch"},
	"optouts": {"campaign", "check", "config", "contact", "display", "plan/csvfile", "plan/recipients", "store"},
	"intake": {"calendar", "campaign", "check", "config", "display", "failpoint", "filing", "folders", "optouts", "plan", "plan/csvfile", "plan/document", "plan/recipients",
		"rarelog", "report", "safeio", "send", "source", "store", "watch"},
	"partnerpage":       {"calendar", "campaign", "check", "config", "contact", "display", "plan/document", "preview", "rarelog", "safeio"},
	"api":               {"campaign"},
	"control":           {"api", "campaign", "config", "display", "safeio", "send", "source"},
	"control/dashboard": {"api", "campaign", "control", "display"},
	"webhooks":          {"campaign", "config", "receipts", "store"},
	"service": {"api", "calendar", "campaign", "check", "config", "contact", "control", "display", "failpoint", "filing", "folders", "intake", "keylock", "media", "optouts", "plan", "plan/document", "report", "safeio", "send",
		"source", "store", "watch"},
	"daemon": {"api", "campaign", "check", "config", "control", "control/dashboard", "display", "failpoint", "filing", "folders", "intake", "media", "notify", "partnerpage", "plan", "rarelog", "receipts", "relay", "send", "service", "store", "watch", "webhooks"},
}

// driverMay lists the rooms that a driver may import. A driver is a room send/<name> that send/drivers imports.
var driverMay = []string{"campaign", "config", "contact", "display", "receipts", "source", "send", "send/httppost", "send/idle", "send/tlsfault"}

// modules says which room alone, with the rooms below it, may know a module.
var modules = map[string]string{
	"go.etcd.io/bbolt":                  "store",
	"github.com/fsnotify/fsnotify":      "watch",
	"github.com/robfig/cron/v3":         "calendar",
	"github.com/sosodev/duration":       "calendar",
	"github.com/pelletier/go-toml/v2":   "config",
	"github.com/coreos/go-systemd/v22":  "campaignd/cmd/campaignd",
	"github.com/agnivade/levenshtein":   "source",
	"github.com/nyaruka/phonenumbers":   "contact/gen", // its parser is for tests, its metadata for the tables
	"github.com/klauspost/compress/s2":  "store",
	"github.com/google/renameio/v2":     "safeio",
	"github.com/thedatashed/xlsxreader": "", // a reference to measure against
	"github.com/xuri/excelize/v2":       "", // makes workbooks for tests
	"github.com/wneessen/go-mail":       "send/smtp",
	"github.com/emersion/go-msgauth":    "send/smtp",
	"github.com/nats-io/":               "relay",
}

const prefix = "campaignd/internal/"

// moduleImports returns what every package of the module imports.
func moduleImports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "campaignd/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		all[fields[0]] = fields[1:]
	}
	return all
}

// isDriver reports whether a room is a driver: send/drivers lists it.
func isDriver(all map[string][]string, room string) bool {
	return strings.HasPrefix(room, "send/") && slices.Contains(all[prefix+"send/drivers"], prefix+room)
}

// owns reports whether a package may know the module of an owner: the owner, what is below it, and what
// measures from outside, which may hold us against a bare module.
func owns(owner, path string) bool {
	room := strings.TrimPrefix(path, prefix)
	return room == owner || owner != "" && strings.HasPrefix(room, owner+"/") || strings.HasPrefix(path, "campaignd/test/")
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	all := moduleImports(t)
	for path, imported := range all {
		room, isRoom := strings.CutPrefix(path, prefix)
		allowed, known := may[room]
		if isDriver(all, room) {
			allowed, known = driverMay, true
		}
		if isRoom && !known {
			t.Errorf("room %s is on no plan: add it here and to docs/architecture.md", room)
		}
		for _, imported := range imported {
			other, ok := strings.CutPrefix(imported, prefix)
			mayImport := slices.Contains(allowed, other) || room == "send/drivers" && isDriver(all, other)
			if isRoom && ok && !mayImport {
				t.Errorf("%s imports %s, want only %q", room, other, allowed)
			}
			for module, owner := range modules {
				if strings.HasPrefix(imported, module) && !owns(owner, path) {
					t.Errorf("%s imports %s, want that only in %q", path, imported, owner)
				}
			}
		}
	}
}

// TestLogsNameAnErrorErr holds every log line to one key for an error, so that a search finds all of them.
func TestLogsNameAnErrorErr(t *testing.T) {
	methods := []string{"Debug", "Info", "Warn", "Error", "Once", "With"}
	files := token.NewFileSet()
	for _, folder := range []string{".", "../cmd", "../test"} {
		for _, file := range sources(t, files, folder) {
			for n := range ast.Preorder(file) {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					continue
				}
				called, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains(methods, called.Sel.Name) {
					continue
				}
				for _, arg := range call.Args {
					if key, ok := arg.(*ast.BasicLit); ok && key.Value == `"error"` {
						t.Errorf(`%s: a log line has the key "error", want "err"`, files.Position(key.Pos()))
					}
				}
			}
		}
	}
}

// sources returns the parsed files of a folder and of those below it, without tests, by path.
func sources(t *testing.T, files *token.FileSet, folder string) map[string]*ast.File {
	t.Helper()
	all := map[string]*ast.File{}
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		all[path], err = parser.ParseFile(files, path, nil, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
