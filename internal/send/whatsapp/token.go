package whatsapp

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// tokens is the access token in use and the way to a newer one.
type tokens struct {
	read func() (string, error) // nil: there is no newer one

	mu      sync.Mutex // guards what follows
	current string
	stale   bool // Meta refused current: it is read again before it is used again
}

// checkToken refuses what can't be in a header (RFC 6750, 2.1), without repeating it.
func checkToken(token string) error {
	if token == "" {
		return errors.New("the access token is empty")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return errors.New("the access token holds a space or a character that can't be in one: it must be one line")
	}
	return nil
}

// get is the token to use now.
func (t *tokens) get() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stale {
		_, _ = t.renew() // the old one is tried, and Meta says what it thinks of it
	}
	return t.current
}

// rejected notes that Meta refused used. It reports whether there is another one to
// try; an error says why none can be read.
func (t *tokens) rejected(used string) (another bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != used {
		return true, nil
	}
	another, err = t.renew()
	t.stale = !another
	return another, err
}

// renew reads the token again. t.mu is held.
func (t *tokens) renew() (another bool, err error) {
	if t.read == nil {
		return false, nil
	}
	token, err := t.read()
	if err != nil {
		return false, fmt.Errorf("read access token: %w", err)
	}
	if err := checkToken(token); err != nil {
		return false, err
	}
	if token == t.current {
		return false, nil
	}
	t.current, t.stale = token, false
	return true, nil
}
