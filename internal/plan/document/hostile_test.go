package document

import (
	"slices"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// TestHostileDocumentsAreCheap: 1 MiB of whatever is worst is read in moments
// and reported within bounds.
func TestHostileDocumentsAreCheap(t *testing.T) {
	fill := func(head, repeat, tail string) string {
		return head + strings.Repeat(repeat, (MaxSize-len(head)-len(tail))/len(repeat)) + tail
	}
	var distinct, fields strings.Builder
	for i := 0; distinct.Len() < MaxSize-200; i++ {
		distinct.WriteString("{{v" + strings.Repeat("i", i%40) + string(rune('a'+i%26)) + "}}")
		if fields.Len() < MaxSize-200 {
			fields.WriteString(`"` + strings.Repeat("é", i%30) + string(rune(0x4e00+i%20000)) + `":"{{x}}",`)
		}
	}
	columns := make([]string, 1000)
	for i := range columns {
		columns[i] = strings.Repeat("w", 50) + string(rune(0x4e00+i))
	}
	for name, data := range map[string]string{
		"deep arrays":       fill("", "[", ""),
		"deep objects":      fill("", `{"a":`, ""),
		"deep but closed":   strings.Repeat(`[`, 400000) + strings.Repeat(`]`, 400000),
		"many numbers":      fill(`{"a":[1`, ",1", "]}"),
		"many groups":       fill(`{"a":[1`, ",[]", "]}"),
		"same key":          fill(`{"a":1`, `,"a":1`, "}"),
		"long key above":    `{"` + strings.Repeat("k", MaxSize/2) + `":[` + strings.Repeat("\"\\ud800\",", 40000) + `1]}`,
		"many variables":    `{` + contact + `,"customFields":{"a":"` + distinct.String() + `"}}`,
		"many escapes":      fill(`{`+contact+`,"customFields":{"a":"`, `\u00e9{{\u0061}}`, `"}}`),
		"many fields":       `{` + contact + `,"customFields":{` + fields.String() + `"z":1}}`,
		"many unknown keys": `{` + fields.String() + `"z":1}`,
		"one long variable": fill(`{"contact":{"contactCode":"{{`, "é", `}}","channelType":"a"}}`),
		"too large":         strings.Repeat(" ", MaxSize+1),
		"spaces":            strings.Repeat(" ", MaxSize),
		"bad bytes":         fill(`{"a":["`, "\xff", `"]}`),
		"unclosed":          fill(`{"a":"`, "{{", `"}`),
	} {
		start := time.Now()
		l, problems, warnings := ParseLayout("f", []byte(data))
		if l != nil {
			wrong, _ := l.CheckColumns(columns)
			problems.Merge(wrong)
			problems.Merge(l.CheckVariables(columns[:50], columns))
			l.ContactCode.Variables()
		}
		_, more := ParseSidecar("f", []byte(data))
		problems.Merge(more)
		_, more = ParseCampaign("f", []byte(data))
		problems.Merge(more)
		size := 0
		for _, p := range slices.Concat(problems.List, warnings) {
			size += len(p.String())
		}
		if problems.Count == 0 || len(problems.List) > campaign.MaxProblems || size > 1<<18 {
			t.Errorf("%s: %d problems, %d listed in %d bytes", name, problems.Count, len(problems.List), size)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		} else if testing.Verbose() {
			t.Logf("%s: %v, %d problems", name, took.Round(time.Millisecond), problems.Count)
		}
	}
}
