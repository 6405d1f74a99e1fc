package contact

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// libraryRegions returns the regions of a calling code.
func libraryRegions(code int) []string { return phonenumbers.GetRegionCodesForCountryCode(code) }

// libraryNumber returns a number of the library without parsing it.
func libraryNumber(code int, national string) *phonenumbers.PhoneNumber {
	n := &phonenumbers.PhoneNumber{}
	n.CountryCode = new(int32(code))
	value, _ := strconv.ParseUint(national, 10, 64)
	n.NationalNumber = &value
	// The last 0 of nothing but zeros is the number.
	if zeros := int32(len(national) - max(1, len(strings.TrimLeft(national, "0")))); zeros > 0 {
		n.ItalianLeadingZero = new(true)
		n.NumberOfLeadingZeros = &zeros
	}
	return n
}

// libraryValid reports whether the library knows a national number as one of any region of a calling code.
func libraryValid(code int, national string) bool {
	if national == "" || len(strconv.Itoa(code))+len(national) > 15 {
		return false
	}
	n := libraryNumber(code, national)
	for _, region := range libraryRegions(code) {
		if phonenumbers.IsValidNumberForRegion(n, region) {
			return true
		}
	}
	return false
}

// oldForm reports the numbers that are accepted beyond the metadata (docs/contract.md 4).
func oldForm(code int, national string) bool {
	switch code {
	case 52:
		return len(national) == 11 && national[0] == '1'
	case 55:
		return len(national) == 10 && national[2] >= '6' && libraryValid(55, national[:2]+"9"+national[2:])
	}
	return false
}

// librarySplit returns the calling code that digits begin with, 0 if there is none.
func librarySplit(digits string) (code int, national string) {
	codes := phonenumbers.GetSupportedCallingCodes()
	for n := 1; n <= 3 && n < len(digits); n++ {
		if c, _ := strconv.Atoi(digits[:n]); digits[0] != '0' && codes[c] {
			return c, digits[n:]
		}
	}
	return 0, ""
}

// valid reports whether digits are a calling code and a valid number of it, by the library alone.
func valid(digits string) bool {
	code, national := librarySplit(digits)
	return code != 0 && (libraryValid(code, national) || oldForm(code, national))
}

// bareOracle reads bare digits by the rules of docs/contract.md 4, with the library's patterns and formats in place of the automaton.
// It returns the E.164 digits or a code.
func bareOracle(country, digits string) string {
	if country != "" {
		code := phonenumbers.GetCountryCodeForRegion(country)
		prefix := strconv.Itoa(code)
		if rest, ok := strings.CutPrefix(digits, prefix); ok && (libraryValid(code, rest) || oldForm(code, rest)) {
			return digits
		}
		home := func(national string) bool {
			return libraryValid(code, national) || code == 55 && oldForm(code, national)
		}
		if home(digits) {
			if country != "AR" && formattedWithPrefix(country, code, digits) && valid(digits) {
				return string(CodeAmbiguous)
			}
			return prefix + digits
		}
		if np := phonenumbers.GetNddPrefixForRegion(country, true); np != "" {
			if rest, ok := strings.CutPrefix(digits, np); ok && home(rest) {
				return prefix + rest
			}
		}
	}
	switch {
	case valid(digits):
		return digits
	case digits[0] == '0':
		return string(CodeLeadingZero)
	}
	return string(CodeInvalid)
}

// formattedWithPrefix reports whether the library writes a number of a calling code with the national prefix.
func formattedWithPrefix(country string, code int, national string) bool {
	np := phonenumbers.GetNddPrefixForRegion(country, true)
	if np == "" || !libraryValid(code, national) {
		return false
	}
	text := phonenumbers.Format(libraryNumber(code, national), phonenumbers.NATIONAL)
	return strings.HasPrefix(onlyDigits(text), np+national)
}

func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

// read returns what a contact becomes: its digits or the code of the refusal.
func read(t testing.TB, country, cell string) string {
	t.Helper()
	r := rules(t, Phone, country)
	n, why := r.Normalize(nil, []byte(cell))
	if why.Code != "" {
		return string(why.Code)
	}
	return string(n.To)
}

func rules(t testing.TB, kind Kind, country string) Rules {
	t.Helper()
	r, err := New(kind, country, true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
