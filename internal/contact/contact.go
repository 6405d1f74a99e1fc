// Package contact turns the contact in a cell, an opt-out or a webhook into its normal form: the text
// that is sent, and a key that two spellings of one contact share. Rows, opt-outs and drivers use the
// same Rules, so what one of them takes for the same contact is the same for all.
//
// A channel has one kind of contact (docs/contract.md 4):
//
//	phone   a phone number with or without calling code, or a user id where the channel knows them
//	email   an address of RFC 5321 without a name around it
//	digits  a number that isn't in any country's plan, such as an extension
//	any     whatever the receiver understands
//
// A phone number is read in two steps. First its text is cleaned: separators, "tel:", a spreadsheet's
// wrapping and other scripts' digits (clean.go). Then its digits are understood (phone.go): with + or 00 they are an
// international number, which has to have a calling code and a possible length; bare digits are a number of
// Rules' country if they can be, and else an international number that the numbering plans know. What
// has two readings is refused; nothing is guessed. Every refusal has a stable code (refusal.go).
//
// The numbering plans are one automaton over digits (table.go), compiled from the metadata of
// github.com/nyaruka/phonenumbers by the program in gen. A look-up takes one step a digit and allocates nothing;
// the module itself isn't linked. "make generate" after an update of the module renews the table.
//
// The package keeps nothing, reads no file and knows no channel. Contacts are never part of a refusal's text.
package contact

import (
	"bytes"
	"fmt"
)

// A Kind of contact is what a channel sends to.
type Kind uint8

// The zero Kind is Any.
const (
	Any Kind = iota
	Phone
	Email
	Digits
)

// String returns the kind as configuration has it.
func (k Kind) String() string {
	switch k {
	case Any:
		return "any"
	case Phone:
		return "phone"
	case Email:
		return "email"
	case Digits:
		return "digits"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ParseKind returns the kind of a name.
func ParseKind(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.String() == name {
			return k, true
		}
	}
	return Any, false
}

// Kinds returns the kinds in the order in which documentation lists them.
func Kinds() []Kind { return []Kind{Phone, Email, Any, Digits} }

// Rules say how the contacts of a channel are read. The zero Rules take anything as it is. They are values without
// state and safe for concurrent use.
type Rules struct {
	kind    Kind
	userIDs bool
	country *country
}

// New returns the rules of a kind of contact. country is the ISO 3166-1 code, in capitals, of the country whose numbers
// may be written without calling code; "" if there is none. userIDs says that the channel takes
// business-scoped user ids as well as phone numbers. The error names an unknown country.
func New(kind Kind, country string, userIDs bool) (Rules, error) {
	r := Rules{kind: kind, userIDs: userIDs}
	if country == "" {
		return r, nil
	}
	if r.country = findCountry(country); r.country == nil {
		return Rules{}, fmt.Errorf("no country has the ISO 3166-1 code %q", country)
	}
	return r, nil
}

// Sent returns the rules of what a driver of phone numbers is handed: Normal.To, or a contact that an
// older release stored as it was written.
func Sent() Rules { return Rules{kind: Digits, userIDs: true} }

// Kind returns the kind of contact that the rules read.
func (r Rules) Kind() Kind { return r.kind }

// Normal is a contact in its normal form. Its texts share memory with the buffer or the cell that
// Normalize was given.
type Normal struct {
	To       []byte // what is sent: E.164 digits without +, an address as written, a user id
	Key      []byte // equal for two spellings of one contact, and only for those
	Warnings Warnings
}

// BufferSize is the capacity of a buffer with which Normalize doesn't allocate.
const BufferSize = 2 * maxAddress

// Normalize reads a contact. buf is overwritten; it may be nil. Blanks around the contact don't count. A
// contact that isn't accepted has a Refusal with a code.
func (r Rules) Normalize(buf, cell []byte) (Normal, Refusal) {
	cell = bytes.TrimSpace(cell)
	switch {
	case len(cell) == 0:
		return Normal{}, refuse(CodeEmpty)
	case r.kind == Any || r.userIDs && IsUserID(cell):
		return Normal{To: cell, Key: cell}, Refusal{}
	case r.kind == Email:
		return normalizeEmail(buf[:0], cell)
	}
	return r.normalizePhone(buf[:0], cell)
}

// OptOutKey appends to dst the key under which an opt-out from a channel of these rules is known. It is
// Normal.Key but for channels of any contact: there a phone number, read as on a phone channel, and an address are
// found in every spelling, although they are sent as written.
func (r Rules) OptOutKey(dst, cell []byte) ([]byte, Refusal) {
	var buf [BufferSize]byte
	n, why := r.Normalize(buf[:0], cell)
	if why.Code == CodeTrunkZero { // it matters only that it is the contact that was written
		return appendWritten(dst, cell), Refusal{}
	}
	if why.Code != "" || r.kind != Any {
		return append(dst, n.Key...), why
	}
	for _, kind := range []Kind{Email, Phone} {
		if known, why := (Rules{kind: kind, country: r.country}).Normalize(buf[:0], cell); why.Code == "" {
			return append(dst, known.Key...), Refusal{}
		}
	}
	return append(dst, n.Key...), Refusal{}
}
