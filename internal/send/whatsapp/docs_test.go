package whatsapp

import (
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

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
		if d.Code != 299 && !regexp.MustCompile(`\b`+strconv.Itoa(d.Code)+`\b`).MatchString(part) {
			t.Errorf("nothing on code %d", d.Code)
		}
	}
	for _, kind := range append(append(componentTypes(), subTypes()...), parameterTypes(kindHeader, "")...) {
		if !strings.Contains(part, "`"+kind+"`") {
			t.Errorf("nothing on %s", kind)
		}
	}
}
