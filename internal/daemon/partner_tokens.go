package daemon

import (
	"errors"
	"fmt"
	"strings"

	"campaignd/internal/config"
)

// partnerTokens returns the tokens of partners by the path of their inbox.
func (d *Daemon) partnerTokens() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tokens
}

// minPartnerToken is the shortest token, in characters, that can't be guessed.
const minPartnerToken = 16

// readPartnerTokens reads the tokens of all inboxes. Each must differ from the others.
func readPartnerTokens(c *config.Config, getenv func(string) string) (map[string]string, error) {
	tokens, owners := map[string]string{}, map[string]string{}
	var problems []error
	for _, in := range c.Inboxes {
		if in.TokenFile == "" {
			continue
		}
		token, err := config.ReadSecret(in.TokenFile, getenv)
		token = strings.TrimSpace(token)
		switch {
		case err != nil:
		case len(token) < minPartnerToken:
			err = fmt.Errorf("a token needs %d characters or more; `openssl rand -hex 32` makes one", minPartnerToken)
		case owners[token] != "":
			err = fmt.Errorf("its token is that of inbox %q too", owners[token])
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("inbox %q: %w", in.Path, err))
			continue
		}
		tokens[in.Path], owners[token] = token, in.Path
	}
	return tokens, errors.Join(problems...)
}
