package whatsapp

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

// The page's example compiles, and the page lists every code.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../../docs/channels.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(page), "## `whatsapp`")
	if !ok {
		t.Fatal("no part on whatsapp")
	}
	part, _, _ = strings.Cut(part, "\n## ")
	c := driver(t, "", nil)
	examples := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(part, -1)
	for _, example := range examples {
		if _, err := c.Compile(json.RawMessage(example[1]), []string{"name", "day", "picture", "ticketId"}); err != nil {
			t.Errorf("%s\n%v", example[1], err)
		}
	}
	if len(examples) == 0 {
		t.Error("no example")
	}
	for _, d := range graphfake.Codes() {
		documented := rowOf(part, d.Code)
		v := classify(d.Status, nil, fmt.Appendf(nil, `{"error":{"code":%d}}`, d.Code), 1, time.Now())
		if want := reaction(v.Result); d.Code != 299 && !strings.Contains(documented, want) {
			t.Errorf("code %d: the page says %q; want it to say %q", d.Code, documented, want)
		}
	}
	for _, kind := range append(append(componentTypes(), subTypes()...), parameterTypes(kindHeader, "")...) {
		if !strings.Contains(part, "`"+kind+"`") {
			t.Errorf("nothing on %s", kind)
		}
	}
}

// rowOf returns what the page's table says about a code.
func rowOf(page string, code int) string {
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) == 4 && regexp.MustCompile(`\b`+strconv.Itoa(code)+`\b`).MatchString(cells[1]) && regexp.MustCompile(`^ \d`).MatchString(cells[1]) {
			return cells[2]
		}
	}
	return ""
}

// reaction returns the page's words for a result.
func reaction(r send.Result) string {
	switch r.Verdict {
	case send.VerdictThrottled:
		return "**throttles the channel**"
	case send.VerdictRecipientBusy:
		return "**waits for this contact**"
	case send.VerdictBadRecipient:
		return "**refuses the contact**"
	case send.VerdictPermanent:
		return "**refuses the message**"
	case send.VerdictUnknown:
		return "**unknown**"
	case send.VerdictHold:
		if r.Hold == send.HoldSending {
			return "**holds the sending**"
		}
		return "**holds the channel**"
	}
	return fmt.Sprintf("verdict %d", r.Verdict)
}
