package whatsapp

import (
	"errors"
	"fmt"

	contacts "campaignd/internal/contact"
	"campaignd/internal/display"
)

// A phone number has 7 to 15 digits with its country code (ITU-T E.164, 6).
const (
	minDigits = 7
	maxDigits = 15
)

// recipient is a contact in the API's form.
type recipient struct {
	text   []byte // digits, or a user id
	userID bool   // business-scoped user id: it goes into "recipient" and not into "to"
}

// parseRecipient returns the recipient of a contact as it was written. It may use buf, and the result may share memory
// with code. The error repeats nothing of the contact.
func parseRecipient(buf, code []byte) (recipient, error) {
	n, why := contacts.Sent().Normalize(buf, code)
	if why.Code != "" {
		return recipient{}, errors.New(why.Text)
	}
	return newRecipient(n.To)
}

// newRecipient returns the recipient of a contact in its normal form (contact.Normal.To), of which only the length can be wrong.
func newRecipient(to []byte) (recipient, error) {
	switch {
	case contacts.IsUserID(to):
		return recipient{text: to, userID: true}, nil
	case len(to) < minDigits:
		return recipient{}, fmt.Errorf("the phone number has %s: with its country code it has %d to %d", display.Amount(len(to), "digit"), minDigits, maxDigits)
	}
	return recipient{text: to}, nil
}
