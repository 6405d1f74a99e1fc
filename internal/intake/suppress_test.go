package intake

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/folders"
	"campaignd/internal/store"
)

// optOuts lists the store's opt-outs as application/channel/contact.
func (h *harness) optOuts() []string {
	h.t.Helper()
	var list []string
	if err := h.store.EachOptOut(0, func(s store.OptOut) error {
		list = append(list, fmt.Sprintf("%d/%s/%s", s.ApplicationID, s.ChannelType, s.ContactCode))
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return list
}

// doneReport reads the report on a list of opt-outs in done/.
func (h *harness) doneReport(file string) string {
	h.t.Helper()
	for name, text := range h.tree(folders.Done) {
		if strings.HasPrefix(name, file+".") && strings.HasSuffix(name, ".report.txt") {
			if _, moved := h.tree(folders.Done)[strings.TrimSuffix(name, ".report.txt")]; !moved {
				h.t.Errorf("%s has a report and is not beside it", file)
			}
			return text
		}
	}
	h.t.Fatalf("no report of %s\n%s", file, h.log)
	return ""
}

func TestSuppressLists(t *testing.T) {
	for name, c := range map[string]struct {
		inbox, csv string
		want       []string
		says       string // in the report in done/, or, after a !, in failed/
	}{
		"every channel":        {"application = 1", "contactCode\n34666777888\n 34666555666 \n", []string{"1//34666555666", "1//34666777888"}, "2 opt-outs taken in; they apply from now on to application 1."},
		"one channel":          {"application = 1", "channelType;contactCode;why\nsms;1;asked\n;2;asked\n", []string{"1//2", "1/sms/1"}, "2 opt-outs"},
		"allowed":              {"allow_applications = [2]", "contactCode\n1\n", []string{"2//1"}, "1 opt-out taken in; it applies from now on to application 2."},
		"all":                  {"", "contactCode\n1\n", []string{"1//1", "2//1"}, "1 opt-out taken in; it applies from now on to applications 1, 2."},
		"twice":                {"application = 1", "contactCode\n1\n1\n", []string{"1//1"}, "2 opt-outs taken in"},
		"bad rows":             {"application = 1", "contactCode,channelType\n1,\n,sms\n2\n3,\n", []string{"1//1", "1//3"}, "x.suppress.csv:3: contactCode: the contactCode is empty\n  x.suppress.csv:4: "},
		"headed phone":         {"application = 1", "Phone\n1\n", []string{"1//1"}, "1 opt-out taken in"},
		"a name":               {"application = 1", "34666777120,Ada\n", []string{"1//34666777120"}, "taken in for every channel"},
		"no column":            {"application = 1", "ref,name\n1,Ada\n", nil, "!contactCode: no such column; the first line must name the columns"},
		"no header":            {"application = 1", "+34 600-000-001\n34600000002\n", []string{"1//+34 600-000-001", "1//34600000002"}, "2 opt-outs taken in"},
		"bare addresses":       {"application = 1", "ada@example.com,sms\n34600000002,\n", []string{"1//34600000002", "1/sms/ada@example.com"}, "2 opt-outs taken in"},
		"bare for all":         {"application = 1", "34600000001,\n34600000002,sms\n", []string{"1//34600000001", "1/sms/34600000002"}, "2 opt-outs taken in"},
		"headed in German":     {"application = 1", "telefon;name\n34666777004;Ana\n34666777005;Eva\n", []string{"1//34666777004", "1//34666777005"}, `taken as the names of the columns, and the column "telefon" as that of the contacts`},
		"headed Mobile":        {"application = 1", "Mobile\n34666777004\n", []string{"1//34666777004"}, "1 opt-out taken in"},
		"headed e-mail":        {"application = 1", "Name;Mail\nAna;ana@example.com\n", []string{"1//ana@example.com"}, `the column "Mail" as that of the contacts`},
		"a comment in front":   {"application = 1", "# our list\n34666777004\n", []string{"1//34666777004"}, "1 opt-out taken in"},
		"a comment alone":      {"application = 1", "# our list\n", nil, "!no such column"},
		"two such columns":     {"application = 1", "a;b\n34666777004;34666777005\n", nil, "!no such column"},
		"user ids":             {"application = 1", "who\nES.13491208655302741918\n", []string{"1//ES.13491208655302741918"}, "1 opt-out taken in"},
		"bare with scheme":     {"application = 1", "whatsapp:+34666777004\ntel:+34666777005\n", []string{"1//tel:+34666777005", "1//whatsapp:+34666777004"}, "2 opt-outs taken in"},
		"bare with apostrophe": {"application = 1", "'34666777004\n'34666777005\n", []string{"1//'34666777004", "1//'34666777005"}, "2 opt-outs taken in"},
		"bare user id":         {"application = 1", "ES.13491208655302741918\n", []string{"1//ES.13491208655302741918"}, "1 opt-out taken in"},
		"bare, name in front":  {"application = 1", "Ana,34666777004\nEva,34666777005\n", []string{"1//34666777004", "1//34666777005"}, "2 opt-outs taken in"},
		"bare, three cells":    {"application = 1", "34666777004,Ana,sms\n34666777005,Eva,sms\n", []string{"1/sms/34666777004", "1/sms/34666777005"}, "2 opt-outs taken in"},
		"bare phone and email": {"application = 1", "34666777004,ana@example.com\n34666777005,\n,eva@example.com\n", []string{"1//34666777004", "1//34666777005", "1//ana@example.com", "1//eva@example.com"}, "4 opt-outs taken in"},
		"bare, three contacts": {"application = 1", "Ana,34666777004,34666777005,ana@example.com,sms\n", []string{"1/sms/34666777004", "1/sms/34666777005", "1/sms/ana@example.com"}, "3 opt-outs taken in"},
		"bare, email later":    {"application = 1", "34666777004,\n34666777005,eva@example.com\n", []string{"1//34666777004", "1//34666777005", "1//eva@example.com"}, "3 opt-outs taken in"},
		"bare, a number of us": {"application = 1", "34666777004,100234\n", []string{"1//34666777004"}, "1 opt-out taken in"},
		"any capitals":         {"application = 1", "ChannelType,contactcode\nsms,1\n", []string{"1/sms/1"}, "1 opt-out taken in"},
		"no such channel": {"application = 1", "contactCode,channelType\n1,smss\n", []string{"1//1"},
			"x.suppress.csv:2: channelType: taken in for every channel, because there is no channel of this name (there are: cloud_api, sms)"},
		"header alone":   {"application = 1", "contactCode\n", nil, "The list contains no opt-outs; nothing has changed."},
		"repeated names": {"application = 1", "contactCode,contactCode\n1,1\n", nil, "!have the same name"},
		"all bad":        {"application = 1", "contactCode\n3.4E+10\n3.5E+10\n", nil, "!x.suppress.csv:2: contactCode: a spreadsheet ruined the number"},
		"empty":          {"application = 1", "", nil, "!the file is empty"},
		"unclosed quote": {"application = 1", "contactCode\n\"1\n", nil, "!x.suppress.csv:2:1: the quote here is never closed"},
		"ruined":         {"application = 1", "contactCode\n1\n3.46668E+10\n", []string{"1//1"}, "x.suppress.csv:3: contactCode: a spreadsheet ruined the number"},
		"cut":            {"application = 1", "contactCode\n1\n34", []string{"1//1", "1//34"}, "the last line has no line end"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, c.inbox, "")
			h.control("x.suppress.csv", c.csv)
			if diff := cmp.Diff(c.want, h.optOuts()); diff != "" {
				t.Error(diff)
			}
			if says, failed := strings.CutPrefix(c.says, "!"); failed {
				wantParts(t, h.failedControl("x.suppress.csv"), "x.suppress.csv was not taken in and nobody in it is opted out: ")
				wantParts(t, h.failedControl("x.suppress.csv"), says)
			} else {
				wantParts(t, h.doneReport("x.suppress.csv"), says)
			}
			if diff := cmp.Diff([]string{folders.Accepted, folders.Done, folders.Failed}, h.names("")); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(h.log.String(), "34666777888") {
				t.Error("contact data in the log")
			}
		})
	}
}

