package display

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHiddenCharactersAreEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"spring 2026": "spring 2026",
		"España, 東京, Ελλάδα, שלום": "España, 東京, Ελλάδα, שלום",
		"a\u202egpj.exe":                 `a\u202egpj.exe`,
		"a\u2066b\u2069c\u200ed\u061ce":  `a\u2066b\u2069c\u200ed\u061ce`,
		"spr\u200bing\ufeff\u00ad\u2060": `spr\u200bing\ufeff\u00ad\u2060`,
		"one\u2028two\u2029three\u0085":  `one\u2028two\u2029three\u0085`,
		"\x1b[31mred\x07\r":              `\u001b[31mred\u0007\u000d`,
		"a\u3164b\u115fc\U000e0041":      `a\u3164b\u115fc\U000e0041`,
		"\xff\xfe":                       "\ufffd\ufffd",
		"👨\u200d👩\u200d👧 می\u200cخواهم":  "👨\u200d👩\u200d👧 می\u200cخواهم",
		"pay\u200dpal, \u200d👩, 👩\u200d": `pay\u200dpal, \u200d👩, 👩\u200d`,
		"\u0600١٢":                       "\u0600١٢",
		"a\nb\tc":                        "a\nb\tc",
	} {
		if got := Text(text); got != want {
			t.Errorf("%+q is shown as %+q, want %+q", text, got, want)
		}
	}
	if got, want := Line("a\r\nb\tc\u202e"), `a  b c\u202e`; got != want {
		t.Errorf("on one line: %q, want %q", got, want)
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{{"short", 5, "short"}, {"longer", 5, "lo…"}, {"ééééé", 8, "éé…"}, {"a\xff", 5, "a\ufffd"}, {"abc", 1, "…"}} {
		if got := Clip(c.text, c.most); got != c.want {
			t.Errorf("%q within %d bytes is %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\u202eb\u200dc\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		once := Text(s)
		if !utf8.ValidString(once) {
			t.Errorf("%q: utf8.ValidString(once) = false, want true", s)
		}
		if strings.ContainsAny(once, "\u202e\u200b\u2028\x1b") {
			t.Errorf("%q: once = %q, want none of \"\\u202e\\u200b\\u2028\\x1b\" in it", s, once)
		}
		if twice := Text(once); twice != once {
			t.Errorf("%q is shown as %q, and that as %q", s, once, twice)
		}
		switch short := Clip(s, 20); {
		case len(short) > max(20, 3*len(s)):
			t.Errorf("%q: len(short) = %v, want at most %v: %q", s, len(short), max(20, 3*len(s)), short)
		case !utf8.ValidString(short):
			t.Errorf("%q: utf8.ValidString(short) = false, want true", s)
		}
	})
}
