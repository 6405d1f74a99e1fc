package whatsapp

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// tokens has the access token in use and reads a newer one.
type tokens struct {
	read func() (string, error) // nil: the token never changes

	mu      sync.Mutex // guards the fields below
	current string
	stale   bool // Meta refused current: it is read again before it is used again
}

// errNoToken is returned when only the workers have the token.
var errNoToken = errors.New("this machine can't read token_file: the daemon needs the token too for files and templates, although workers send")

// checkToken returns an error for a token that is invalid in a header (RFC 6750, 2.1). The error doesn't
// contain it.
func checkToken(token string) error {
	if token == "" {
		return errors.New("the access token is empty")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return errors.New("the access token contains a space or an invalid character: it must be one line")
	}
	return nil
}

// get returns the token to use now.
func (t *tokens) get() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stale || t.current == "" {
		_, _ = t.renew() // after an error the old token is tried again
	}
	return t.current
}

// rejected records that Meta refused the token used. It reports whether there is another one to
// try, or why none can be read.
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