// Where contacts are phone numbers, a line that is none is refused in the first sentence of the answer.
func TestOptOutOfNobodyIsTakenIn(t *testing.T) {
	h := newHarness(t, "application = 1", "")
	app := h.in.Checker().Config.Application(1)
	app.Country = "ES"
	for name, ch := range app.Channels {
		ch.Contacts = "phone"
		app.Channels[name] = ch
	}
	h.control("x.suppress.csv", "contactCode,channelType\n0034 666-777-120,\nAda,sms\n666777121,\n12,\nx@example.com,\n#N/A,\n34666777122.0,\n1,\nnobody,\n")
	report := h.doneReport("x.suppress.csv")
	first, _, _ := strings.Cut(report, ".")
	if want := "6 lines were refused (lines 3, 5, 6, 7, 9, and 1 more), and 3 opt-outs taken in; they apply from now on to application 1"; first != want {
		t.Errorf("the answer begins %q, want %q", first, want)
	}
	if n := len(h.optOuts()); n != 3 {
		t.Errorf("%d opt-outs, want 3", n)
	}
	h.control("y.suppress.csv", "contactCode\nAda\n")
	wantParts(t, h.failedControl("y.suppress.csv"), "y.suppress.csv was not taken in and nobody in it is opted out: 1 line was refused (line 2).")
}

