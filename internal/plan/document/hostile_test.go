package document

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// hostileDocuments are the documents of a size, in bytes, that cost the most to read.
func hostileDocuments(size int) map[string]string {
	fill := func(head, repeat, tail string) string {
		return head + strings.Repeat(repeat, (size-len(head)-len(tail))/len(repeat)) + tail
	}
	var distinct, fields strings.Builder
	for i := 0; distinct.Len() < size-200; i++ {
		distinct.WriteString("{{v" + strings.Repeat("i", i%40) + string(rune('a'+i%26)) + "}}")
		if fields.Len() < size-200 {
			fields.WriteString(`"` + strings.Repeat("é", i%30) + string(rune(0x4e00+i%20000)) + `":"{{x}}",`)
		}
	}
	return map[string]string{
		"deep arrays":       fill("", "[", ""),
		"deep objects":      fill("", `{"a":`, ""),
		"deep but closed":   strings.Repeat(`[`, size*2/5) + strings.Repeat(`]`, size*2/5),
		"many numbers":      fill(`{"a":[1`, ",1", "]}"),
		"many groups":       fill(`{"a":[1`, ",[]", "]}"),
		"same key":          fill(`{"a":1`, `,"a":1`, "}"),
		"long key above":    `{"` + strings.Repeat("k", size/2) + `":[` + strings.Repeat("\"\\ud800\",", size/27) + `1]}`,
		"many variables":    `{` + contact + `,"customFields":{"a":"` + distinct.String() + `"}}`,
		"many escapes":      fill(`{`+contact+`,"customFields":{"a":"`, `\u00e9{{\u0061}}`, `"}}`),
		"many fields":       `{` + contact + `,"customFields":{` + fields.String() + `"z":1}}`,
		"many unknown keys": `{` + fields.String() + `"z":1}`,
		"one long variable": fill(`{"contact":{"contactCode":"{{`, "é", `}}","channelType":"a"}}`),
		"spaces":            strings.Repeat(" ", size),
		"bad bytes":         fill(`{"a":["`, "\xff", `"]}`),
		"unclosed":          fill(`{"a":"`, "{{", `"}`),
	}
}

// TestHostileDocumentsAreCheap: whatever is worst is reported within bounds, and four times as much of it,
// up to the limit of 1 MiB, costs about four times the CPU time, not sixteen times.
func TestHostileDocumentsAreCheap(t *testing.T) {
	columns := make([]string, 1000)
	for i := range columns {
		columns[i] = strings.Repeat("w", 50) + string(rune(0x4e00+i))
	}
	read := func(name, data string) time.Duration {
		start := cpuTime(t)
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
		took := cpuTime(t) - start
		size := 0
		for _, p := range slices.Concat(problems.List, warnings) {
			size += len(p.String())
		}
		switch {
		case problems.Count == 0:
			t.Errorf("%s: problems.Count is 0", name)
		case len(problems.List) > campaign.MaxProblems:
			t.Errorf("%s: len(problems.List) = %v, want at most %v", name, len(problems.List), campaign.MaxProblems)
		case size > 1<<18:
			t.Errorf("%s: size = %v, want at most 262144", name, size)
		}
		return took
	}
	read("too large", strings.Repeat(" ", MaxSize+1))
	quarters := hostileDocuments(MaxSize / 4)
	for name, data := range hostileDocuments(MaxSize) {
		quarter, whole := read(name, quarters[name]), read(name, data)
		t.Logf("%s: %v, a quarter of it %v", name, whole.Round(time.Millisecond), quarter.Round(time.Millisecond))
		if whole > 10*max(quarter, 100*time.Millisecond) {
			t.Errorf("%s: four times as much takes %v instead of %v", name, whole, quarter)
		}
	}
}

// cpuTime returns the CPU time that this process has used.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
