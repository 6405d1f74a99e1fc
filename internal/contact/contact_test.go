package contact

import (
	"os"
	"strings"
	"testing"
)

func TestNewNamesUnknownCountry(t *testing.T) {
	for _, country := range []string{"es", "XX", "ESP", "34"} {
		if _, err := New(Phone, country, false); err == nil || !strings.Contains(err.Error(), country) {
			t.Errorf("country %q: got the error %v, want one that names it", country, err)
		}
	}
	for _, country := range Countries() {
		if _, err := New(Phone, country, false); err != nil {
			t.Errorf("country %q: %v", country, err)
		}
	}
}

func TestAnyIsSentAsWritten(t *testing.T) {
	for _, cell := range []string{"34666777003.0", "+34 666", "Ana@Example.com", "customer 12", "x"} {
		n, why := Rules{}.Normalize(nil, []byte(" "+cell+" "))
		if why.Code != "" {
			t.Errorf("%q: refused as %s", cell, why.Code)
		}
		if string(n.To) != cell || string(n.Key) != cell {
			t.Errorf("%q: sent to %q with the key %q", cell, n.To, n.Key)
		}
	}
	if _, why := (Rules{}).Normalize(nil, []byte(" ")); why.Code != CodeEmpty {
		t.Errorf("a blank cell: got %q, want %s", why.Code, CodeEmpty)
	}
}

func TestDigits(t *testing.T) {
	for cell, want := range map[string]string{
		"1234": "1234", "0612345678": "0612345678", "+34 666 777 888": "34666777888", "7700.0": "7700",
		"12": "phone-length", "1234567890123456": "phone-length", "-1234": "phone-negative", "TOTAL": "phone-character", "3.4E+10": "phone-exponent",
	} {
		n, why := rules(t, Digits, "").Normalize(nil, []byte(cell))
		got := string(n.To)
		if why.Code != "" {
			got = string(why.Code)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", cell, got, want)
		}
		if string(n.Key) != string(n.To) {
			t.Errorf("%q: got the key %s, want %s", cell, n.Key, n.To)
		}
	}
}

func TestUserID(t *testing.T) {
	for id, want := range map[string]bool{
		"US.13491208655302741918":        true,
		"US.ENT.11815799212886844830":    true,
		"ES.Ab9":                         true,
		"US." + strings.Repeat("9", 128): true,
		"US." + strings.Repeat("9", 129): false,
		"US.":                            false,
		"US.ENT.":                        false,
		"USA.123":                        false,
		"U1.123":                         false,
		"US.12-3":                        false,
		"US.ENT":                         true, // letters as an id may have
		"34666777888":                    false,
		"":                               false,
	} {
		if got := IsUserID([]byte(id)); got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	}
	const id = "US.13491208655302741918"
	n, why := rules(t, Phone, "US").Normalize(nil, []byte(id))
	if string(n.To) != id || string(n.Key) != id || why.Code != "" {
		t.Errorf("got %s with key %s and code %q, want %s for both and no code", n.To, n.Key, why.Code, id)
	}
	if _, why := (Rules{kind: Phone}).Normalize(nil, []byte(id)); why.Code == "" {
		t.Errorf("%s is accepted by a channel without user ids", id)
	}
}

func TestEmail(t *testing.T) {
	r := rules(t, Email, "")
	for _, c := range []struct{ cell, key string }{
		{"ana@example.com", "ana@example.com"},
		{"Ana.Lopez+x@Example.COM", "ana.lopez+x@example.com"},
		{"JOSÉ@EXAMPLE.com", "josé@example.com"},
		{"o'brien@example.com", "o'brien@example.com"},
		{"a@localhost", "a@localhost"},
		{"a@bücher.example", "a@bücher.example"},
	} {
		n, why := r.Normalize(nil, []byte(c.cell))
		if why.Code != "" {
			t.Errorf("%q: refused: %s", c.cell, why.Text)
		}
		if string(n.To) != c.cell {
			t.Errorf("%q: sent to %q", c.cell, n.To)
		}
		if string(n.Key) != c.key {
			t.Errorf("%q: got the key %q, want %q", c.cell, n.Key, c.key)
		}
	}
	for _, cell := range []string{
		"ana", "@example.com", "ana@", "ana@example", "ana@@example.com", "a b@example.com", "<ana@example.com>", "Ana <ana@example.com>",
		"ana@example.com,bob@example.com", "ana@example.com;", `"a b"@example.com`, "ana(x)@example.com", ".ana@example.com", "ana.@example.com",
		"a..b@example.com", "ana@-example.com", "ana@example..com", "ana@1.2.3.4", "ana@exa mple.com", "ana@exam\x00ple.com", "\xff@example.com",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("a", 64) + ".com", "a@" + strings.Repeat("a.", 126) + "com", "34666777888",
	} {
		n, why := r.Normalize(nil, []byte(cell))
		if why.Code != CodeEmail {
			t.Errorf("%q: got %q and the code %q, want %s", cell, n.To, why.Code, CodeEmail)
		}
	}
}

