package contact

import (
	"slices"
	"strings"
)

//go:generate go run ./gen table.go

// Marks of a state of the automaton.
const (
	markValid  = 1 << iota // the digits so far are a valid national number
	markPrefix             // and its national format begins with the national prefix
)

// marksEntry is the place of a state's marks, after the states that follow each digit.
const marksEntry = 10

// maxDigits is the longest number with its calling code (ITU-T E.164, 6).
const maxDigits = 15

// A callingCode is one numbering plan, whatever the number of regions that share it.
type callingCode struct {
	digits  string
	start   uint16 // state before the first digit of the national number
	lengths uint32 // bit n: a national number may have n digits
}

// A country is a region with its calling code and the ways in which it writes national numbers.
type country struct {
	id    string // ISO 3166-1 alpha-2
	code  uint8  // index into callingCodes
	forms []nationalForm
}

// A nationalForm is a way of writing a national number: strip in front of the digits that follow
// prepend in the international form. start is the state after prepend.
type nationalForm struct {
	strip, prepend string
	start          uint16
}

// Countries returns the ISO 3166-1 codes of the countries that New knows, in ascending order.
func Countries() []string {
	ids := make([]string, len(countries))
	for i := range countries {
		ids[i] = countries[i].id
	}
	return ids
}

// findCountry returns the country of an ISO 3166-1 code, nil if there is none.
func findCountry(id string) *country {
	i, ok := slices.BinarySearchFunc(countries[:], id, func(c country, id string) int { return strings.Compare(c.id, id) })
	if !ok {
		return nil
	}
	return &countries[i]
}

// split returns the calling code that digits begin with and the national number, or nil.
func split(digits []byte) (*callingCode, []byte) {
	if len(digits) < 3 {
		return nil, nil
	}
	i := codeOf[int(digits[0]-'0')*100+int(digits[1]-'0')*10+int(digits[2]-'0')]
	if i == 0 {
		return nil, nil
	}
	c := &callingCodes[i]
	return c, digits[len(c.digits):]
}

// step returns the state after digits.
func step(state uint16, digits []byte) uint16 {
	for _, d := range digits {
		state = automaton[int(state)+int(d-'0')]
	}
	return state
}

// walk returns the marks of the state after digits.
func walk(state uint16, digits []byte) uint16 { return automaton[int(step(state, digits))+marksEntry] }

// possible reports whether a national number may have n digits.
func (c *callingCode) possible(n int) bool {
	return n+len(c.digits) <= maxDigits && c.lengths>>n&1 != 0
}

// check returns the marks of a number after its calling code, 0 if it isn't valid. Beyond the metadata, Mexican numbers
// with the 1 that mobiles had until 2019 and Brazilian mobiles without the ninth digit are valid: receivers know contacts by them.
func (c *callingCode) check(national []byte) uint16 {
	m := c.checkNational(national)
	if m == 0 && c.digits == mexico && oldMexican(national) {
		return markValid
	}
	return m
}

// checkNational is check for a number that is written without its calling code. The 1 of Mexico was only
// dialed after it.
func (c *callingCode) checkNational(national []byte) uint16 {
	m := walk(c.start, national)
	if m == 0 && c.digits == brazil && c.oldBrazilian(national) {
		return markValid
	}
	return m
}

// Calling codes with rules of their own.
const (
	mexico     = "52"
	brazil     = "55"
	ninthDigit = "9" // of Brazilian mobiles, after the area code
)

// oldMexican reports whether a national number is a 1 with ten digits.
func oldMexican(national []byte) bool { return len(national) == 11 && national[0] == '1' }

// oldBrazilian reports whether a national number is a mobile without its ninth digit: an area code of two digits and
// eight digits that no landline begins with.
func (c *callingCode) oldBrazilian(national []byte) bool {
	if len(national) != 10 || national[2] < '6' {
		return false
	}
	return walk(step(step(c.start, national[:2]), []byte(ninthDigit)), national[2:]) != 0
}

// key returns the form in which two spellings of one number are equal, given its E.164 digits: Mexican numbers without
// the old 1, Brazilian mobiles without the ninth digit. Such a form is appended to digits, any other number is its own.
func (c *callingCode) key(digits []byte) []byte {
	n := len(digits)
	switch national := digits[len(c.digits):]; {
	case c.digits == mexico && oldMexican(national):
		return append(append(digits, mexico...), national[1:]...)[n:]
	case c.digits == brazil && len(national) == 11 && national[2] == '9' && national[3] >= '6':
		return append(append(append(digits, brazil...), national[:2]...), national[3:]...)[n:]
	}
	return digits
}

// Argentina marks a mobile after the area code in national numbers, and before it in the international form.
const (
	argentina    = "AR"
	mobileMark   = "15"
	mobilePrefix = "9"
)

// mobile15 returns the length of the area code of an Argentine mobile that is written with its mark, 0 if it is none.
func (c *callingCode) mobile15(national []byte) int {
	for area := 2; area <= 4 && area+len(mobileMark) < len(national); area++ {
		if string(national[area:area+len(mobileMark)]) != mobileMark {
			continue
		}
		state := step(step(c.start, []byte(mobilePrefix)), national[:area])
		if walk(state, national[area+len(mobileMark):]) != 0 {
			return area
		}
	}
	return 0
}
