package contact

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSpellings has the spellings of one cell that people and programs produce. code is "" for an accepted number.
func TestSpellings(t *testing.T) {
	const other = "34666777888"
	for _, c := range []struct {
		country, cell string
		want          string // digits, or the code of the refusal
		warnings      Warnings
	}{
		{"", "+34 666 777 888", other, 0},
		{"", "34666777888", other, 0},
		{"", "0034666777888", other, 0},
		{"", "00 34 666-777-888", other, 0},
		{"", "(+34) 666.777.888", other, 0},
		{"", "+34‑666‑777‑888", other, 0},
		{"", "+34–666—777−888", other, 0},
		{"", "+34\u00a0666\u202f777\u2009888", other, 0},
		{"", "\u202a+34 666 777 888\u202c", other, 0},
		{"", "+34(666)[777]（888）", other, 0},
		{"", "'34666777888", other, 0},
		{"", "’+34666777888", other, 0},
		{"", `="34666777888"`, other, 0},
		{"", `="+34 666 777 888"`, other, 0},
		{"", `="'34666777888"`, other, 0},
		{"", "tel:+34-666-777-888", other, 0},
		{"", "TEL:34666777888", other, 0},
		{"", "whatsapp:+34666777888", other, 0},
		{"", "WhatsApp: +34666777888", other, 0},
		{"", "３４６６６７７７８８８", other, 0},
		{"", "＋３４　６６６　７７７　８８８", other, 0},
		{"", "+٣٤٦٦٦٧٧٧٨٨٨", other, 0},
		{"", "+३४६६६७७७८८८", other, 0},
		{"", "  34666777888\t", other, 0},
		{"", "34666777888.0", other, DecimalZero},
		{"", "34666777888.00", other, DecimalZero},
		{"", "+34666777888.0", other, DecimalZero},
		{"", "'34666777888.0", other, DecimalZero},
		{"ES", "666777888.0", other, DecimalZero},
		{"ES", "666777888", other, 0},
		{"ES", "34.666.777.88.8", other, 0},
		{"", "+34.666.777.88.8", other, 0},

		{"", "3.46668E+10", "phone-exponent", 0},
		{"", "3,46668E+10", "phone-exponent", 0},
		{"", "3.46668e10", "phone-exponent", 0},
		{"ES", "6.66777E+08", "phone-exponent", 0},
		{"", "-34666777888", "phone-negative", 0},
		{"", "−34666777888", "phone-negative", 0},
		{"", "'-34666777888", "phone-negative", 0},
		{"", "TOTAL", "phone-character", 0},
		{"", "34666777888 ext 4", "phone-character", 0},
		{"", "34666/777/888", "phone-character", 0},
		{"", "34666777888,34666777889", "phone-character", 0},
		{"", "34+666777888", "phone-character", 0},
		{"", "++34666777888", "phone-character", 0},
		{"", "34666'777888", "phone-character", 0},
		{"", "+-34666777888", other, 0},
		{"", "34666777888\xff", "phone-character", 0},
		{"", "34666\n777888", "phone-character", 0},
		{"", "=34666777888", "phone-character", 0},
		{"", "ana@example.com", "phone-character", 0},
		{"", "+", "phone-character", 0},
		{"", "(2 rows affected)", "phone-character", 0},
		{"", "------", "phone-negative", 0},
		{"", "", "contact-empty", 0},
		{"", " \u00a0", "contact-empty", 0},

		{"", "+999 1234567", "phone-unknown-code", 0},
		{"", "+0034666777888", "phone-unknown-code", 0},
		{"", "+34 666 777 88", "phone-length", 0},
		{"", "+34 666 777 8888", "phone-length", 0},
		{"", "0034 66677788", "phone-length", 0},
		{"", "+" + strings.Repeat("1", 40), "phone-length", 0},
		{"", "+34 166 777 888", "34166777888", UnknownRange},
		{"", "0034 166 777 888", "34166777888", UnknownRange},
		{"", "34166777888", "phone-invalid", 0},

		{"", "+44 (0)20 7946 0958", "442079460958", 0},
		{"", "+44 020 7946 0958", "442079460958", 0},
		{"", "0044 (0)20 7946 0958", "442079460958", 0},
		{"", "+49 (0)170 1234567", "491701234567", 0},
		{"", "+39 (0)6 6982 1234", "390669821234", 0},
		{"", "+39 06 6982 1234", "390669821234", 0},
		{"", "+44 (0)00 0000 0000", "phone-trunk-zero", 0},
		{"", "4402079460958", "phone-invalid", 0},
		{"", "+359 (0)48 123 456", "phone-trunk-zero", 0},
		{"", "+81 (0)00 1234 5678", "phone-trunk-zero", 0},

		{"", "+5215512345678", "5215512345678", 0},
		{"", "+5219912345678", "5219912345678", 0},
		{"", "+5210012345678", "5210012345678", 0},
		{"", "5215512345678", "5215512345678", 0},
		{"MX", "5215512345678", "5215512345678", 0},
		{"MX", "5512345678", "525512345678", 0},
		{"MX", "15512345678", "15512345678", 0}, // New Jersey
		{"", "+551187654321", "551187654321", 0},
		{"BR", "(11) 8765-4321", "551187654321", 0},
		{"BR", "(11) 98765-4321", "5511987654321", 0},

		{"", "0666777006", "phone-leading-zero", 0},
		{"ES", "0666777006", "phone-leading-zero", 0},
		{"FR", "0666777006", "33666777006", 0},
		{"", "612345678", "phone-invalid", 0},
		{"ES", "612345678", "34612345678", 0},
		{"ES", "491701234567", "491701234567", 0},
		{"DE", "491701234567", "491701234567", 0},
		{"DE", "01701234567", "491701234567", 0},
		{"TR", "5321234567", "phone-ambiguous", 0},
		{"TR", "05321234567", "905321234567", 0},
		{"", "5321234567", "5321234567", 0}, // Cuba
		{"AR", "011 15-2345-6789", "5491123456789", 0},
		{"AR", "11 15 2345 6789", "5491123456789", 0},
		{"AR", "0343 15 555 1212", "5493435551212", 0},
		{"AR", "11 2345 6789", "541123456789", 0},
		{"AG", "460 1234", "12684601234", 0},
		{"US", "16135550123", "16135550123", 0}, // Canada
		{"KZ", "89161234567", "79161234567", 0}, // Russia
		{"JE", "02079460958", "442079460958", 0},
		{"VA", "3331234567", "393331234567", 0},
	} {
		n, why := rules(t, Phone, c.country).Normalize(nil, []byte(c.cell))
		got := string(n.To)
		if why.Code != "" {
			got = string(why.Code)
		}
		if got != c.want {
			t.Errorf("country %q, cell %q: got %s, want %s", c.country, c.cell, got, c.want)
		}
		if n.Warnings != c.warnings {
			t.Errorf("country %q, cell %q: got warnings %b, want %b", c.country, c.cell, n.Warnings, c.warnings)
		}
	}
}

