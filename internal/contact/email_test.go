package contact

import (
	"net/mail"
	"strings"
	"testing"
)

func TestAddressFaults(t *testing.T) {
	for _, good := range []string{"ana@example.com", "a@b.co", "Ana.Lopez+news@mail.example.com", "o'neil@example.com", "!#$%&*/=?^_`{|}~-@example.com",
		"ana@localhost", "ana@xn--bcher-kva.example", "ana@bücher.example", "añá@example.com", "用户@例え.jp", "a@1and1.com", "a@b-c.d-e.com", "a@under_score.example.com",
		strings.Repeat("a", 64) + "@example.com"} {
		if fault := AddressFault([]byte(good)); fault != "" {
			t.Errorf("%s: %s", good, fault)
		}
	}
	for bad, says := range map[string]string{
		"": "is empty", "ana": "no @", "@example.com": "nothing before", "ana@": "not a host name", "ana@@example.com": "more than one @", "a@b@example.com": "more than one @",
		"Ana <ana@example.com>": "display name", "<ana@example.com>": "display name", `"ana b"@example.com`: "quotes", "ana@example.com (Ana)": "brackets",
		"ana@example.com,eva@example.com": "more than one mail", "ana@example.com; eva@example.com": "more than one mail", "ana @example.com": "a space", "ana@exam\u00a0ple.com": "a space",
		"ana\r\nRCPT TO:x@example.com": "a control character", "ana\x00@example.com": "a control character", "ana@example.com\u2028": "a control character",
		".ana@example.com": "a dot", "ana.@example.com": "a dot", "a..b@example.com": "a dot", "ana:x@example.com": "invalid character", "a\u200bna@example.com": "invalid character",
		"ana@example": "has no dot", "ana@.com": "not a host name", "ana@example.com.": "not a host name", "ana@-a.com": "not a host name", "ana@a-.com": "not a host name", "ana@[192.0.2.1]": "not a host name",
		"ana@192.0.2.1": "ends with a number", "ana@exa!mple.com": "not a host name", "ana@example..com": "not a host name", "ana@\U0001F600.com": "not a host name", "ana\xff@example.com": "not UTF-8",
		strings.Repeat("a", 65) + "@example.com": "64 bytes", "a@" + strings.Repeat("b", 64) + ".com": "not a host name", "a@" + strings.Repeat("b.", 130) + "com": "254",
	} {
		fault := AddressFault([]byte(bad))
		if fault == "" || !strings.Contains(fault, says) {
			t.Errorf("%q: got the fault %q, want %q in it", bad, fault, says)
		}
		if bad != "" && strings.Contains(fault, bad) {
			t.Errorf("%q is repeated in %q", bad, fault)
		}
	}
}

// FuzzAddress: net/mail parses every valid address, and it fits on a line of SMTP.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"ana@example.com", "a@b", "Ana <a@b.c>", "añá@bücher.example", "a@[1.2.3.4]", "a\r\n@b.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if AddressFault([]byte(s)) != "" {
			return
		}
		a, err := mail.ParseAddress(s)
		switch {
		case err != nil:
			t.Fatal(err)
		case a.Address != s:
			t.Fatalf("a.Address = %q, want %q", a.Address, s)
		case a.Name != "":
			t.Fatalf("a.Name = %q, want none", a.Name)
		}
		if strings.ContainsAny(s, "\r\n\x00 <>\"\\") {
			t.Fatalf("s = %q, want none of %q in it", s, "\r\n\x00 <>\"\\")
		}
		if len(s) > maxAddress {
			t.Fatalf("len(s) = %v, want at most %v: %q", len(s), maxAddress, s)
		}
	})
}
