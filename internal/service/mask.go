package service

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// minSecret is the shortest secret, in bytes, that is masked: a shorter one would match parts of words.
const minSecret = 4

// mask hides a channel's secrets in texts for people: the values that the driver has read, as
// they are and as protocols write them.
type mask struct {
	mu      sync.Mutex // guards secrets
	secrets []string
}

// newMask returns a mask of the secrets that are known already.
func newMask(secrets []string) *mask { return &mask{secrets: secrets} }

// recording returns read, which hides every secret that it returns.
func (m *mask) recording(read func(ref string) (string, error)) func(string) (string, error) {
	return func(ref string) (string, error) {
		secret, err := read(ref)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.secrets = append(m.secrets, secret, strings.TrimSpace(secret))
		return secret, err
	}
}

// apply returns text with every secret replaced by asterisks.
func (m *mask) apply(text string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var forms []string
	for _, secret := range m.secrets {
		if len(secret) < minSecret {
			continue
		}
		quoted, _ := json.Marshal(secret) // a string is always valid
		forms = append(forms, secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret))
		forms = append(forms, base64Forms(secret)...)
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) }) // a part of a form must not match before it
	for _, form := range forms {
		text = strings.ReplaceAll(text, form, "*****")
	}
	return text
}

// base64Forms returns what the base64 of any text that contains secret contains, such as that of
// USER:PASSWORD: the digits that depend on the secret alone, at each of the three alignments.
func base64Forms(secret string) []string {
	var forms []string
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			digits := encoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
			from, to := (before*8+5)/6, (before+len(secret))*8/6
			if to-from >= minSecret {
				forms = append(forms, digits[from:to])
			}
		}
	}
	return forms
}