// TestKeys: spellings of one contact have one key, and are sent as they are.
func TestKeys(t *testing.T) {
	for _, c := range []struct{ one, other string }{
		{"+34 666 777 888", "34666777888"},
		{"+5215512345678", "+525512345678"},
		{"+5511987654321", "+551187654321"},
	} {
		a, why := rules(t, Phone, "").Normalize(nil, []byte(c.one))
		if why.Code != "" {
			t.Errorf("%s: refused as %s", c.one, why.Code)
		}
		b, why := rules(t, Phone, "").Normalize(nil, []byte(c.other))
		if why.Code != "" {
			t.Errorf("%s: refused as %s", c.other, why.Code)
		}
		if string(a.Key) != string(b.Key) {
			t.Errorf("%s and %s have the keys %s and %s, want one", c.one, c.other, a.Key, b.Key)
		}
		if string(a.To) != onlyDigits(c.one) {
			t.Errorf("%s is sent to %s", c.one, a.To)
		}
	}
	// A landline isn't the mobile that begins with a 9 before its digits.
	landline, _ := rules(t, Phone, "BR").Normalize(nil, []byte("1132345678"))
	mobile, _ := rules(t, Phone, "BR").Normalize(nil, []byte("11932345678"))
	if string(landline.Key) == string(mobile.Key) {
		t.Errorf("landline and mobile have the key %s", mobile.Key)
	}
}

