package contact

import "bytes"

// maxUserID is the greatest number of letters and digits after the country of a user id.
const maxUserID = 128

// IsUserID reports whether a text is a business-scoped user id of WhatsApp: a country's two letters, a dot and up to 128 letters and digits
// (US.13491208655302741918), of a parent business with ENT between them (US.ENT.11815799212886844830).
func IsUserID(text []byte) bool {
	if len(text) < 4 || !letter(text[0]) || !letter(text[1]) || text[2] != '.' {
		return false
	}
	id := bytes.TrimPrefix(text[3:], []byte("ENT."))
	if len(id) == 0 || len(id) > maxUserID {
		return false
	}
	for _, c := range id {
		if !letter(c) && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