// Every opt-out of a row counts, and a cell that its channels don't take refuses no row that has another.
func TestOptOutByAddressBesideAPhoneIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		contacts  map[string]string // of the channels
		csv       string
		want      []string
		says, not string // in the report
	}{
		"both": {nil, "phone,email\n34666777120,ada@example.com\n34666777121,\n,eva@example.com\n",
			[]string{"1//34666777120", "1//34666777121", "1//ada@example.com", "1//eva@example.com"}, "4 opt-outs taken in", "refused"},
		"one channel": {nil, "E-Mail;channelType;Mobile\nada@example.com;sms;34666777120\n",
			[]string{"1/sms/34666777120", "1/sms/ada@example.com"}, "2 opt-outs taken in", "refused"},
		"empty": {nil, "phone,email,name\n,,Ada\n34666777120,,Eva\n", []string{"1//34666777120"},
			"1 line was refused (line 2), and 1 opt-out taken in", "line 3"},
		"phones alone": {map[string]string{"sms": "phone", "cloud_api": "phone"}, "phone,email\n34666777120,ada@example.com\n,eva@example.com\n", []string{"1//34666777120"},
			"1 line was refused (line 3), and 1 opt-out taken in", "line 2"},
		"no phone": {map[string]string{"sms": "phone", "cloud_api": "email"}, "phone,email\nnobody,ada@example.com\n", []string{"1//ada@example.com"},
			"1 line was refused (line 2), and 1 opt-out taken in", ""},
		"no such channel": {nil, "phone,email,channelType\n34666777120,ada@example.com,smss\n",
			[]string{"1//34666777120", "1//ada@example.com"}, "Not taken in, or doubtful (1)", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "application = 1", "")
			app := h.in.Checker().Config.Application(1)
			for name, contacts := range c.contacts {
				ch := app.Channels[name]
				ch.Contacts = contacts
				app.Channels[name] = ch
			}
			h.control("x.suppress.csv", c.csv)
			if diff := cmp.Diff(c.want, h.optOuts()); diff != "" {
				t.Error(diff)
			}
			report := h.doneReport("x.suppress.csv")
			wantParts(t, report, c.says)
			if c.not != "" && strings.Contains(report, c.not) {
				t.Errorf("the report says %q:\n%s", c.not, report)
			}
		})
	}
}

// A list counts with the drops of its inbox for max_pending_bytes: it waits for room, and drops wait for it.
func TestListIsNotCounted(t *testing.T) {
	h := newHarness(t, "application = 1\nmax_pending_bytes = 100\npair_timeout = \"1h\"", "")
	inbox := h.in.inbox(h.inbox)
	room, full := h.in.drops.reserve(inbox, load{drops: 1, bytes: 80})
	if full != "" {
		t.Fatal(full)
	}
	h.control("x.suppress.csv", "contactCode\n34666777888\n") // 24 bytes
	if n := len(h.optOuts()); n != 0 {
		t.Errorf("%d opt-outs, want 0 while there is no room", n)
	}
	seen := h.controlSeen("x.suppress.csv")
	if waits := h.in.Waits(h.inbox); len(waits) != 1 || waits[0].Name != "x.suppress.csv" || !strings.Contains(waits[0].Reason, "80 bytes") {
		t.Errorf("got waits %+v, want only x.suppress.csv with the reason 80 bytes", waits)
	}
	h.scanned()
	if got := h.note("x.suppress.csv"); got != "" {
		t.Errorf("a note at once: %q", got)
	}
	h.clock = h.clock.Add(2 * time.Minute)
	h.scanned()
	wantParts(t, h.note("x.suppress.csv"), "campaignd reads x.suppress.csv as a list of opt-outs. It waits until", "then goes to failed/: the unfinished drops of this inbox have 80 bytes")
	room.leave()
	h.in.Control(seen) // the next scan
	h.work()
	if n := len(h.optOuts()); n != 1 {
		t.Errorf("%d opt-outs, want 1 once there is room", n)
	}
	h.scanned()
	if got := h.note("x.suppress.csv"); got != "" {
		t.Errorf("the list is taken in and its note stays: %q", got)
	}
	if room, full = h.in.drops.reserve(inbox, load{drops: 1, bytes: 100}); full != "" {
		t.Errorf("the list is still counted: %s", full)
	} else {
		room.leave()
	}
	room, _ = h.in.drops.reserve(inbox, load{bytes: 80})
	if full := h.in.drops.room(inbox, 80); full == "" {
		t.Error("a drop has room beside a list")
	}
	h.write(filepath.Join(h.inbox, "y.suppress.csv"), "contactCode\n34666777888\n")
	seen = h.controlSeen("y.suppress.csv")
	seen.FirstSeen = h.clock.Add(-2 * time.Hour)
	h.in.Control(seen)
	h.work()
	room.leave()
	wantParts(t, h.failedControl("y.suppress.csv"), "it waited 1h for drops of this inbox to end: the unfinished drops of this inbox have 80 bytes")
}