// TestBareNumbers reads testdata/bare.txt: numbers as lists of 25 countries have them, with and without the country.
func TestBareNumbers(t *testing.T) {
	f, err := os.Open("testdata/bare.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	countries, numbers := map[string]bool{}, 0
	for s := bufio.NewScanner(f); s.Scan(); {
		if s.Text() == "" || s.Text()[0] == '#' {
			continue
		}
		fields := strings.Split(s.Text(), "|")
		if len(fields) != 4 {
			t.Fatalf("bare.txt has the line %q, want four fields", s.Text())
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		country, cell := fields[0], fields[1]
		if got := read(t, country, cell); got != fields[2] {
			t.Errorf("country %s, cell %q: got %s, want %s", country, cell, got, fields[2])
		}
		if got := read(t, "", cell); got != fields[3] {
			t.Errorf("no country, cell %q: got %s, want %s", cell, got, fields[3])
		}
		countries[country] = true
		numbers++
	}
	if numbers < 300 {
		t.Errorf("bare.txt has %d numbers, want 300 or more", numbers)
	}
	if len(countries) < 25 {
		t.Errorf("bare.txt has %d countries, want 25 or more", len(countries))
	}
}

// TestBareAgreesWithOracle holds bare digits against the rules written with the library's patterns: valid numbers, and those that differ in a digit
// or a prefix. Regions with forms of their own beside the national prefix are left to the tables.
func TestBareAgreesWithOracle(t *testing.T) {
	all := examples()
	countries := []string{"", "AR", "AT", "AU", "BE", "BR", "CA", "CH", "CL", "CN", "CO", "DE", "ES", "FR", "GB", "IE", "IN", "IT",
		"JP", "KR", "MA", "MX", "NG", "NL", "PE", "PL", "PT", "RU", "SE", "TR", "US", "VN", "ZA"}
	rapid.Check(t, func(t *rapid.T) {
		country := rapid.SampledFrom(countries).Draw(t, "country")
		digits := []byte(rapid.SampledFrom(all).Draw(t, "example"))
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			digits[rapid.IntRange(0, len(digits)-1).Draw(t, "place")] = '0' + byte(rapid.IntRange(0, 9).Draw(t, "digit"))
		}
		if _, national := librarySplit(string(digits)); national != "" && rapid.Bool().Draw(t, "national") {
			digits = []byte(rapid.SampledFrom([]string{"", "", "0", "8"}).Draw(t, "prefix") + national)
		}
		if strings.HasPrefix(string(digits), "00") {
			return
		}
		r, err := New(Phone, country, true)
		if err != nil {
			t.Fatal(err)
		}
		n, why := r.Normalize(nil, digits)
		got := string(n.To)
		if why.Code != "" {
			got = string(why.Code)
		}
		if country == "AR" && strings.Contains(string(digits), mobileMark) {
			return // read by mobile15
		}
		if want := bareOracle(country, string(digits)); got != want {
			t.Fatalf("country %q, digits %s: got %s, want %s", country, digits, got, want)
		}
	})
}

// TestNormalFormIsStable: the normal form with + is its own normal form, whatever the country.
func TestNormalFormIsStable(t *testing.T) {
	all := examples()
	rapid.Check(t, func(t *rapid.T) {
		country := rapid.SampledFrom(append(Countries(), "")).Draw(t, "country")
		cell := rapid.SampledFrom(all).Draw(t, "example")
		if _, national := librarySplit(cell); national != "" && rapid.Bool().Draw(t, "national") {
			cell = rapid.SampledFrom([]string{"", "0", "+", "00"}).Draw(t, "prefix") + national
		}
		r, err := New(Phone, country, false)
		if err != nil {
			t.Fatal(err)
		}
		first, why := r.Normalize(nil, []byte(cell))
		if why.Code != "" {
			return
		}
		for _, form := range [][]byte{first.To, first.Key} {
			again, why := r.Normalize(nil, append([]byte("+"), form...))
			if why.Code == CodeTrunkZero {
				continue // +39 0371 …: known to be meant as written only without the +
			}
			if why.Code != "" {
				t.Fatalf("country %q, cell %s: its form %s is refused as %s", country, cell, form, why.Code)
			}
			if string(again.To) != string(form) {
				t.Fatalf("country %q, cell %s: its form %s becomes %s", country, cell, form, again.To)
			}
			if string(again.Key) != string(first.Key) {
				t.Fatalf("country %q, cell %s: got the key %s, want %s", country, cell, again.Key, first.Key)
			}
		}
	})
}

// TestSeparatorsChangeNothing puts spaces, dots, dashes and brackets between the digits of a number.
func TestSeparatorsChangeNothing(t *testing.T) {
	all := examples()
	separators := []string{"", " ", "-", ".", "‑", "–", "\u00a0", ") (", "] ", "．", "－", "\u200b"}
	rapid.Check(t, func(t *rapid.T) {
		country := rapid.SampledFrom([]string{"", "ES", "DE", "US", "IT", "BR"}).Draw(t, "country")
		cell := rapid.SampledFrom([]string{"", "+", "00"}).Draw(t, "prefix") + rapid.SampledFrom(all).Draw(t, "example")
		divided := cell[:1]
		for _, digit := range cell[1:] {
			divided += rapid.SampledFrom(separators).Draw(t, "separator") + string(digit)
		}
		if i := strings.LastIndexAny(divided, ".．"); i >= len(divided)-3-len("．") && strings.Trim(divided[i:], ".．0") == "" {
			return // decimals
		}
		r, err := New(Phone, country, false)
		if err != nil {
			t.Fatal(err)
		}
		a, whyA := r.Normalize(nil, []byte(cell))
		b, whyB := r.Normalize(nil, []byte(divided))
		if string(a.To) != string(b.To) {
			t.Fatalf("%q is read as %s, %q as %s", cell, a.To, divided, b.To)
		}
		if whyA.Code != whyB.Code {
			t.Fatalf("%q is refused as %q, %q as %q", cell, whyA.Code, divided, whyB.Code)
		}
	})
}

// FuzzNormalize: no cell makes it fail, and nothing but digits is sent to a phone.
func FuzzNormalize(f *testing.F) {
	for _, cell := range []string{"+34 666 777 888", `="34666777003.0"`, "tel:+44 (0)20 7946 0958", "３４", "'", "=\"", "3.4E+10", "\xff"} {
		f.Add("ES", cell)
	}
	f.Fuzz(func(t *testing.T, country, cell string) {
		r, err := New(Phone, country, false)
		if err != nil {
			return
		}
		n, why := r.Normalize(nil, []byte(cell))
		if (why.Code == "") == (len(n.To) == 0) {
			t.Errorf("%q: got %q and the code %q", cell, n.To, why.Code)
		}
		switch digits := onlyDigits(string(n.To)); {
		case digits != string(n.To):
			t.Errorf("%q: digits = %q, want %q", cell, digits, string(n.To))
		case len(digits) > maxDigits:
			t.Errorf("%q: len(digits) = %v, want at most %v", cell, len(digits), maxDigits)
		}
	})
}

func TestNormalizeAllocatesNothing(t *testing.T) {
	r := rules(t, Phone, "ES")
	var buf [BufferSize]byte
	for _, cell := range []string{"34666777888", "666777888", "+34 666 777 888", "0034666777888", "+5215512345678", "0666777006", "ES.1349120865530274"} {
		text := []byte(cell)
		if got := testing.AllocsPerRun(100, func() { r.Normalize(buf[:0], text) }); got > 0 {
			t.Errorf("%q: got %v allocations, want none", cell, got)
		}
	}
	email := rules(t, Email, "")
	address := []byte("Ana.Lopez@Example.com")
	if got := testing.AllocsPerRun(100, func() { email.Normalize(buf[:0], address) }); got > 0 {
		t.Errorf("%q: got %v allocations, want none", address, got)
	}
}

// TestPlainNumbersAreReadLikeOthers: the short way for digits agrees with the long one, which a separator takes.
func TestPlainNumbersAreReadLikeOthers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	plain := 0
	for _, country := range []string{"", "ES", "DE", "MX", "BR", "US", "IT"} {
		r := rules(t, Phone, country)
		for range 20_000 {
			code := callingCodes[1+rnd.IntN(len(callingCodes)-1)].digits
			if r.country != nil && rnd.IntN(2) == 0 {
				code = callingCodes[r.country.code].digits
			}
			cell := fmt.Appendf([]byte(code), "%0*d", 5+rnd.IntN(7), rnd.Int64N(1e10))
			got, gotWhy := r.Normalize(nil, cell)
			want, wantWhy := r.Normalize(nil, append(bytes.Clone(cell), '-'))
			if r.IsPlain(cell) {
				plain++
			}
			switch {
			case !bytes.Equal(got.To, want.To):
				t.Fatalf("%s with country %q: got.To: got %q, want %q", cell, country, got.To, want.To)
			case !bytes.Equal(got.Key, want.Key):
				t.Fatalf("%s with country %q: got.Key: got %q, want %q", cell, country, got.Key, want.Key)
			case got.Warnings != want.Warnings:
				t.Fatalf("%s with country %q: got.Warnings: got %v, want %v", cell, country, got.Warnings, want.Warnings)
			case gotWhy != wantWhy:
				t.Fatalf("%s with country %q: gotWhy: got %v, want %v", cell, country, gotWhy, wantWhy)
			}
		}
	}
	if plain < 1000 {
		t.Errorf("%d plain numbers, want more for the comparison to mean something", plain)
	}
}

func BenchmarkNormalize(b *testing.B) {
	r := rules(b, Phone, "ES")
	var buf [BufferSize]byte
	for _, cell := range []string{"34666777888", "666777888", "0034666777888", "+34 666 777 888"} {
		text := []byte(cell)
		b.Run(cell, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Normalize(buf[:0], text)
			}
		})
	}
}