// TestOptOutKey: an opt-out is found by every spelling, also on channels of any contact.
func TestOptOutKey(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		cell string
		want string
	}{
		{Phone, "0034 666 777 102", "34666777102"},
		{Phone, "666777102.0", "34666777102"},
		{Phone, "+39 0371 123456", "390371123456"}, // also valid without its 0
		{Any, "0034 666 777 102", "34666777102"},
		{Any, "666777102.0", "34666777102"},
		{Any, "whatsapp:+34666777102", "34666777102"},
		{Any, "Ana@Example.com", "ana@example.com"},
		{Any, "customer 12", "customer 12"},
		{Email, "Ana@Example.com", "ana@example.com"},
		{Digits, "12-34", "1234"},
	} {
		got, why := rules(t, c.kind, "ES").OptOutKey([]byte("x"), []byte(c.cell))
		if string(got) != "x"+c.want || why.Code != "" {
			t.Errorf("%s %q: got %q and the code %q, want x%s", c.kind, c.cell, got, why.Code, c.want)
		}
	}
	if got, why := rules(t, Phone, "ES").OptOutKey(nil, []byte("Ada")); why.Code != CodeCharacter {
		t.Errorf("a name: got %q and the code %q, want %s", got, why.Code, CodeCharacter)
	}
}

// allCodes returns every code in the order of the documentation.
func allCodes() []Code {
	return []Code{
		CodeEmpty, CodeCharacter, CodeExponent, CodeNegative, CodeUnknownCode, CodeLength,
		CodeTrunkZero, CodeLeadingZero, CodeInvalid, CodeAmbiguous, CodeEmail,
	}
}

// TestPartnersPageHasEveryCode: reports link to it.
func TestPartnersPageHasEveryCode(t *testing.T) {
	page, err := os.ReadFile("../../inbox/README.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := allCodes()
	for _, w := range AllWarnings() {
		codes = append(codes, w.Code)
	}
	for _, code := range codes {
		if !strings.Contains(string(page), `<a id="`+string(code)+`"></a>`) {
			t.Errorf("inbox/README.md has no anchor %s", code)
		}
	}
}

// TestRefusalTexts: each code has a text, and no text repeats the contact.
func TestRefusalTexts(t *testing.T) {
	seen := map[Code]bool{}
	for _, code := range allCodes() {
		if code.Text() == "" {
			t.Errorf("%s has no text", code)
		}
		if seen[code] {
			t.Errorf("%s is there twice", code)
		}
		seen[code] = true
	}
	for _, w := range AllWarnings() {
		if w.Text == "" {
			t.Error("w.Text is empty")
		}
		if seen[w.Code] {
			t.Error("seen[w.Code] = true, want false")
		}
		seen[w.Code] = true
	}
	for _, cell := range []string{"66677788x", "0666777889", "999888777666", "+999888777", "-666777888", "3.46668E+10", "ana.lopez"} {
		for _, kind := range []Kind{Phone, Digits, Email} {
			_, why := rules(t, kind, "").Normalize(nil, []byte(cell))
			if strings.Contains(why.Text, cell) || strings.Contains(why.Text, cell[:6]) {
				t.Errorf("%s %q: the text %q repeats it", kind, cell, why.Text)
			}
			if why.Code != "" && !seen[why.Code] {
				t.Errorf("%s %q: the code %s isn't documented", kind, cell, why.Code)
			}
		}
	}
}

func TestKindNames(t *testing.T) {
	got := ""
	for _, k := range Kinds() {
		got += k.String() + " "
		switch parsed, ok := ParseKind(k.String()); {
		case parsed != k:
			t.Errorf("parsed = %v, want %v", parsed, k)
		case !ok:
			t.Errorf("%s is parsed as %s, %v", k, parsed, ok)
		}
	}
	if k, ok := ParseKind("Phone"); ok {
		t.Errorf("Phone is parsed as %s", k)
	}
	if want := "phone email any digits "; got != want {
		t.Errorf("got the kinds %q, want %q", got, want)
	}
}
