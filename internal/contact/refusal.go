package contact

// A Code names a reason for refusing a contact. It is stable: reports have it, and the partners' page has
// an anchor of that name.
type Code string

// The codes of refusals.
const (
	CodeEmpty       Code = "contact-empty"
	CodeEmail       Code = "email-invalid"
	CodeCharacter   Code = "phone-character"
	CodeExponent    Code = "phone-exponent"
	CodeNegative    Code = "phone-negative"
	CodeUnknownCode Code = "phone-unknown-code"
	CodeLength      Code = "phone-length"
	CodeTrunkZero   Code = "phone-trunk-zero"
	CodeLeadingZero Code = "phone-leading-zero"
	CodeInvalid     Code = "phone-invalid"
	CodeAmbiguous   Code = "phone-ambiguous"
)

// A Refusal says why a contact isn't accepted; the zero Refusal is none. Text is a sentence without its
// full stop for the person who wrote the contact. It doesn't repeat the contact.
type Refusal struct {
	Code Code
	Text string
}

// Text returns the sentence that refusals with the code have; that of CodeEmail and CodeCharacter may be more precise.
func (c Code) Text() string {
	switch c {
	case CodeEmpty:
		return "the contact is empty"
	case CodeEmail:
		return "this is not an email address; write it like ana@example.com"
	case CodeCharacter:
		return "the phone number has a character that can't be in one; write + and the country code, such as +34 666 000 111"
	case CodeExponent:
		return "a spreadsheet shortened the phone number to a power of ten, and its last digits are lost; format the column as text and export it again"
	case CodeNegative:
		return "the phone number has a minus sign in front; write + and the country code"
	case CodeUnknownCode:
		return "no country has the country code with which the phone number begins"
	case CodeLength:
		return "the phone number has more or fewer digits than the numbers of its country can have"
	case CodeTrunkZero:
		return "it isn't certain whether the 0 after the country code belongs to the phone number; write the number as it is dialed from abroad"
	case CodeLeadingZero:
		return "the phone number begins with 0 and isn't a national number of the application's country; write + and the country code"
	case CodeInvalid:
		return "the digits are not a complete phone number, neither with a country code nor as a national number of the application's country; write + and the country code"
	case CodeAmbiguous:
		return "the phone number can be a national number without its leading 0 or a number of another country; write + and the country code"
	}
	return ""
}

func refuse(c Code) Refusal { return Refusal{c, c.Text()} }

// Warnings is a set of doubts about a contact that was accepted.
type Warnings uint8

// The warnings.
const (
	// UnknownRange: the number has a calling code and a possible length, but no plan that is known here has its range.
	UnknownRange Warnings = 1 << iota
	// DecimalZero: ".0" at the end, with which a spreadsheet or a program wrote the number as an amount, was removed.
	DecimalZero
)

// A Warning is one of the Warnings with its stable code and a text.
type Warning struct {
	Warnings Warnings
	Code     Code
	Text     string
}

// AllWarnings returns every warning in the order of the documentation.
func AllWarnings() [2]Warning {
	return [2]Warning{
		{UnknownRange, "phone-unknown-range", "the phone number is in a range that isn't known to be in use"},
		{DecimalZero, "phone-decimal-zero", `".0" at the end of the phone number was left out`},
	}
}
