package source

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// position returns the place of one offset.
func position(data []byte, offset int) (line, column int) { return NewLocator(data).At(offset) }

func TestPosition(t *testing.T) {
	for _, c := range []struct {
		name, data   string
		offset       int
		line, column int
	}{
		{"empty", "", 0, 1, 1},
		{"start", "ab", 0, 1, 1},
		{"second", "ab", 1, 1, 2},
		{"end", "ab", 2, 1, 3},
		{"before the start", "ab", -5, 1, 1},
		{"beyond the end", "ab", 9, 1, 3},
		{"the line end itself", "ab\ncd", 2, 1, 3},
		{"after LF", "ab\ncd", 3, 2, 1},
		{"after CRLF", "ab\r\ncd", 4, 2, 1},
		{"between CR and LF", "ab\r\ncd", 3, 1, 4},
		{"after CR alone", "ab\rcd", 3, 2, 1},
		{"CR at the end", "ab\r", 3, 2, 1},
		{"letters of two bytes", "teléfono", 5, 1, 5},
		{"within a character", "é", 1, 1, 1},
		{"after bytes that are no text", "\xff\xfe\"", 2, 1, 3},
		{"BOM is no character", "\ufeff{", 3, 1, 1},
		{"within the BOM", "\ufeff{", 1, 1, 1},
		{"BOM later is one", "a\ufeff{", 4, 1, 3},
	} {
		if line, column := position([]byte(c.data), c.offset); line != c.line || column != c.column {
			t.Errorf("%s: Position(%q, %d) = %d:%d, want %d:%d", c.name, c.data, c.offset, line, column, c.line, c.column)
		}
	}
}

func TestLocatorAgreesWithPosition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(rapid.StringOf(rapid.SampledFrom([]rune("ab\r\né日\ufeff"))).Draw(t, "data"))
		l := NewLocator(data)
		for range 10 {
			offset := rapid.IntRange(-1, len(data)+1).Draw(t, "offset")
			line, column := l.At(offset)
			if wantLine, wantColumn := position(data, offset); line != wantLine || column != wantColumn {
				t.Fatalf("At(%d) of %q = %d:%d, Position says %d:%d", offset, data, line, column, wantLine, wantColumn)
			}
		}
	})
}

func TestNearest(t *testing.T) {
	keys := []string{"applicationId", "campaignId", "scheduleAt", "delay", "rows", "bytes", "sha256", "dryRun", "resend", "reference"}
	long := strings.Repeat("x", 65)
	for _, c := range []struct {
		name  string
		known []string
		want  string
	}{
		{"campaingId", keys, "campaignId"},
		{"CAMPAIGNID", keys, "campaignId"},
		{"campaign_id", keys, "campaignId"},
		{"schedule", keys, "scheduleAt"},
		{"rwos", keys, "rows"},
		{"dealy", keys, "delay"},
		{"sha", keys, "sha256"},
		{"re", keys, ""},
		{"sha256sum", keys, "sha256"},
		{"fone", []string{"phone", "first"}, "phone"},
		{"slicing", []string{"rows", "slicingCondition"}, "slicingCondition"},
		{"messageContent", keys, ""},
		{"rows", []string{"row", "ROWS", "rows"}, "rows"},
		{"teléfono", []string{"nombre", "telefono"}, "telefono"},
		{"TELÉFONO", []string{"nombre", "teléfono"}, "teléfono"},
		{"naem", []string{"age", "name"}, "name"},
		{"a", []string{"b"}, ""},
		{"ab", []string{"ac", "ad"}, "ac"},
		{"abcdef", []string{"abcxyf", "abcdxf"}, "abcdxf"},
		{"", keys, ""},
		{"", []string{""}, ""},
		{"rows", nil, ""},
		{long, []string{"x", long[:64] + "y"}, ""},
		{strings.ToUpper(long), []string{"y", long}, long},
	} {
		if got := Nearest(c.name, c.known); got != c.want {
			t.Errorf("Nearest(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNearestOfHostileNamesIsQuick(t *testing.T) {
	known := make([]string, 1000)
	for i := range known {
		known[i] = strings.Repeat("é", i*50)
	}
	start := time.Now()
	Nearest(strings.Repeat("é", 1<<19), known)
	Nearest(strings.Repeat("é", 64), known)
	if took := time.Since(start); took > 30*time.Second { // every pair of runes would take hours
		t.Errorf("took %v", took)
	}
}

func FuzzPosition(f *testing.F) {
	f.Add([]byte("\ufeffab\r\ncd\re\xfff"), 7)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, data []byte, offset int) {
		line, column := position(data, offset)
		switch {
		case line < 1:
			t.Errorf("offset %d: line: got %v, want at least 1", offset, line)
		case column < 1:
			t.Errorf("offset %d: column: got %v, want at least 1", offset, column)
		case line > len(data)+1:
			t.Errorf("offset %d: line: got %v, want at most %v", offset, line, len(data)+1)
		case column > utf8.RuneCount(data)+1:
			t.Errorf("offset %d: column: got %v, want at most %v", offset, column, utf8.RuneCount(data)+1)
		}
	})
}
