package contact

import (
	"slices"
	"strconv"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// checkPlus holds a number with + against the library. Where the two differ it is on purpose:
//   - A number is valid if any region of its calling code has it; the library asks the one region that
//     its first digits choose.
//   - The library removes every national prefix after the calling code (+7 8 …, +1 1 …, +36 06 …); here only a 0 is
//     removed, and only from a number that is valid without it and not with it.
//   - E.164 ends at 15 digits; the library takes 17 of a national number.
//   - Mexican numbers with 1 and Brazilian mobiles without the ninth digit are valid.
func checkPlus(t *testing.T, digits string) {
	t.Helper()
	r := Rules{kind: Phone}
	got, why := r.Normalize(nil, []byte("+"+digits))
	code, national := librarySplit(digits)
	if code == 0 {
		if why.Code != CodeUnknownCode {
			t.Errorf("+%s: got %s %q, want %s", digits, got.To, why.Code, CodeUnknownCode)
		}
		return
	}
	want := digits
	isValid := libraryValid(code, national) || oldForm(code, national)
	if national[0] == '0' {
		without := libraryValid(code, national[1:]) || oldForm(code, national[1:])
		if isValid && without {
			if why.Code != CodeTrunkZero {
				t.Errorf("+%s is valid with and without its 0: got %s %q, want %s", digits, got.To, why.Code, CodeTrunkZero)
			}
			return
		}
		if without {
			isValid, want = true, strconv.Itoa(code)+national[1:]
		}
	}
	accepted := why.Code == "" && got.Warnings&UnknownRange == 0
	if accepted != isValid {
		t.Errorf("+%s: got %s %q, warnings %d; the library says valid %v", digits, got.To, why.Code, got.Warnings, isValid)
	}
	if isValid && string(got.To) != want {
		t.Errorf("+%s: got %s %q, want %s", digits, got.To, why.Code, want)
	}
	if n, err := phonenumbers.Parse("+"+digits, "ZZ"); err == nil && phonenumbers.IsValidNumber(n) && !isValid {
		if e164 := phonenumbers.Format(n, phonenumbers.E164); e164 == "+"+digits && len(digits) <= maxDigits {
			t.Errorf("+%s: the library parses it as valid", digits)
		}
	}
	if !isValid && !slices.Contains([]Code{"", CodeLength, CodeTrunkZero}, why.Code) {
		t.Errorf("+%s: got the code %s, want a warning or a refusal of length or zero", digits, why.Code)
	}
	lengthTaken := len(digits) <= maxDigits && possibleInAnyRegion(code, national)
	if national[0] != '0' && lengthTaken && why.Code == CodeLength {
		t.Errorf("+%s: got the code %s, want none: the library takes the length", digits, why.Code)
	}
}

func possibleInAnyRegion(code int, national string) bool {
	for _, m := range metadata() {
		if int(m.GetCountryCode()) == code && slices.Contains(m.GetGeneralDesc().GetPossibleLength(), int32(len(national))) {
			return true
		}
	}
	return false
}

func metadata() []*phonenumbers.PhoneMetadata {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		panic(err)
	}
	return all.GetMetadata()
}

// examples returns the library's example numbers of every region and kind, as E.164 digits.
func examples() []string {
	var all []string
	for _, m := range metadata() {
		code := strconv.Itoa(int(m.GetCountryCode()))
		for _, kind := range []*phonenumbers.PhoneNumberDesc{
			m.GetFixedLine(), m.GetMobile(), m.GetTollFree(), m.GetPremiumRate(), m.GetSharedCost(),
			m.GetPersonalNumber(), m.GetVoip(), m.GetPager(), m.GetUan(), m.GetVoicemail(),
		} {
			if kind.GetExampleNumber() != "" {
				all = append(all, code+kind.GetExampleNumber())
			}
		}
	}
	return all
}

// TestPlusAgreesWithLibrary changes every digit of every example number, and its length.
func TestPlusAgreesWithLibrary(t *testing.T) {
	all := examples()
	if len(all) < 1000 {
		t.Fatalf("the library has %d examples, want 1,000 or more", len(all))
	}
	for i, digits := range all {
		checkPlus(t, digits)
		checkPlus(t, digits+"5")
		checkPlus(t, digits[:len(digits)-1])
		if code, national := librarySplit(digits); code != 0 {
			checkPlus(t, strconv.Itoa(code)+"0"+national)
		}
		for j := range digits {
			changed := []byte(digits)
			changed[j] = '0' + byte(i+j)%10
			checkPlus(t, string(changed))
		}
	}
}

func FuzzPlus(f *testing.F) {
	for i, digits := range examples() {
		if i%10 == 0 {
			f.Add(digits)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if digits := onlyDigits(text); len(digits) >= 5 && len(digits) <= mostDigits {
			checkPlus(t, digits)
		}
	})
}
